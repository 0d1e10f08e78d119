"""Other models and other agents on one session that stays open."""

import asyncio
from itertools import repeat

import pytest

from massgen_core.agents import Agent
from massgen_core.context import ContextEngine
from massgen_core.errors import SessionError
from massgen_core.events import ContextFitted, TurnFinished
from massgen_core.messages import check_order
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.tokens import ModelInfo, counter_for, estimating_counter

LARGE = ModelInfo("large", "test", window=60_000, max_output=1000)
SMALL = ModelInfo("small", "test", window=4000, max_output=400, tokenizer="o200k_base", exact=True)


class Recorded(ScriptedBackend):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.sent = []

    async def stream(self, request, /):
        self.sent.append(request)
        async for event in super().stream(request):
            yield event


def size(request, counter):
    return sum(counter.count(message).tokens for message in request.messages)


async def turns(agent, session, *inputs):
    return [event for said in inputs async for event in agent.run(session, said)]


@pytest.mark.parametrize("rules", ["openai", "anthropic", "gemini"])
def test_a_smaller_model_with_another_tokenizer_goes_on_with_an_open_session(talk, only, rules):
    counter = counter_for(SMALL)
    first = Recorded(["ok " * 100] * 30, window=60_000, strict="openai")
    second = Recorded(["Here.", "Still."], window=4000, counter=counter, strict=rules)
    large = Agent(first, model="large", info=LARGE)
    small = Agent(second, model="small", info=SMALL)

    async def main():
        async with talk.open() as store, store.create("s") as session:
            await turns(large, session, *[f"{n}: " + "word " * 1000 for n in range(20)])
            return await turns(small, session, "Are you there?", "Really?")

    events = asyncio.run(main())
    assert size(first.sent[-1], estimating_counter()) > 15_000
    assert ["Here.", "Still."] == [event.text for event in only(events, TurnFinished)]
    assert 0 == second.refused
    assert all(size(request, counter) <= 4000 for request in second.sent)
    assert all(() == check_order(request.messages, rules) for request in second.sent)
    assert second.sent[0].messages[0].text.startswith("0: word")
    assert "Are you there?" == second.sent[0].messages[-1].text
    fit = next(entry.body for entry in talk.entries() if entry.kind == "fit")
    assert ("small", counter.name) == (fit["model"], fit["tokenizer"])
    assert only(events, ContextFitted)[0].tokens_after <= 4000


def test_two_models_take_turns_on_one_open_session(talk):
    first = Recorded([f"a{n}" for n in range(5)], window=60_000)
    second = Recorded([f"b{n}" for n in range(5)], window=4000, counter=counter_for(SMALL))
    large = Agent(first, model="large", info=LARGE)
    small = Agent(second, model="small", info=SMALL)

    async def main():
        async with talk.open() as store, store.create("s") as session:
            for n in range(5):
                await turns(large, session, f"to a {n} " + "word " * 300)
                await turns(small, session, f"to b {n} " + "word " * 300)

    asyncio.run(main())
    said = [message.text.split(" word")[0] for message in talk.messages()]
    assert [t for n in range(5) for t in (f"to a {n}", f"a{n}", f"to b {n}", f"b{n}")] == said
    assert 0 == first.refused + second.refused
    heard = [message.text for message in first.sent[2].messages]
    assert "b1" in heard
    assert "a1" in heard


def test_what_a_resumed_session_shows_is_what_the_last_model_saw(talk):
    first = Recorded(["ok"] * 20, window=60_000)
    second = Recorded(["Here."], window=4000, counter=counter_for(SMALL))
    large = Agent(first, model="large", info=LARGE)
    small = Agent(second, model="small", info=SMALL)

    async def main():
        async with talk.open() as store, store.create("s") as session:
            await turns(large, session, *[f"{n}: " + "word " * 1000 for n in range(20)])
            await turns(small, session, "Now?")
            seen = (await small._seat.conversation(session)).window.view
        async with talk.open() as store, store.open_session("s") as session:
            again = Agent(second, model="small", info=SMALL)
            resumed = (await again._seat.conversation(session)).window.view
        return seen, resumed

    seen, resumed = asyncio.run(main())
    assert list(seen) == list(resumed)
    assert seen.tokens == resumed.tokens


class Wordy:
    """A tokenizer that sees twice as much as the estimator."""

    name = "wordy"

    def count(self, item, /):
        count = estimating_counter().count(item)
        return count._replace(tokens=count.tokens * 2)

    def count_text(self, text, /):
        count = estimating_counter().count_text(text)
        return count._replace(tokens=count.tokens * 2)


def test_what_one_agent_learned_of_sizes_is_not_the_others(talk):
    """Both count alike; the provider of one counts twice as much."""
    heavy = Recorded(["ok"] * 4, counter=Wordy())
    light = Recorded(["ok"] * 4)
    one = talk.agent(heavy, name="one")
    two = talk.agent(light, name="two")

    async def main():
        async with talk.open() as store, store.create("s") as session:
            for _ in range(4):
                await turns(one, session, "word " * 100)
                await turns(two, session, "word " * 100)
            uppers = []
            for agent in (one, two):
                conversation = await agent._seat.conversation(session)
                uppers.append(conversation.calibration.upper(1000))
            return uppers

    first, second = asyncio.run(main())
    assert first > 1800
    assert second < 1300


def test_what_left_for_one_model_can_be_recalled_by_another(talk):
    second = Recorded(["Here."], window=60_000)
    small = Agent(Recorded(["ok"] * 9, window=4000), model="small", info=SMALL)
    large = Agent(second, model="large", info=LARGE)

    async def main():
        async with talk.open() as store, store.create("s") as session:
            await turns(small, session, *[f"{n}: " + "word " * 900 for n in range(9)])
            await turns(large, session, "And?")
            window = (await large._seat.conversation(session)).window
            return [window.restore(operation.handle) for operation in window.operations]

    restored = asyncio.run(main())
    assert restored
    assert all(restored)
    assert ["recall"] == [tool.name for tool in second.sent[0].tools]


def test_an_agent_whose_session_was_closed_forgets_it(talk):
    agent = talk.agent(ScriptedBackend(["ok"] * 3))

    async def main():
        async with talk.open() as store:
            async with store.create("s") as session:
                await turns(agent, session, "Hi")
                assert 1 == len(agent._seat._conversations)
            assert 0 == len(agent._seat._conversations)
            with pytest.raises(SessionError):
                await turns(agent, session, "Hi again")

    asyncio.run(main())


# Texts made in the background belong to a session


class Ahead:
    """A summary that is never ready."""

    name = "ahead"
    background = True

    def __init__(self):
        self.begun = self.ended = 0

    async def produce(self):
        self.begun += 1
        try:
            await asyncio.sleep(3600)
        finally:
            self.ended += 1

    def plan(self, view, goal, ctx):
        from massgen_core.context import Plan, Replace

        out = tuple(group.number for group in ctx.droppable(view))[:-1]
        return Plan((Replace(out, self.produce, 60, "old", 1000),)) if len(out) > 3 else None


def background_agent(talk, ahead, **options):
    engine = ContextEngine([ahead], estimating_counter())
    backend = ScriptedBackend(repeat(Answer("ok " * 20)), window=2048)
    return talk.agent(backend, engine=engine, output_reserve=64, **options)


async def until_begun(agent, ahead, session):
    for n in range(40):
        await turns(agent, session, f"{n} " + "word " * 60)
        if ahead.begun:
            return
    raise AssertionError("no text was begun")


def test_closing_the_session_stops_what_is_made_for_it(talk):
    ahead = Ahead()

    async def main():
        agent = background_agent(talk, ahead)
        async with talk.open() as store:
            async with store.create("s") as session:
                await until_begun(agent, ahead, session)
                assert 0 == ahead.ended
            return asyncio.all_tasks() - {asyncio.current_task()}

    assert set() == asyncio.run(main())
    assert 1 == ahead.ended


def test_closing_the_agent_stops_it_and_the_agent_can_go_on(talk):
    ahead = Ahead()

    async def main():
        agent = background_agent(talk, ahead)
        async with talk.open() as store, store.create("s") as session:
            await until_begun(agent, ahead, session)
            await agent.aclose()
            assert 1 == ahead.ended
            return await turns(agent, session, "Still there?")

    assert "ok " * 20 == asyncio.run(main())[-1].text


def test_a_cancelled_turn_leaves_it_running_until_the_session_is_closed(talk):
    ahead = Ahead()

    async def main():
        agent = background_agent(talk, ahead)
        async with talk.open() as store:
            async with store.create("s") as session:
                await until_begun(agent, ahead, session)
                turn = asyncio.create_task(turns(agent, session, "Hi"))
                await asyncio.sleep(0)
                turn.cancel()
                await asyncio.wait([turn])
                assert 0 == ahead.ended
            assert 1 == ahead.ended

    asyncio.run(main())
