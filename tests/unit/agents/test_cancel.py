import asyncio
from contextlib import aclosing

import pytest

from massgen_core.errors import InvalidArgument, Transient
from massgen_core.events import TextDelta, ToolStarted, TurnFinished
from massgen_core.messages import ToolCall
from massgen_core.sessions import Session
from massgen_core.testing import Answer, ScriptedBackend

SLOW = Answer("one two three four five six", delay=0.02)


async def _until(events, kind, count=1):
    """Reads until `count` events of a kind came, then stops reading."""
    async with aclosing(events):
        async for event in events:
            count -= isinstance(event, kind)
            if not count:
                return


def _in_session(talk, use):
    async def main():
        async with talk.open() as store, store.open_session("s", create=True) as session:
            return await use(session)

    return asyncio.run(main())


async def _cancelled(events, kind, count=1):
    """Reads in a task that is cancelled when `count` events of a kind came."""
    came = asyncio.Event()

    async def read():
        left = count
        async for event in events:
            left -= isinstance(event, kind)
            if not left:
                came.set()

    task = asyncio.create_task(read())
    await came.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@pytest.mark.parametrize("stop", [_until, _cancelled])
def test_a_cancelled_answer_joins_the_conversation_if_the_user_goes_on(talk, stop):
    backend = ScriptedBackend([SLOW, "Of course."])
    agent = talk.agent(backend)

    async def use(session):
        await stop(agent.run(session, "Count"), TextDelta, 3)
        return [event async for event in agent.run(session, "Slower, please")]

    assert "Of course." == _in_session(talk, use)[-1].text
    sent = backend.requests[1].messages
    assert ["Count", "one two three ", "Slower, please"] == [message.text for message in sent]
    assert sent[1].meta["partial"]
    assert 0 == backend.running


def test_a_cancelled_answer_is_asked_for_again_if_nothing_is_said(talk, answer_of):
    backend = ScriptedBackend([SLOW, "Again."])
    agent = talk.agent(backend)
    _in_session(talk, lambda session: _until(agent.run(session, "Count"), TextDelta, 3))
    again = talk.agent(ScriptedBackend(["Again."]))
    assert "Again." == answer_of(talk.run(again, None))
    assert ["Count", "Again."] == [message.text for message in talk.messages()]
    notes = [entry.body for entry in talk.entries() if entry.kind == "note"]
    assert "one two three " == notes[0]["partial"]["parts"][0]["text"]


def test_a_partial_answer_joins_after_a_restart_too(talk):
    agent = talk.agent(ScriptedBackend([SLOW]))
    _in_session(talk, lambda session: _until(agent.run(session, "Count"), TextDelta, 2))
    backend = ScriptedBackend(["Fine."])
    talk.run(talk.agent(backend), "Stop")
    assert ["Count", "one two ", "Stop"] == [m.text for m in backend.requests[0].messages]


def test_the_text_before_an_error_is_kept(talk):
    backend = ScriptedBackend([Answer("half an", error=Transient("dropped")), "Whole."])
    with pytest.raises(Transient):
        talk.run(talk.agent(backend), "Hi")
    assert "half an" == talk.entries()[-1].body["partial"]["parts"][0]["text"]


@pytest.mark.parametrize("stop", [_until, _cancelled])
def test_cancelled_tools_are_stopped_and_get_an_explicit_result(talk, stop):
    async def wait() -> None:
        """Waits."""
        await asyncio.sleep(60)

    calls = (ToolCall("c1", "wait"), ToolCall("c2", "wait"))
    backend = ScriptedBackend([Answer(calls=calls), "I see."])
    agent = talk.agent(backend, tools=[wait])

    async def use(session):
        await stop(agent.run(session, "Go"), ToolStarted, 2)
        assert {asyncio.current_task()} == asyncio.all_tasks()
        return [event async for event in agent.run(session)]

    assert isinstance(_in_session(talk, use)[-1], TurnFinished)
    results = [result for m in backend.requests[1].messages for result in m.results]
    assert ["c1", "c2"] == [result.call_id for result in results]
    assert all(result.is_error and "interrupted" in result.text for result in results)


def test_results_that_came_before_the_cancellation_are_kept(talk):
    async def wait(seconds: float) -> str:
        """Waits."""
        await asyncio.sleep(seconds)
        return "done"

    calls = (
        ToolCall("c1", "wait", '{"seconds": 0}'),
        ToolCall("c2", "wait", '{"seconds": 60}'),
    )
    backend = ScriptedBackend([Answer(calls=calls), "I see."])
    agent = talk.agent(backend, tools=[wait])

    async def use(session):
        events = agent.run(session, "Go")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                _ = [event async for event in events]
        return [event async for event in agent.run(session)]

    _in_session(talk, use)
    results = [result for m in backend.requests[1].messages for result in m.results]
    assert [("c1", False), ("c2", True)] == [(r.call_id, r.is_error) for r in results]


def test_nothing_to_go_on_from_is_a_clear_error(talk):
    with pytest.raises(InvalidArgument, match="nothing to go on from"):
        talk.run(talk.agent(ScriptedBackend()), None)


def test_after_a_final_answer_there_is_nothing_to_do(talk):
    talk.run(talk.agent(ScriptedBackend(["Done."])), "Hi")
    backend = ScriptedBackend()
    events = talk.run(talk.agent(backend), None)
    assert ("Done.", 0) == (events[-1].text, events[-1].steps)
    assert [] == backend.requests


def test_a_cancellation_during_a_write_leaves_memory_as_the_disk_is(talk, monkeypatch):
    append, written = Session.append, asyncio.Event()

    async def slow(self, *entries):
        if entries[0].body.get("role") == "assistant":
            written.set()
            await asyncio.sleep(0.05)
        return await append(self, *entries)

    monkeypatch.setattr(Session, "append", slow)
    agent = talk.agent(ScriptedBackend(["Once."]))

    async def use(session):
        async def read():
            return [event async for event in agent.run(session, "Hi")]

        task = asyncio.create_task(read())
        await written.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        return [event async for event in agent.run(session)]

    assert "Once." == _in_session(talk, use)[-1].text
    assert ["Hi", "Once."] == [message.text for message in talk.messages()]
