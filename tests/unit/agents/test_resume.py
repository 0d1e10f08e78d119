import asyncio
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from massgen_core.events import SessionResumed
from massgen_core.sessions import SessionStore
from massgen_core.testing import ScriptedBackend

VICTIM = Path(__file__).with_name("victim.py")


@pytest.fixture(scope="module")
def victims(tmp_path_factory):
    """Processes that ran the same turn and were killed, each one event later than the last."""
    folder = tmp_path_factory.mktemp("victims")
    done = subprocess.run(
        [sys.executable, str(VICTIM), str(folder)], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def _read(folder):
    async def main():
        async with SessionStore.open(folder, synchronous="normal") as store:
            assert (await store.verify()).ok
            return await store.read("s")

    return asyncio.run(main())


def test_the_victims_died_at_every_step_by_a_signal(victims):
    assert len(victims) >= 20
    assert all(-9 == victim["code"] for victim in victims)
    told = {kind for victim in victims for kind in victim["told"][-1:]}
    assert {
        "agent.message_appended",
        "agent.tool_finished",
        "agent.tool_started",
        "backend.finished",
        "backend.text_delta",
        "backend.usage",
        "context.fitted",
        "in a tool",
        "in a request",
    } <= told


def test_a_killed_turn_goes_on_and_nothing_acknowledged_is_lost(victims):
    make_agent = runpy.run_path(str(VICTIM))["make_agent"]
    for victim in victims:
        folder = victim["folder"]
        before = _read(folder)
        assert victim["acknowledged"] == [
            entry.seq for entry in before if entry.seq in victim["acknowledged"]
        ]

        async def main(folder=folder):
            async with (
                SessionStore.open(folder, synchronous="normal") as store,
                store.open_session("s") as session,
            ):
                return [event async for event in make_agent().run(session)]

        events = asyncio.run(main())
        assert isinstance(events[0], SessionResumed)
        assert "All read." == events[-1].text
        after = _read(folder)
        assert before == after[: len(before)]
        _check_conversation([entry.message for entry in after if entry.kind == "message"])


def _check_conversation(messages):
    """One question, every call answered exactly once and in order, one final answer at the end."""
    assert ["user"] == [message.role for message in messages if message.role == "user"]
    calls = [call.id for message in messages for call in message.calls]
    results = [result.call_id for message in messages for result in message.results]
    assert calls == results
    assert len(set(calls)) == len(calls)
    assert "All read." == messages[-1].text
    assert 1 == sum(message.text == "All read." for message in messages)


def test_a_resumed_session_has_the_same_view_without_counting_again(talk):
    def no_more_counting(*args):
        raise AssertionError("a resumed message was counted again")

    script = ["ok " * 20] * 12
    first = ScriptedBackend(script, window=1024)
    talk.run(talk.agent(first), *[f"{n}: " + "word " * 200 for n in range(12)])
    assert any(entry.kind == "fit" for entry in talk.entries())

    second = ScriptedBackend(["Yes."], window=1024)
    agent = talk.agent(second)

    async def main():
        async with talk.open() as store, store.open_session("s") as session:
            counting = agent.engine.counter.count
            type(agent.engine.counter).count = no_more_counting
            try:
                return (await agent._seat.conversation(session)).window.view
            finally:
                type(agent.engine.counter).count = counting.__func__

    view = asyncio.run(main())
    last = [*first.requests[-1].messages]
    assert last == view.messages[:-1]
    assert "ok " * 20 == view.messages[-1].text
    assert view.tokens == sum(agent.engine.counter.count(m).tokens for m in view.messages)


def test_a_session_goes_on_with_another_model_and_tokenizer(talk):
    from massgen_core.agents import Agent

    talk.run(
        talk.agent(ScriptedBackend(["ok " * 20] * 12, window=1024)),
        *[f"{n}: " + "word " * 200 for n in range(12)],
    )
    backend = ScriptedBackend(["Here."], window=512)
    agent = Agent(backend, model="gpt-4o")
    events = talk.run(agent, "Are you there?")
    assert "Here." == events[-1].text
    assert 0 == backend.refused
    assert backend.requests[0].messages[0].text.startswith("0: word")
