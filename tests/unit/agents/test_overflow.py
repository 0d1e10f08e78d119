import asyncio
from itertools import pairwise

import pytest

from massgen_core.agents import Agent
from massgen_core.errors import ContextOverflow
from massgen_core.events import ContextFitted, OverflowReported, TurnFinished, Usage
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.tokens import ModelInfo, estimating_counter


class Heavier:
    """Counts more than the agent does, as a provider's own tokenizer may."""

    name = "heavier"

    def __init__(self, factor):
        self._factor = factor
        self._inner = estimating_counter()

    def count(self, item, /):
        count = self._inner.count(item)
        return count._replace(tokens=int(count.tokens * self._factor))

    def count_text(self, text, /):
        count = self._inner.count_text(text)
        return count._replace(tokens=int(count.tokens * self._factor))


def _fill(talk, backend, turns=8, words=300):
    agent = talk.agent(backend, output_reserve=64)
    return talk.run(agent, *[f"{n}: " + "word " * words for n in range(turns)])


def test_a_provider_that_counts_more_is_met_by_smaller_requests(talk, only):
    backend = ScriptedBackend(["ok"] * 8, window=1024, counter=Heavier(1.6))
    events = _fill(talk, backend)
    assert 8 == len(backend.requests)
    reports = only(events, OverflowReported)
    assert backend.refused == len(reports) >= 1
    assert all(1024 == report.limit < report.used for report in reports)
    assert only(events, ContextFitted)


def test_a_paste_that_is_counted_far_too_low_is_no_reason_to_give_up(talk):
    backend = ScriptedBackend(["ok"] * 6, window=1024, counter=Heavier(3.5))

    async def caps(model):
        return await ScriptedBackend(window=128_000).caps(model)

    backend.caps = caps
    paste = "word " * 2_000
    agent = talk.agent(backend, output_reserve=64)
    events = talk.run(agent, paste, "and now?", paste, "well?")

    assert ["ok"] * 4 == [event.text for event in events if isinstance(event, TurnFinished)]
    assert backend.refused <= 3


def test_the_numbers_of_a_refusal_teach_the_following_turns(talk):
    backend = ScriptedBackend(["ok"] * 30, window=1024, counter=Heavier(1.6))
    _fill(talk, backend, turns=30)
    assert backend.refused <= 2


def test_a_refusal_without_numbers_is_met_by_smaller_requests(talk, only):
    backend = ScriptedBackend(["ok"] * 30, window=1024, counter=Heavier(1.6), names_numbers=False)
    events = _fill(talk, backend, turns=30)
    assert 30 == len(backend.requests)
    assert all(report.limit is None for report in only(events, OverflowReported))
    assert backend.refused <= 4


def test_a_window_that_is_smaller_than_said_is_learned(talk, only):
    backend = ScriptedBackend(["ok"] * 20, window=512)

    async def caps(model):
        return await ScriptedBackend(window=2048).caps(model)

    backend.caps = caps
    events = _fill(talk, backend, turns=20)
    assert 20 == len(backend.requests)
    assert 1 <= backend.refused <= 2
    assert {512} == {report.limit for report in only(events, OverflowReported)}


def test_what_was_learned_is_remembered_after_a_resume(talk):
    first = ScriptedBackend(["ok"] * 8, window=1024, counter=Heavier(1.6))
    _fill(talk, first)
    assert first.refused
    second = ScriptedBackend(["ok"] * 8, window=1024, counter=Heavier(1.6))
    _fill(talk, second)
    assert 0 == second.refused


def test_after_three_smaller_retries_the_error_reaches_the_caller(talk):
    error = ContextOverflow("no", limit=None, used=None)
    backend = ScriptedBackend([*["ok"] * 4, *[error] * 10])
    sizes = []
    stream = backend.stream
    backend.stream = lambda request: sizes.append(len(request.messages)) or stream(request)
    with pytest.raises(ContextOverflow):
        _fill(talk, backend, turns=5)
    refused = sizes[4:]
    assert 4 == len(refused)
    assert sorted(refused, reverse=True) == refused
    usages = [entry.body for entry in talk.entries() if entry.kind == "usage"]
    counted = [body["counted"] for body in usages if body.get("refused")]
    assert 3 == len(counted)
    assert all(after < before * 0.85 for before, after in pairwise(counted))


def test_a_provider_that_limits_the_prompt_further_is_respected(talk):
    backend = ScriptedBackend(["ok"] * 8)
    info = ModelInfo("scripted", "test", window=8192, max_output=8192, max_input=400)
    agent = Agent(backend, model="scripted", info=info)
    talk.run(agent, *[f"{n}: " + "word " * 120 for n in range(8)])
    counter = estimating_counter()
    sizes = [sum(counter.count(m).tokens for m in r.messages) for r in backend.requests]
    assert max(sizes) <= 400


def test_the_answer_asked_for_leaves_room_in_a_learned_window(talk):
    backend = ScriptedBackend(["ok"] * 4, window=512)

    async def caps(model):
        return await ScriptedBackend(window=8192).caps(model)

    backend.caps = caps
    talk.run(talk.agent(backend), *[f"{n}: " + "word " * 300 for n in range(4)])
    assert backend.refused
    assert [2048, 256] == [backend.requests[0].max_output, backend.requests[-1].max_output]


def test_an_answer_without_a_word_at_a_full_window_is_an_overflow(talk, only):
    silent = Answer("", finish="length", usage=Usage(1000, 0))
    backend = ScriptedBackend(["ok", "ok", silent, "better"])
    events = _fill(talk, backend, turns=3)
    assert [OverflowReported(None, 1000, 1)] == only(events, OverflowReported)
    assert "better" == events[-1].text
    assert "better" == talk.messages()[-1].text


def test_an_answer_that_is_cut_by_its_own_limit_is_an_answer(talk, only):
    events = talk.run(talk.agent(ScriptedBackend(["word " * 100]), output_reserve=16), "Hi")
    assert [] == only(events, OverflowReported)
    assert "length" == talk.messages()[-1].meta["finish"]


def test_reported_usage_teaches_before_anything_is_refused(talk):
    backend = ScriptedBackend(["ok"] * 30, window=1024, counter=Heavier(1.6))
    _fill(talk, backend, turns=30, words=120)
    assert 0 == backend.refused


def test_a_resumed_agent_knows_what_it_had_learned(talk):
    backend = ScriptedBackend(["ok"] * 20, window=1024, counter=Heavier(1.6))
    agent = talk.agent(backend, output_reserve=64)

    async def learned(*inputs):
        async with talk.open() as store, store.open_session("s", create=True) as session:
            for said in inputs:
                _ = [event async for event in agent.run(session, said)]
            conversation = await agent._seat.conversation(session)
            state = conversation.calibration.to_json()
            return state, conversation.limit, conversation.ceiling

    before = asyncio.run(learned(*[f"{n}: " + "word " * 300 for n in range(8)]))
    assert 1024 == before[1]
    assert before == asyncio.run(learned())
