"""What an agent was told it knows in another session, in another process, on another day."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from massgen_core.agents import Agent, LongTerm
from massgen_core.errors import InvalidArgument, StorageFull
from massgen_core.events import MemoryDegraded, MemoryRecalled, TurnFinished
from massgen_core.memory import Memory
from massgen_core.messages import Message, Text, user
from massgen_core.sessions import SessionStore
from massgen_core.testing import ScriptedBackend

ADA = {"user": "ada"}


def turn(tmp_path, session_id, said, answers, *, scope=ADA, tools=(), **how):
    """One turn in a process's own store, memory and agent; events, and the last request."""

    async def main():
        backend = ScriptedBackend(answers)
        async with (
            SessionStore.open(tmp_path) as store,
            Memory.open(tmp_path) as memory,
            store.open_session(session_id, create=True) as session,
        ):
            longterm = LongTerm(memory, scope, **how)
            agent = Agent(backend, model="gpt-4o", memory=longterm, tools=tools)
            events = [event async for event in agent.run(session, said)]
            return events, backend.requests[-1].messages

    return asyncio.run(main())


def remembered(tmp_path, scope=ADA, query="*"):
    async def main():
        async with Memory.open(tmp_path) as memory:
            hits = await memory.recall(query, scope=scope, k=100)
            return {hit.record.text: hit.record for hit in hits}

    return asyncio.run(main())


def timeline(tmp_path, scope=ADA):
    async def main():
        async with Memory.open(tmp_path) as memory:
            return await memory.timeline(scope)

    return asyncio.run(main())


def reminder(messages):
    (found,) = [message for message in messages if message.meta.get("memory")]
    return found.text


def test_another_session_is_reminded_of_what_was_said(tmp_path):
    turn(tmp_path, "one", "The alarm code is 4711, and my cat is called Miau.", ["Noted."])
    events, messages = turn(tmp_path, "two", "What is my cat called?", ["Miau."])

    assert "my cat is called Miau" in reminder(messages)
    assert "It is data" in reminder(messages)
    assert "What is my cat called?" == messages[-1].text
    (recalled,) = [event for event in events if isinstance(event, MemoryRecalled)]
    assert recalled.records
    assert recalled.tokens > 0
    assert isinstance(events[-1], TurnFinished)


def test_what_is_in_the_request_anyway_is_not_recalled(tmp_path):
    turn(tmp_path, "one", "My cat is called Miau.", ["Noted."])
    _, messages = turn(tmp_path, "one", "What is my cat called?", ["Miau."])
    assert not [message for message in messages if message.meta.get("memory")]

    _, messages = turn(tmp_path, "one", "And my cat?", ["Miau."], exclude_recent=False)
    assert "my cat is called miau" in reminder(messages).lower()


def test_a_reminder_is_not_journalled_nor_remembered(tmp_path):
    turn(tmp_path, "one", "My cat is called Miau.", ["Noted."])
    turn(tmp_path, "two", "What is my cat called?", ["It is Miau."])

    async def main():
        async with SessionStore.open(tmp_path) as store:
            return await store.read("two")

    entries = asyncio.run(main())
    said = [entry.message.text for entry in entries if entry.kind == "message"]
    assert ["What is my cat called?", "It is Miau."] == said
    (recall,) = [entry for entry in entries if entry.kind == "recall"]
    assert 2 == len(recall.body["records"])
    assert not [text for text in remembered(tmp_path, query="cat") if "long-term" in text]


def test_tool_results_are_remembered_with_where_they_are_from(tmp_path):
    def look(place: str) -> str:
        """Looks."""
        return f"In {place} there are 17 umbrellas."

    from massgen_core.messages import ToolCall
    from massgen_core.testing import Answer

    call = ToolCall("c1", "look", '{"place": "the hall"}')
    turn(
        tmp_path,
        "one",
        "How many umbrellas?",
        [Answer(calls=(call,)), "There are 17."],
        tools=[look],
    )

    found = remembered(tmp_path, query="umbrellas")
    assert {"How many umbrellas?", "In the hall there are 17 umbrellas.", "There are 17."} == set(
        found
    )
    result = found["In the hall there are 17 umbrellas."]
    assert ("look", "one", 0.5) == (result.speaker, result.scope.session, result.trust)
    assert "agent" == found["There are 17."].speaker
    assert "user" == found["How many umbrellas?"].speaker


def test_nobody_is_reminded_of_what_others_said(tmp_path):
    turn(tmp_path, "one", "My cat is called Miau.", ["Noted."])
    _, messages = turn(tmp_path, "two", "What is my cat called?", ["?"], scope={"user": "bob"})
    assert not [message for message in messages if message.meta.get("memory")]


@pytest.mark.parametrize("scopes", [({"usr": "ada"}, ()), (ADA, ({"usr": "ada"},))])
def test_a_scope_with_a_field_that_there_is_not_is_refused_at_once(tmp_path, scopes):
    scope, also = scopes

    async def main():
        async with Memory.open(tmp_path) as memory:
            with pytest.raises(InvalidArgument, match="'usr'"):
                LongTerm(memory, scope, also)

    asyncio.run(main())


def test_a_team_shares_what_it_is_given(tmp_path):
    async def share():
        async with Memory.open(tmp_path) as memory:
            await memory.remember("The cat of the office is Miau.", scope={"team": "red"})

    asyncio.run(share())
    _, messages = turn(tmp_path, "x", "Which cat?", ["Miau."], also=({"team": "red"},))
    assert "office is Miau" in reminder(messages)


def test_a_standing_instruction_is_always_there(tmp_path):
    async def tell():
        async with Memory.open(tmp_path) as memory:
            await memory.remember("Answer in French.", scope=ADA, kind="instruction", pinned=True)

    asyncio.run(tell())
    _, messages = turn(tmp_path, "x", "How late is it?", ["Midi."])
    assert "standing instruction: Answer in French." in reminder(messages)


KILLED = """
import asyncio, os, signal, sys
from massgen_core.agents import Agent, LongTerm
from massgen_core.memory import Memory
from massgen_core.sessions import SessionStore
from massgen_core.testing import ScriptedBackend

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def asked(request):
    if sys.argv[2] == "asked":
        die()
    return "Noted."

async def main(path):
    async with SessionStore.open(path) as store, Memory.open(path) as memory:
        async with store.open_session("one", create=True) as session:
            agent = Agent(ScriptedBackend([asked]), model="gpt-4o",
                          memory=LongTerm(memory, {"user": "ada"}))
            async for event in agent.run(session, "My cat is called Miau."):
                if event.kind == "agent.message_appended" and event.message.role == "assistant":
                    die()
asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("when", ["asked", "answered"])
def test_what_was_said_before_a_kill_is_known_in_another_session(tmp_path, when):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), when], check=False)
    assert -signal.SIGKILL == done.returncode

    _, messages = turn(tmp_path, "two", "What is my cat called?", ["Miau."])
    assert "My cat is called Miau." in reminder(messages)


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_what_a_killed_turn_answered_is_taken_in_by_the_next(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "answered"], check=False)
    assert -signal.SIGKILL == done.returncode
    assert ["My cat is called Miau."] == [record.text for record in timeline(tmp_path)]

    turn(tmp_path, "one", "Thanks.", ["You are welcome."])
    said = {"My cat is called Miau.", "Noted.", "Thanks.", "You are welcome."}
    assert said == {record.text for record in timeline(tmp_path)}


def test_a_question_does_not_call_itself_to_mind(tmp_path):
    _, messages = turn(tmp_path, "one", "What is my cat called?", ["Miau."], exclude_recent=False)
    assert not [message for message in messages if message.meta.get("memory")]


def test_a_question_that_is_asked_again_and_again_keeps_its_answer(tmp_path):
    turn(tmp_path, "told", "The vault code is 9921 and it is kept by Priscilla.", ["Noted."])
    for number in range(8):
        said = ["Who keeps the vault code?", "who keeps  the vault code?"][number % 2]
        _, messages = turn(tmp_path, f"asked-{number}", said, ["Ask her."], limit=2)
        assert "kept by Priscilla" in reminder(messages)
        assert "Who keeps" not in reminder(messages)


def test_a_reminder_keeps_to_its_tokens_with_all_that_is_around_it(tmp_path):
    async def tell():
        async with Memory.open(tmp_path) as memory:
            for number in range(20):
                pinned = {"kind": "instruction", "pinned": True}
                await memory.remember(f"Be kind, {number}.", scope=ADA, **pinned)
                await memory.remember(f"The cat is called Miau {number}.", scope=ADA, speaker="Bo")

    asyncio.run(tell())
    sizes = []
    for tokens in (10, 200, 500):
        events, messages = turn(tmp_path, f"{tokens}", "Which cat?", ["?"], tokens=tokens, limit=50)
        told = [event for event in events if isinstance(event, MemoryRecalled)]
        assert all(event.tokens <= tokens for event in told)
        sizes.append(sum(event.tokens for event in told))
        if told:
            assert "Be kind, 19" in reminder(messages)
            assert "cat is called" in reminder(messages)
    assert 0 == sizes[0]
    assert 150 < sizes[1]
    assert 400 < sizes[2]


def test_a_memory_that_cannot_write_costs_no_answer(tmp_path, monkeypatch):
    async def full(*_, **__):
        raise StorageFull("no room", path="x")

    monkeypatch.setattr(Memory, "remember_many", full)
    events, _ = turn(tmp_path, "one", "My cat is called Miau.", ["Noted."])
    assert "Noted." == events[-1].text
    (told,) = [event for event in events if isinstance(event, MemoryDegraded)]
    assert "no room" in told.reason
    monkeypatch.undo()

    turn(tmp_path, "one", "Thanks.", ["You are welcome."])
    assert "My cat is called Miau." in remembered(tmp_path, query="cat")


def test_a_reminder_leaves_room_for_the_conversation(tmp_path):
    async def tell():
        async with Memory.open(tmp_path) as memory:
            for number in range(30):
                await memory.remember(f"cat {number} " + "purrs " * 60, scope=ADA)

    asyncio.run(tell())

    async def main():
        from dataclasses import replace

        from massgen_core.tokens import ModelCatalogue

        info = replace(ModelCatalogue.shipped().get("gpt-4o"), window=4000, max_output=500)
        backend = ScriptedBackend(["Fine."])
        async with (
            SessionStore.open(tmp_path) as store,
            Memory.open(tmp_path) as memory,
            store.create("x") as session,
        ):
            longterm = LongTerm(memory, ADA, limit=30)
            agent = Agent(backend, model="gpt-4o", info=info, memory=longterm)
            count = agent.engine.counter.count
            events = [event async for event in agent.run(session, user("Which cat?"))]
            return events, sum(count(message).tokens for message in backend.requests[0].messages)

    events, size = asyncio.run(main())
    assert "Fine." == events[-1].text
    assert 300 < size < 1200


CAT = '{"memories": [{"kind": "fact", "text": "The cat of Ada is called Miau.", "from": ["m1"]}]}'
NOTHING = '{"memories": []}'


def learning(tmp_path, said, heard, *, told=None, close_after=None):
    """One turn of an agent whose memory has `Facts` over a scripted model; what was learnt."""
    from massgen_core.longterm import asking
    from massgen_core.memory import Facts, Plugins

    async def main():
        extractor = Facts(asking(heard, "scripted"))
        store = SessionStore.open(tmp_path)
        memory = Memory.open(
            tmp_path,
            plugins=Plugins(extractor=extractor),
            told=lambda *what: told.append(what) if told is not None else None,
        )
        async with store as sessions, memory as kept:
            async with sessions.open_session("one", create=True) as session:
                agent = Agent(
                    ScriptedBackend(["Noted."]), model="gpt-4o", memory=LongTerm(kept, ADA)
                )
                events = [event async for event in agent.run(session, said)]
            if close_after is not None:
                await kept.rest(close_after)
            return events

    return asyncio.run(main())


def facts(tmp_path):
    async def main():
        async with Memory.open(tmp_path) as memory:
            waiting = await memory.waiting()
            return [one.text for one in await memory.timeline(ADA, kinds=["fact"])], waiting

    return asyncio.run(main())


def test_after_a_turn_a_model_learns_from_it_in_the_background(tmp_path):
    model = ScriptedBackend([CAT, NOTHING])
    events = learning(tmp_path, "My cat is called Miau.", model)

    assert isinstance(events[-1], TurnFinished)
    assert 2 == len(model.requests)  # what differs in trust is shown apart
    assert (["The cat of Ada is called Miau."], (0, 0, 0)) == facts(tmp_path)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I am sorry, I cannot help with that.",
        '{"memories": "none"}',
        '{"memories": [{"kind": "fact", "text": "cut of',
        '{"memories": ' * 5000,
        "\ufffd\x00{]",
    ],
)
def test_what_a_model_says_wrong_costs_neither_turn_nor_message(tmp_path, answer):
    told = []
    events = learning(tmp_path, "My cat is called Miau.", ScriptedBackend([answer] * 9), told=told)

    assert "Noted." == events[-1].text
    assert {"extractor"} == {name for name, _ in told}
    learnt, waiting = facts(tmp_path)
    assert [] == learnt
    assert 2 == waiting.later + waiting.due  # the question and the answer wait
    learning(tmp_path, "Thanks.", ScriptedBackend([NOTHING] * 9))
    assert "My cat is called Miau." in remembered(tmp_path, query="cat")


@pytest.mark.parametrize(
    "proposal",
    [
        '{"text": "", "from": ["m1"]}',
        '{"text": "Orphan.", "from": ["m99"]}',
        '{"text": "No source."}',
        '{"text": 7, "from": 7, "kind": ["fact"], "confidence": "high"}',
        '{"kind": "message", "text": "It forges what was said.", "from": ["m1"]}',
    ],
)
def test_a_proposal_that_breaks_the_rules_is_told_and_dropped(tmp_path, proposal):
    told = []
    answers = [f'{{"memories": [{proposal}]}}'] * 2  # user and assistant are shown apart
    learning(tmp_path, "My cat is called Miau.", ScriptedBackend(answers), told=told)

    assert all("refused 1" in reason for _, reason in told)
    assert told
    assert ([], (0, 0, 0)) == facts(tmp_path)


def test_what_there_was_no_time_for_is_learnt_by_the_next_process(tmp_path):
    from massgen_core.testing import Answer

    told = []
    slow = ScriptedBackend([Answer(CAT, delay=60)])
    learning(tmp_path, "My cat is called Miau.", slow, told=told, close_after=0.05)
    assert ([], 2) == (facts(tmp_path)[0], facts(tmp_path)[1].due)
    assert any("what is left waits" in reason for _, reason in told)

    learning(tmp_path, "Thanks.", ScriptedBackend([CAT, *[NOTHING] * 3]))
    assert (["The cat of Ada is called Miau."], (0, 0, 0)) == facts(tmp_path)


WORD = "Zyzzyva-4711"


def everywhere(tmp_path):
    return b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())


@pytest.mark.parametrize("more", ["", " and so on" * 60], ids=["short", "long"])
def test_what_is_forgotten_is_in_no_session_and_the_session_goes_on(tmp_path, more):
    from massgen_core import open_memory

    turn(tmp_path, "one", f"The alarm code is {WORD}{more}.", ["Noted."])
    turn(tmp_path, "one", "What is the weather?", ["Sunny."])

    async def forget():
        async with open_memory(tmp_path) as memory:
            (hit,) = await memory.recall("alarm code", scope=ADA, k=1)
            planned = await memory.forget(hit.record.id, dry_run=True)
            receipt = await memory.forget(hit.record.id)
            return planned, receipt, await memory.verify()

    planned, receipt, report = asyncio.run(forget())
    assert ("one",) == planned.sessions == receipt.sessions
    assert (True, (), ()) == (receipt.scrubbed, receipt.snapshots, receipt.copies)
    assert report.ok
    assert WORD.encode() not in everywhere(tmp_path)

    _, messages = turn(tmp_path, "one", "And now?", ["Still sunny."])
    shown = [message.text for message in messages if not message.meta.get("memory")]
    assert ["[erased]", "Noted.", "What is the weather?", "Sunny.", "And now?"] == shown
    assert not [text for text in remembered(tmp_path, query="erased alarm") if "erased" in text]

    async def verify():
        async with SessionStore.open(tmp_path) as store:
            return await store.verify()

    assert asyncio.run(verify()).ok


def test_a_snapshot_from_before_does_not_bring_it_back(tmp_path):
    from massgen_core import open_memory

    turn(tmp_path, "one", f"The alarm code is {WORD}.", ["Noted."])

    async def main():
        async with open_memory(tmp_path) as memory:
            made = await memory.snapshot()
            (hit,) = await memory.recall("alarm code", scope=ADA, k=1)
            receipt = await memory.forget(hit.record.id)
            assert (str(made.path),) == receipt.snapshots
            kept = await memory.restore(made.path)
            kept.unlink()
            made.path.unlink()
            return await memory.recall("alarm code", scope=ADA)

    hits = asyncio.run(main())
    assert WORD not in " ".join(hit.record.text for hit in hits)
    assert WORD.encode() not in everywhere(tmp_path)
    _, messages = turn(tmp_path, "one", "And now?", ["Sunny."])
    assert "[erased]" == messages[0].text


def test_a_session_that_remembers_later_than_a_snapshot_is_redacted_in_it(tmp_path, monkeypatch):
    from massgen_core import open_memory

    async def full(*_, **__):
        raise StorageFull("no room", path="x")

    monkeypatch.setattr(Memory, "remember_many", full)
    turn(tmp_path, "one", f"The alarm code is {WORD}.", ["Noted."])
    monkeypatch.undo()

    async def main():
        async with open_memory(tmp_path) as memory:
            made = await memory.snapshot()
        await asyncio.to_thread(turn, tmp_path, "one", "Thanks.", ["You are welcome."])
        async with open_memory(tmp_path) as memory:
            (hit,) = await memory.recall("alarm code", scope=ADA, k=1)
            receipt = await memory.forget(hit.record.id)
            assert (str(made.path),) == receipt.snapshots
            await memory.restore(made.path)

    asyncio.run(main())
    _, messages = turn(tmp_path, "one", "And now?", ["Sunny."])
    assert "[erased]" == messages[0].text
    assert WORD not in " ".join(remembered(tmp_path, query="alarm code"))


def test_a_memory_that_was_changed_before_it_was_marked_stops_nothing(tmp_path):
    """As a kill between remembering and marking leaves it, and an edit after that."""
    turn(tmp_path, "one", "My cat is called Miau.", ["Noted."])

    async def edit():
        async with Memory.open(tmp_path) as memory:
            (one,) = [r for r in await memory.timeline(ADA) if "Miau" in r.text]
            await memory.update(one.id, text="My cat is called Mimi.")
            await memory.set_marker("journal:one", "nowhere")

    asyncio.run(edit())
    events, _ = turn(tmp_path, "one", "My dog is called Wuff.", ["Noted."])
    assert [] == [event for event in events if isinstance(event, MemoryDegraded)]
    texts = set(remembered(tmp_path, query="My cat and my dog"))
    assert {"My cat is called Mimi.", "My dog is called Wuff."} <= texts
    assert "My cat is called Miau." not in texts


def test_a_message_of_a_year_that_no_calendar_has_is_remembered_without_it(tmp_path):
    said = Message("user", (Text("My cat is called Miau."),), "m1", 1.7e12)
    events, _ = turn(tmp_path, "one", said, ["Noted."])
    assert not [event for event in events if event.kind == "memory.degraded"]
    (record,) = [one for one in timeline(tmp_path) if one.speaker == "user"]
    assert ("My cat is called Miau.", None) == (record.text, record.event_time)
