"""Who answers when a model cannot: in its own window, by its own tokenizer and rules."""

import asyncio
from itertools import repeat

import pytest

from massgen_core.agents import Agent, Fallback
from massgen_core.app import App
from massgen_core.context import ContextEngine
from massgen_core.errors import (
    AuthFailed,
    ContextOverflow,
    ContextOverflowError,
    InvalidArgument,
    InvalidRequest,
    PluginNotFound,
    QuotaExceeded,
    RateLimited,
    Transient,
    UnknownModel,
)
from massgen_core.events import ContextFitted, FallbackUsed, TurnFinished
from massgen_core.messages import ToolCall, check_order
from massgen_core.sessions import SessionStore
from massgen_core.settings import FallbackSection
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.tokens import ModelInfo, counter_for, estimating_counter
from massgen_local import LocalBackend, LocalSettings

COUNTER = estimating_counter()
NO = ContextOverflow("no")


class Recorded(ScriptedBackend):
    """Remembers all requests, refused ones too."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.sent = []

    async def stream(self, request, /):
        self.sent.append(request)
        async for event in super().stream(request):
            yield event


class Wordy:
    """A tokenizer that sees twice as much as the estimator."""

    name = "wordy"

    def count(self, item, /):
        count = COUNTER.count(item)
        return count._replace(tokens=count.tokens * 2)

    def count_text(self, text, /):
        count = COUNTER.count_text(text)
        return count._replace(tokens=count.tokens * 2)


def info(name, window=8192, **known):
    return ModelInfo(name, "test", window=window, max_output=window, **known)


def fallback(backend, name="second", window=8192):
    return Fallback(backend, name, info(name, window))


def size(request, counter=COUNTER):
    return sum(counter.count(message).tokens for message in request.messages)


def test_after_the_smaller_retries_the_next_model_is_asked(talk, only):
    first = Recorded([*["ok"] * 4, *repeat(NO, 9)])
    second = Recorded(["Here."])
    agent = talk.agent(first, output_reserve=64, fallbacks=[fallback(second)])
    events = talk.run(agent, *["word " * 300 + f"{n}" for n in range(5)])
    assert "Here." == events[-1].text
    assert [FallbackUsed("scripted", "second", "ContextOverflow: no")] == only(events, FallbackUsed)
    assert 4 + 4 == len(first.sent)
    assert ["second"] == [request.model for request in second.sent]
    assert second.sent[0].messages[-1].text.endswith("4")
    assert "Here." == talk.messages()[-1].text


def test_it_is_fitted_to_its_window_tokenizer_and_rules_first(talk, only):
    known = info("second", 600, tokenizer="o200k_base", exact=True)
    counter = counter_for(known)
    first = Recorded([*["ok"] * 10, *repeat(NO, 9)], strict="openai")
    second = Recorded(["Here."], window=600, counter=counter, strict="anthropic")
    agent = talk.agent(first, fallbacks=[Fallback(second, "second", known)])
    events = talk.run(agent, *["word " * 150 + f"{n}" for n in range(11)])
    assert "Here." == events[-1].text
    assert 0 == second.refused
    assert size(second.sent[0], counter) <= 600
    assert () == check_order(second.sent[0].messages, "anthropic")
    assert second.sent[0].messages[-1].text.endswith(" 10")
    assert [event for event in only(events, ContextFitted) if event.limit <= 600]
    fits = [entry.body for entry in talk.entries() if entry.kind == "fit"]
    assert ("second", counter.name) == (fits[-1]["model"], fits[-1]["tokenizer"])


def test_what_does_not_fit_one_window_may_fit_another(talk, only):
    first, second = Recorded(["never"], window=300), Recorded(["Here."])
    agent = Agent(
        first,
        model="first",
        info=info("first", 300),
        instructions="rule " * 400,
        fallbacks=[fallback(second)],
    )
    events = talk.run(agent, "Hi")
    assert "Here." == events[-1].text
    assert [] == first.sent
    (told,) = only(events, FallbackUsed)
    assert told.error.startswith("ContextOverflowError: ")


def test_a_passing_failure_is_passed_on_and_the_half_answer_is_left_aside(talk, only):
    first = Recorded([Answer("Half an ", error=Transient("the line broke"))])
    second = Recorded(["A whole answer.", "Second."])
    agent = talk.agent(first, fallbacks=[fallback(second)])
    events = talk.run(agent, "Hi")
    assert "A whole answer." == events[-1].text
    assert ["Transient: the line broke"] == [event.error for event in only(events, FallbackUsed)]
    assert ["Hi", "A whole answer."] == [message.text for message in talk.messages()]
    assert first.sent[0].messages == second.sent[0].messages


@pytest.mark.parametrize("error", [RateLimited("slow down"), QuotaExceeded("all is spent")])
def test_what_an_account_does_not_allow_another_may(talk, only, error):
    second = Recorded(["Here."])
    events = talk.run(talk.agent(Recorded([error]), fallbacks=[fallback(second)]), "Hi")
    assert "Here." == events[-1].text
    told = f"{type(error).__name__}: {error.message}"
    assert [FallbackUsed("scripted", "second", told)] == only(events, FallbackUsed)


@pytest.mark.parametrize("error", [AuthFailed("who?"), InvalidRequest("what?")])
def test_other_failures_reach_the_caller(talk, error):
    second = Recorded(["never"])
    with pytest.raises(type(error)):
        talk.run(talk.agent(Recorded([error]), fallbacks=[fallback(second)]), "Hi")
    assert [] == second.sent


def test_it_answers_for_the_rest_of_the_turn_and_not_in_the_next(talk, only):
    calls = [Answer("Next.", (ToolCall(f"c{n}", "look", "{}"),)) for n in range(3)]

    def look() -> str:
        """Looks."""
        return "seen"

    first = Recorded([Transient("down"), "I am back."])
    second = Recorded([*calls, "Done."])
    agent = talk.agent(first, tools=[look], fallbacks=[fallback(second)])
    events = talk.run(agent, "Go", "And now?")
    assert ["Done.", "I am back."] == [event.text for event in only(events, TurnFinished)]
    assert 1 == len(only(events, FallbackUsed))
    assert [2, 4] == [len(first.sent), len(second.sent)]
    texts = [message.text for message in first.sent[-1].messages if message.text]
    assert ["Go", "Next.", "Next.", "Next.", "Done.", "And now?"] == texts


def test_each_is_asked_in_order_until_one_answers(talk, only):
    backends = [Recorded([Transient(f"down {n}")]) for n in range(3)]
    last = Recorded(["At last."])
    others = [fallback(one, f"m{n}") for n, one in enumerate([*backends[1:], last])]
    events = talk.run(talk.agent(backends[0], fallbacks=others), "Hi")
    assert "At last." == events[-1].text
    assert ["m0", "m1", "m2"] == [event.model for event in only(events, FallbackUsed)]
    errors = [event.error for event in only(events, FallbackUsed)]
    assert [f"Transient: down {n}" for n in range(3)] == errors
    assert [1, 1, 1, 1] == [len(one.sent) for one in (*backends, last)]


def test_where_none_can_answer_the_first_failure_is_raised_with_the_others_in_it(talk):
    first = Recorded(repeat(ContextOverflow("the first", limit=4000)))
    others = [
        fallback(Recorded([Transient("the second")]), "second"),
        fallback(Recorded([AuthFailed("the third")]), "third"),
    ]
    with pytest.raises(ContextOverflow, match="the first") as raised:
        talk.run(talk.agent(first, fallbacks=others), "word " * 3000)
    assert [
        "fallback: Transient: the second",
        "fallback: AuthFailed: the third",
    ] == raised.value.__notes__


def test_one_that_cannot_be_used_at_all_is_passed_over(talk, only):
    class Unknown(ScriptedBackend):
        async def caps(self, model, /):
            raise UnknownModel("no such model here", model=model)

    def look() -> str:
        """Looks."""
        return "seen"

    others = [
        fallback(Unknown(), "nobody"),
        fallback(Recorded(tools=False), "plain"),
        fallback(Recorded(["Here."]), "third"),
    ]
    agent = talk.agent(Recorded([Transient("down")]), tools=[look], fallbacks=others)
    events = talk.run(agent, "Hi")
    assert "Here." == events[-1].text
    assert ["third"] == [event.model for event in only(events, FallbackUsed)]


def test_a_failure_after_an_answer_of_the_fallback_is_its_own(talk):
    def look() -> str:
        """Looks."""
        return "seen"

    second = Recorded([Answer("", (ToolCall("c", "look", "{}"),)), AuthFailed("expired")])
    agent = talk.agent(Recorded([Transient("down")]), tools=[look], fallbacks=[fallback(second)])
    with pytest.raises(AuthFailed, match="expired"):
        talk.run(agent, "Hi")


def test_no_request_is_sent_to_one_model_twice(talk):
    first = Recorded([*["ok"] * 4, *repeat(NO, 20)])
    second = Recorded([*repeat(NO, 20)])
    agent = talk.agent(first, fallbacks=[fallback(second)])
    with pytest.raises(ContextOverflow):
        talk.run(agent, *["word " * 300 + f"{n}" for n in range(5)])
    for backend in (first, second):
        sent = backend.sent
        assert all(one not in sent[:at] for at, one in enumerate(sent))
    assert 4 == len(second.sent)


def test_what_one_model_reported_does_not_size_the_others_requests(talk):
    first = Recorded([*["ok"] * 3, Transient("down")], counter=Wordy())
    second = Recorded(["Here."])
    agent = talk.agent(first, fallbacks=[fallback(second)])

    async def ratios():
        async with talk.open() as store, store.open_session("s", create=True) as session:
            for n in range(4):
                _ = [event async for event in agent.run(session, f"{n} " + "word " * 200)]
            found = [await seat.conversation(session) for seat in (agent._seat, *agent._fallbacks)]
            return [one.calibration.upper(1000) for one in found]

    first_size, second_size = asyncio.run(ratios())
    assert first_size > 1800
    assert second_size < 1500


def test_a_fallback_that_was_asked_before_is_refused(talk):
    backend = ScriptedBackend()
    with pytest.raises(InvalidArgument, match="asked before"):
        talk.agent(backend, fallbacks=[(backend, "scripted")])
    other = fallback(ScriptedBackend())
    with pytest.raises(InvalidArgument, match="asked before"):
        talk.agent(backend, fallbacks=[other, other])


def test_a_pair_is_enough_where_the_catalogue_knows_the_model(talk):
    second = Recorded(["Here."])
    agent = talk.agent(Recorded([Transient("down")]), fallbacks=[(second, "gpt-4o")])
    assert "Here." == talk.run(agent, "Hi")[-1].text
    assert "o200k_base" == agent._fallbacks[0].engine.counter.name


def test_the_engine_of_a_fallback_is_as_the_agents(talk):
    engine = ContextEngine(
        [], COUNTER, trigger=0.9, target=0.4, strategy_timeout=3, produce_timeout=4
    )
    agent = talk.agent(ScriptedBackend(), engine=engine, fallbacks=[(ScriptedBackend(), "gpt-4o")])
    other = agent._fallbacks[0].engine
    assert (0.9, 0.4, 3, 4) == (
        other.trigger,
        other.target,
        other.strategy_timeout,
        other.produce_timeout,
    )


def test_a_session_is_resumed_by_the_first_model_after_a_fallback(talk):
    agent = talk.agent(
        Recorded([Transient("down")]), fallbacks=[fallback(Recorded(["From the second."]))]
    )
    talk.run(agent, "Hi")
    first = Recorded(["Hello again."])
    assert "Hello again." == talk.run(talk.agent(first), "And?")[-1].text
    assert ["Hi", "From the second.", "And?"] == [m.text for m in first.sent[0].messages]


def test_settings_name_them(tmp_path):
    given = ("backend.name=local", "agent.fallbacks=[{name: local, window: 768}]")

    async def main():
        async with App.load(overrides=given, env={}, cwd=tmp_path) as app:
            agent = await app.agent()
            (seat,) = agent._fallbacks
            return seat.backend is agent.backend, seat.model, seat.info.window, seat.info.source

    assert (False, "local", 768, "backend") == asyncio.run(main())


def test_only_a_model_is_the_same_backend_asked_for_another(tmp_path):
    given = ("backend.name=local", "agent.fallbacks=[{model: other}]")

    async def main():
        async with App.load(overrides=given, env={}, cwd=tmp_path) as app:
            (one,) = app.settings.agent.fallbacks
            found = app.backend_and_model(one.model_dump(exclude_none=True))
            return found == (app.backend(), "other")

    assert asyncio.run(main())


def test_one_that_is_not_installed_is_told_at_the_start(tmp_path):
    given = ("backend.name=local", "agent.fallbacks=[{name: nobody}]")

    async def main():
        async with App.load(overrides=given, env={}, cwd=tmp_path) as app:
            await app.agent()

    with pytest.raises(PluginNotFound, match="nobody"):
        asyncio.run(main())


def test_the_secrets_of_one_are_not_shown():
    section = FallbackSection.model_validate({"name": "openai", "api_key": "sk-very-secret"})
    assert "openai" in repr(section)
    assert "very-secret" not in repr(section) + str(section)


def test_a_real_local_model_answers_for_one_that_is_down(tmp_path, only):
    async def main():
        local = LocalBackend(LocalSettings(window=512))
        agent = Agent(
            ScriptedBackend(repeat(Transient("down"))),
            model="scripted",
            info=info("scripted", 100_000),
            output_reserve=16,
            fallbacks=[Fallback(local, "SmolLM2-135M-Instruct", info("local", 512))],
        )
        events = []
        async with SessionStore.open(tmp_path) as store, store.create("s") as session:
            for said in ("word " * 400, "What is the capital of France?"):
                events += [event async for event in agent.run(session, said)]
        await local.aclose()
        return events

    events = asyncio.run(main())
    assert 2 == len(only(events, FallbackUsed))
    assert only(events, TurnFinished)[-1].text
    assert any(event.limit <= 512 for event in only(events, ContextFitted))


def test_what_cannot_be_cut_for_any_window_is_a_typed_error(talk):
    agent = Agent(
        ScriptedBackend(window=300),
        model="first",
        info=info("first", 300),
        instructions="rule " * 4000,
        fallbacks=[fallback(ScriptedBackend(window=400), window=400)],
    )
    with pytest.raises(ContextOverflowError) as raised:
        talk.run(agent, "Hi")
    assert raised.value.__notes__[0].startswith("fallback: ContextOverflowError")
