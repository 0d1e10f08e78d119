import asyncio
import json
import threading
from contextlib import aclosing
from itertools import repeat

import pytest

from massgen_core.errors import (
    AgentError,
    ContentFiltered,
    ContextOverflowError,
    InvalidArgument,
    InvalidRequest,
    SessionConflict,
    TooManySteps,
    Transient,
    UnknownModel,
)
from massgen_core.events import (
    ContextFitted,
    Finished,
    MessageAppended,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    Usage,
)
from massgen_core.messages import Reasoning, ToolCall, user
from massgen_core.sessions import NewEntry
from massgen_core.testing import Answer, ScriptedBackend


def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


def _call(key, a, b, name="add"):
    return ToolCall(key, name, json.dumps({"a": a, "b": b}))


def test_a_turn_tells_what_happens_and_ends_with_the_answer(talk):
    backend = ScriptedBackend([Answer("Good morning.", usage=Usage(12, 3))])
    events = talk.run(talk.agent(backend), "Hi")
    kinds = [event.kind for event in events]
    assert [
        "agent.message_appended",
        "backend.text_delta",
        "backend.text_delta",
        "backend.usage",
        "backend.finished",
        "agent.message_appended",
        "context.measured",
        "agent.turn_finished",
    ] == kinds
    assert TurnFinished("Good morning.", 1, Usage(12, 3)) == events[-1]


def test_tools_are_run_until_the_model_answers(talk, answer_of, only):
    backend = ScriptedBackend(
        [
            Answer("Let me see.", (_call("c1", 2, 3),)),
            Answer(calls=(_call("c2", 5, 5),)),
            "It is 10.",
        ]
    )
    events = talk.run(talk.agent(backend, tools=[add]), "2 + 3 + 5?")
    assert "It is 10." == answer_of(events)
    assert ["5", "10"] == [event.text for event in only(events, ToolFinished)]
    assert 3 == events[-1].steps
    roles = [message.role for message in talk.messages()]
    assert ["user", "assistant", "tool", "assistant", "tool", "assistant"] == roles
    assert ["add"] == [spec.name for spec in backend.requests[0].tools]
    assert ["user", "assistant", "tool"] == [m.role for m in backend.requests[1].messages]


def test_every_step_is_journalled_before_it_is_acted_on(talk):
    seen = []

    def look() -> str:
        """Reads the journal while it runs."""
        seen.extend(entry.kind for entry in talk.entries())
        return "ok"

    backend = ScriptedBackend([Answer(calls=(ToolCall("c1", "look"),)), "Done."])
    talk.run(talk.agent(backend, tools=[look]), "Go")
    assert ["message", "message", "usage", "tool_state"] == seen
    started = next(entry for entry in talk.entries() if entry.kind == "tool_state")
    assert {"state": "started", "call_id": "c1", "name": "look"} == started.body


def test_the_user_message_is_on_disk_before_the_request(talk):
    def reads(request):
        return talk.entries()[0].message.text

    agent = talk.agent(ScriptedBackend([reads]))
    assert "Remember me" == talk.run(agent, "Remember me")[-1].text


def test_parallel_calls_run_at_once_and_answer_in_their_order(talk, only):
    running, most = 0, 0

    async def wait(seconds: float) -> str:
        """Waits."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(seconds)
        running -= 1
        return f"{seconds}"

    calls = [ToolCall(f"c{s}", "wait", json.dumps({"seconds": s})) for s in (0.2, 0.0, 0.1)]
    backend = ScriptedBackend([Answer(calls=tuple(calls)), "Done."])
    events = talk.run(talk.agent(backend, tools=[wait]), "Wait")
    assert 3 == most
    assert [ToolStarted(call) for call in calls] == only(events, ToolStarted)
    results = [result for message in talk.messages() for result in message.results]
    assert [("c0.2", "0.2"), ("c0.0", "0.0"), ("c0.1", "0.1")] == [
        (result.call_id, result.text) for result in results
    ]


def test_plain_functions_run_in_parallel_threads(talk, only):
    barrier = threading.Barrier(4)

    def meet() -> str:
        """Returns when four of it run."""
        barrier.wait(timeout=10)
        return "met"

    calls = tuple(ToolCall(f"c{n}", "meet") for n in range(4))
    events = talk.run(
        talk.agent(ScriptedBackend([Answer(calls=calls), "Done."]), tools=[meet]), "Meet"
    )
    assert ["met"] * 4 == [event.text for event in only(events, ToolFinished)]


def test_what_a_tool_does_wrong_is_told_to_the_model(talk, answer_of, only):
    def fails(reason: str) -> None:
        """Fails."""
        raise OSError(28, reason)

    calls = (
        ToolCall("c1", "fails", '{"reason": "No space"}'),
        ToolCall("c2", "fails", '{"raisin": 1}'),
        ToolCall("c3", "fails", "{not json"),
        ToolCall("c4", "missing"),
    )
    backend = ScriptedBackend([Answer(calls=calls), "I see."])
    events = talk.run(talk.agent(backend, tools=[fails]), "Go")
    assert "I see." == answer_of(events)
    texts = [result.text for m in backend.requests[1].messages for result in m.results]
    assert "Error: OSError: [Errno 28] No space" == texts[0]
    assert texts[1].startswith("Error: invalid arguments: reason: Missing required argument")
    assert texts[2].startswith("Error: the arguments are not valid JSON")
    assert "Error: there is no tool 'missing'; the tools are: fails" == texts[3]
    assert all(event.is_error for event in only(events, ToolFinished))


def test_too_many_steps_are_an_error_and_the_next_run_goes_on(talk, answer_of):
    endless = (Answer(calls=(_call(f"c{n}", n, n),)) for n in range(100))
    agent = talk.agent(ScriptedBackend(endless), tools=[add], max_steps=3)
    with pytest.raises(TooManySteps) as raised:
        talk.run(agent, "Go")
    assert 3 == raised.value.steps
    assert 7 == len(talk.messages())
    agent = talk.agent(ScriptedBackend(["Enough."]), tools=[add])
    assert "Enough." == answer_of(talk.run(agent, None))


def test_turns_follow_each_other_on_one_session(talk):
    backend = ScriptedBackend(["One.", "Two."])
    talk.run(talk.agent(backend), "First", "Second")
    assert ["First", "One.", "Second"] == [m.text for m in backend.requests[1].messages]


def test_instructions_go_first_and_are_not_journalled(talk):
    backend = ScriptedBackend(["Yes."])
    talk.run(talk.agent(backend, instructions="Be brief."), "Hi")
    assert ["Be brief.", "Hi"] == [m.text for m in backend.requests[0].messages]
    assert ["Hi", "Yes."] == [m.text for m in talk.messages()]


def test_reasoning_is_kept_and_sent_back(talk):
    sealed = Reasoning("Hm.", "seal", "test")
    backend = ScriptedBackend(
        [Answer("Adding.", (_call("c1", 1, 1),), reasoning=(sealed,)), "Two."]
    )
    talk.run(talk.agent(backend, tools=[add]), "1 + 1?")
    assert sealed == backend.requests[1].messages[1].parts[0]
    assert sealed == talk.messages()[1].parts[0]


def test_the_answer_is_on_disk_before_its_end_is_told(talk):
    async def main():
        agent = talk.agent(ScriptedBackend(["Good morning."]))
        async with talk.open() as store, store.create("s") as session:
            async for event in agent.run(session, "Hi"):
                if isinstance(event, Finished):
                    kinds.extend(entry.kind for entry in await store.read("s"))

    kinds = []
    asyncio.run(main())
    assert ["message", "message", "usage"] == kinds


def test_a_message_with_other_parts_can_be_the_input(talk):
    backend = ScriptedBackend(["Yes."])
    talk.run(talk.agent(backend), user("Keep this", pinned=True))
    assert backend.requests[0].messages[0].pinned


def test_usage_is_journalled_with_our_count(talk):
    backend = ScriptedBackend([Answer("Hello.", usage=Usage(500, 7, cached=3))])
    talk.run(talk.agent(backend), "Hi " * 100)
    body = next(entry.body for entry in talk.entries() if entry.kind == "usage")
    assert (500, 7, 3) == (body["prompt"], body["completion"], body["cached"])
    assert body["counted"] > 50
    assert ("agent", "scripted") == (body["agent"], body["model"])


def test_every_request_of_the_tool_loop_is_fitted(talk, only):
    def page(n: int) -> str:
        """A long page."""
        return f"page {n}: " + "word " * 150

    script = [Answer(calls=(ToolCall(f"c{n}", "page", json.dumps({"n": n})),)) for n in range(12)]
    backend = ScriptedBackend([*script, "All read."], window=1024)
    events = talk.run(talk.agent(backend, tools=[page]), "Read all pages")
    assert "All read." == events[-1].text
    assert 0 == backend.refused
    assert 13 == len(backend.requests)
    fits = only(events, ContextFitted)
    assert len(fits) >= 2
    assert len(fits) == sum(entry.kind == "fit" for entry in talk.entries())
    assert all("Read all pages" == r.messages[0].text for r in backend.requests)


def test_a_fit_is_on_disk_before_its_request_is_sent(talk):
    kinds = []

    def reads(request):
        kinds.append([entry.kind for entry in talk.entries()][-1])
        return "ok"

    backend = ScriptedBackend([reads, reads, reads], window=512)
    talk.run(talk.agent(backend), "word " * 200, "word " * 200, "word " * 200)
    assert "message" == kinds[0]
    assert "fit" in kinds


def test_what_cannot_be_cut_is_a_typed_error(talk):
    agent = talk.agent(ScriptedBackend(["x"], window=256), instructions="rule " * 400)
    with pytest.raises(ContextOverflowError) as raised:
        talk.run(agent, "Hi")
    assert "instructions" == raised.value.table[0][0]


def test_tools_on_a_backend_without_tools_are_refused_before_anything_is_written(talk):
    agent = talk.agent(ScriptedBackend(["x"], tools=False), tools=[add])
    with pytest.raises(InvalidRequest, match="takes no tools, the agent 'agent' has add"):
        talk.run(agent, "Hi")
    assert [] == talk.entries()


def test_the_error_of_a_backend_reaches_the_caller(talk, answer_of):
    agent = talk.agent(ScriptedBackend([Transient("overloaded"), "Now."]))
    with pytest.raises(Transient, match="overloaded"):
        talk.run(agent, "Hi")
    assert "Now." == answer_of(talk.run(agent, None))
    assert ["Hi", "Now."] == [message.text for message in talk.messages()]


def test_an_empty_answer_is_an_answer(talk):
    assert "" == talk.run(talk.agent(ScriptedBackend([""])), "Hi")[-1].text


def test_an_unusual_end_is_kept_with_the_message(talk):
    talk.run(talk.agent(ScriptedBackend([Answer("No", finish="content_filter")])), "Hi")
    assert "content_filter" == talk.messages()[-1].meta["finish"]


@pytest.mark.parametrize(
    ("finish", "error"), [("content_filter", ContentFiltered), ("error", Transient)]
)
def test_an_answer_that_was_none_is_an_error(talk, finish, error):
    with pytest.raises(error):
        talk.run(talk.agent(ScriptedBackend([Answer("", finish=finish)])), "Hi")


def test_bad_arguments_are_refused(talk):
    backend = ScriptedBackend()
    for options in ({"max_steps": 0}, {"output_reserve": 0}, {"safety": 1.0}):
        with pytest.raises(InvalidArgument):
            talk.agent(backend, **options)
    with pytest.raises(InvalidArgument, match="two tools"):
        talk.agent(backend, tools=[add, add])


def test_an_unknown_model_needs_info():
    from massgen_core.agents import Agent

    with pytest.raises(UnknownModel):
        Agent(ScriptedBackend(), model="nobody-knows-this")


def test_another_writer_in_the_middle_of_a_turn_is_noticed(talk):
    async def main():
        agent = talk.agent(ScriptedBackend(["One.", "Two."]))
        async with talk.open() as store, store.create("s") as session:

            async def disturbed():
                async for event in agent.run(session, "Hi"):
                    if isinstance(event, MessageAppended) and event.message.role == "user":
                        await session.append(NewEntry.message(user("from elsewhere")))

            with pytest.raises(SessionConflict):
                await disturbed()
            return [event async for event in agent.run(session, "Again")]

    assert "Two." == asyncio.run(main())[-1].text
    said = ["Hi", "from elsewhere", "One.", "Again", "Two."]
    assert said == [message.text for message in talk.messages()]


def test_what_others_append_between_turns_is_taken_in(talk):
    async def main():
        backend = ScriptedBackend(["One.", "Two."])
        agent = talk.agent(backend)
        async with talk.open() as store, store.create("s") as session:
            _ = [event async for event in agent.run(session, "Hi")]
            await session.append(NewEntry.message(user("from elsewhere")))
            _ = [event async for event in agent.run(session, "Again")]
        return [message.text for message in backend.requests[-1].messages]

    assert ["Hi", "One.", "from elsewhere", "Again"] == asyncio.run(main())


def test_appended_messages_are_told_with_their_place_and_size(talk, only):
    events = talk.run(talk.agent(ScriptedBackend(["Hello."])), "Hi")
    told = [(event.seq, event.message.text) for event in only(events, MessageAppended)]
    assert [(1, "Hi"), (2, "Hello.")] == told
    entries = [entry for entry in talk.entries() if entry.kind == "message"]
    assert [entry.tokens for entry in entries] == [e.tokens for e in only(events, MessageAppended)]
    assert all(entry.tokens > 0 for entry in entries)


def test_text_arrives_piece_by_piece(talk, only):
    events = talk.run(talk.agent(ScriptedBackend(["one two three"])), "Count")
    assert ["one ", "two ", "three"] == [event.text for event in only(events, TextDelta)]


def test_two_turns_at_once_on_one_session_are_refused(talk):
    async def main():
        agent = talk.agent(ScriptedBackend(["Once."]))
        async with talk.open() as store, store.create("s") as session:
            async with aclosing(agent.run(session, "Hi")) as first:
                await anext(first)
                with pytest.raises(AgentError, match="already"):
                    await anext(agent.run(session, "Hi again"))
            return [event async for event in agent.run(session, "Now")]

    assert "Once." == asyncio.run(main())[-1].text


def test_sessions_run_side_by_side_with_one_agent(talk):
    async def main():
        agent = talk.agent(ScriptedBackend(repeat(lambda request: request.messages[-1].text)))

        async def turn(store, name):
            async with store.create(name) as session:
                return [event async for event in agent.run(session, name)][-1].text

        async with talk.open() as store:
            return await asyncio.gather(*[turn(store, f"s{n}") for n in range(5)])

    assert [f"s{n}" for n in range(5)] == asyncio.run(main())
