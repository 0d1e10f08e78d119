"""The ways on from a refusal: out of order, too long, cut, silently too long, another model."""

import asyncio
from collections import Counter
from itertools import pairwise, repeat

import pytest

from massgen_core.agents import Agent
from massgen_core.agents._outgoing import Order
from massgen_core.context import ContextEngine, ContextWindow
from massgen_core.errors import ContextOverflow, ContextOverflowError, MalformedHistory
from massgen_core.events import (
    ContextFitted,
    HistoryRepaired,
    OverflowReported,
    TurnFinished,
    Usage,
)
from massgen_core.messages import (
    Reasoning,
    Text,
    ToolCall,
    assistant,
    check_order,
    system,
    tool,
    user,
)
from massgen_core.sessions import NewEntry
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.tokens import ModelInfo, estimating_counter

SEALED = Reasoning("Hm.", "seal", "other")


class Recorded(ScriptedBackend):
    """Remembers all requests, refused ones too."""

    def __init__(self, *args, caps_say=None, **options):
        super().__init__(*args, **options)
        self.sent = []
        self._caps_say = caps_say

    async def stream(self, request, /):
        self.sent.append(request)
        async for event in super().stream(request):
            yield event

    async def caps(self, model, /):
        return self._caps_say or await super().caps(model)


def never_twice(backend):
    return all(one != other for at, one in enumerate(backend.sent) for other in backend.sent[:at])


def journal(talk, *messages):
    """Writes messages to the session, whatever their order."""

    async def main():
        async with talk.open() as store, store.create("s") as session:
            entries = [NewEntry.message(m, 0, "") for m in messages]
            await session.append(*entries)

    asyncio.run(main())


# Out of order


@pytest.mark.parametrize("rules", ["openai", "anthropic", "gemini"])
def test_a_tool_loop_over_many_fits_keeps_every_providers_order(talk, rules):
    def page(n: int) -> str:
        """A page."""
        return f"{n}: " + "word " * 120

    script = [Answer("Next.", (ToolCall(f"c{n}", "page", f'{{"n": {n}}}'),)) for n in range(12)]
    backend = Recorded([*script, "Done."], window=1024, strict=rules)
    events = talk.run(talk.agent(backend, tools=[page]), "Read all pages")
    assert "Done." == events[-1].text
    assert 0 == backend.refused
    assert any(isinstance(event, ContextFitted) for event in events)


def test_what_would_be_refused_is_put_right_before_it_is_sent(talk, only):
    journal(talk, assistant("Welcome."), user("Hi"), assistant(""), user("Hello?"))
    backend = Recorded(["Yes."], strict="anthropic")
    events = talk.run(talk.agent(backend), "Well?")
    assert 0 == backend.refused
    (told,) = only(events, HistoryRepaired)
    assert ["first one must be the user's" in told.problems[0], "nothing" in told.problems[1]] == [
        True,
        True,
    ]
    assert ["user", "assistant", "user", "user", "user"] == [
        message.role for message in backend.requests[0].messages
    ]
    notes = [entry.body for entry in talk.entries() if entry.kind == "note"]
    assert list(told.problems) == notes[0]["repaired"]
    assert "Welcome." == talk.messages()[0].text


def test_a_repair_is_told_once_even_after_a_restart(talk, only):
    journal(talk, assistant("Welcome."))
    backend = Recorded(["One.", "Two."], strict="gemini")
    events = talk.run(talk.agent(backend), "First", "Second")
    events += talk.run(talk.agent(Recorded(["Three."], strict="gemini")), "Third")
    assert 1 == len(only(events, HistoryRepaired))
    assert backend.requests[0].messages == backend.requests[1].messages[:3]


def test_a_refused_order_is_put_right_once(talk, only):
    """The backend does not say whose rules it has."""
    calls = [Answer(calls=(ToolCall("c", "look"),)), Answer(calls=(ToolCall("c", "look"),))]
    backend = Recorded(
        [*calls, "Done.", "Still."], strict="anthropic", caps_say=_caps(8192, "openai")
    )
    events = talk.run(talk.agent(backend, tools=[_look]), "Go", "Again")
    assert ["Done.", "Still."] == [e.text for e in only(events, TurnFinished)]
    assert 1 == backend.refused
    assert 1 == len(only(events, HistoryRepaired))
    assert "the provider refused the order" in only(events, HistoryRepaired)[0].problems[-1]
    assert never_twice(backend)


def test_a_seal_of_another_provider_is_left_out_after_its_refusal(talk, only):
    def unless_sealed(request):
        if any(part.kind == "reasoning" for m in request.messages for part in m.parts):
            raise MalformedHistory("Invalid `signature` in `thinking` block", status=400)
        return "Fine."

    backend = Recorded([Answer("So.", reasoning=(SEALED,)), *repeat(unless_sealed, 9)])
    events = talk.run(talk.agent(backend), "Hi", "And?", "Then?")
    assert ["So.", "Fine.", "Fine."] == [e.text for e in only(events, TurnFinished)]
    assert 4 == len(backend.sent)
    assert 1 == len(only(events, HistoryRepaired))
    assert SEALED in talk.messages()[1].parts


def test_a_refused_order_is_remembered_after_a_restart(talk, only):
    journal(talk, user("Hi"), assistant(""))
    first = Recorded(["One."], strict="anthropic", caps_say=_caps(8192))
    talk.run(talk.agent(first), "First")
    second = Recorded(["Two."], strict="anthropic", caps_say=_caps(8192))
    events = talk.run(talk.agent(second), "Second")
    assert [1, 0] == [first.refused, second.refused]
    assert [] == only(events, HistoryRepaired)


def test_what_cannot_be_put_right_is_not_sent_again(talk):
    backend = Recorded([MalformedHistory("no such order"), "never"])
    with pytest.raises(MalformedHistory, match="no such order"):
        talk.run(talk.agent(backend), "Hi")
    assert 1 == len(backend.sent)


def test_a_second_refusal_of_the_order_reaches_the_caller(talk):
    journal(talk, assistant(""), user("Hi"))
    backend = Recorded(repeat(MalformedHistory("no")))
    with pytest.raises(MalformedHistory):
        talk.run(talk.agent(backend), "Well?")
    assert 2 == len(backend.sent)
    assert never_twice(backend)


def _look() -> str:
    """Looks."""
    return "ok"


_look.__name__ = "look"


def _caps(window, rules="openai"):
    return asyncio.run(ScriptedBackend(window=window, strict=rules).caps("scripted"))


# Checking costs what is new


def test_a_request_that_grew_is_checked_where_it_grew():
    seen = Counter()

    class Counting(Order):
        def changed(self):
            seen["whole"] += 1
            super().changed()

    window = ContextWindow(ContextEngine([], estimating_counter()))
    order = Counting("anthropic", estimating_counter())
    head = (system("Be brief."),)
    for n in range(30):
        for message in (
            user(f"{n}"),
            assistant("", ToolCall(f"c{n}", "look")),
            tool(f"c{n}", "ok"),
        ):
            window.append(message)
        outgoing = order.outgoing(head, window.view)
        assert (*head, *window.view.messages) == outgoing.messages
    assert 2 == seen["whole"]  # when it was made, and when it was first used


def test_a_late_result_is_sent_in_the_place_of_its_stand_in():
    window = ContextWindow(ContextEngine([], estimating_counter()))
    order = Order("openai", estimating_counter())
    for message in (user("Hi"), assistant("", ToolCall("c", "look")), user("?"), assistant("Hm.")):
        window.append(message)
        order.outgoing((), window.view)
    late = tool("c", "here it is")
    window.append(late)
    sent = order.outgoing((), window.view).messages
    assert tuple(window.view.messages) == sent
    assert late is sent[2]


def test_a_problem_in_what_was_checked_before_is_not_forgotten():
    window = ContextWindow(ContextEngine([], estimating_counter()))
    order = Order("anthropic", estimating_counter())
    for message in (user("Hi"), assistant(" "), user("?"), assistant("Yes."), user("So?")):
        window.append(message)
        if message.role == "user":
            messages = order.outgoing((), window.view).messages
            assert () == check_order(messages, "anthropic")
    assert 4 == len(messages)


# Too long


def test_an_answer_that_does_not_fit_beside_the_prompt_teaches_the_window(talk, only):
    refusal = ContextOverflow("a + b > c", limit=600, used=500, answer=300)
    backend = Recorded(["ok", refusal, *["ok"] * 10])
    agent = talk.agent(backend)
    events = talk.run(agent, *[f"{n}: " + "word " * 100 for n in range(8)])
    assert [OverflowReported(600, 500, 1)] == only(events, OverflowReported)
    assert never_twice(backend)
    usage = next(e.body for e in talk.entries() if e.kind == "usage" and e.body.get("refused"))
    assert 300 == usage["answer"]

    async def ceiling():
        async with talk.open() as store, store.open_session("s") as session:
            conversation = await agent._seat.conversation(session)
            return conversation.ceiling, conversation.limit

    assert (None, 600) == asyncio.run(ceiling())


def test_requests_shrink_strictly_and_none_is_sent_twice(talk):
    backend = Recorded([*["ok"] * 5, *[ContextOverflow("no")] * 9])
    with pytest.raises(ContextOverflow):
        talk.run(
            talk.agent(backend, output_reserve=64), *["word " * 250 + f"{n}" for n in range(6)]
        )
    counter = estimating_counter()
    refused = [sum(counter.count(m).tokens for m in r.messages) for r in backend.sent[5:]]
    assert 4 == len(refused)
    assert all(after <= 0.8 * before for before, after in pairwise(refused))
    assert never_twice(backend)


def test_what_cannot_be_made_smaller_names_the_refusal_as_the_cause(talk):
    backend = Recorded(repeat(ContextOverflow("no", limit=40, used=9000)), window=100_000)
    agent = Agent(
        backend,
        model="scripted",
        info=ModelInfo("scripted", "test", window=100_000, max_output=100),
        instructions="rule " * 300,
    )
    with pytest.raises((ContextOverflowError, ContextOverflow)) as raised:
        talk.run(agent, "Hi")
    assert isinstance(raised.value.__cause__ or raised.value.__context__, ContextOverflow)
    assert 1 == len(backend.sent)


def test_a_system_message_that_may_not_shrink_names_the_refusal_too(talk):
    journal(talk, system("rule " * 300))
    backend = Recorded(repeat(ContextOverflow("no")))
    engine = ContextEngine([], estimating_counter(), clip_system=False)
    with pytest.raises(ContextOverflowError) as raised:
        talk.run(talk.agent(backend, engine=engine), "Hi")
    assert "no" == str(raised.value.__cause__)
    assert 1 == len(backend.sent)


def test_a_system_message_that_shrinks_is_not_sent_twice_alike(talk):
    journal(talk, system("rule " * 300))
    backend = Recorded(repeat(ContextOverflow("no")))
    with pytest.raises(ContextOverflow, match="no"):
        talk.run(talk.agent(backend), "Hi")
    sizes = [len(request.messages[0].text) for request in backend.sent]
    assert sorted(set(sizes), reverse=True) == sizes
    assert 1 < len(sizes)


# The window fills while the answer is written


def test_an_answer_that_the_window_cut_goes_on(talk, only):
    """The provider counts 1.5 times as much: what was meant for the answer is full before."""
    first = Answer("The first half ", finish="length", usage=Usage(480, 30))
    backend = Recorded(["ok"] * 3 + [first, "and the second."], window=8192)
    events = talk.run(
        talk.agent(backend, output_reserve=200), *[f"{n}: " + "word " * 120 for n in range(4)]
    )
    assert "The first half and the second." == events[-1].text
    assert [OverflowReported(None, 510, 1, "cut")] == only(events, OverflowReported)
    assert ["The first half ", "and the second."] == [m.text for m in talk.messages()[-2:]]
    assert talk.messages()[-2].meta["cut"]
    before, going_on = (backend.sent[-2], backend.sent[-1])
    assert "user" == going_on.messages[-1].role
    assert "The first half " == going_on.messages[-2].text
    assert "Go on" in going_on.messages[-1].text
    assert all("Go on" not in message.text for message in talk.messages())
    counter = estimating_counter()
    sizes = [sum(counter.count(m).tokens for m in r.messages) for r in (before, going_on)]
    assert sizes[1] <= 0.8 * sizes[0]


def test_an_answer_is_continued_three_times_at_most(talk, only):
    endless = repeat(Answer("more ", finish="length", usage=Usage(480, 30)))
    backend = Recorded(endless)
    events = talk.run(talk.agent(backend, output_reserve=200), "word " * 300)
    assert "more more more more " == events[-1].text
    assert 4 == len(backend.sent)
    assert 3 == len(only(events, OverflowReported))
    assert "cut" not in talk.messages()[-1].meta
    assert "length" == talk.messages()[-1].meta["finish"]


def test_a_continued_answer_is_legal_for_every_provider(talk):
    for rules in ("openai", "anthropic", "gemini"):
        first = Answer("One, ", finish="length", usage=Usage(480, 30))
        backend = Recorded([first, "two.", "Yes."], strict=rules)
        events = talk.run(talk.agent(backend, output_reserve=200), "Count " * 300, "And?")
        assert "Yes." == events[-1].text
        assert "user" == backend.sent[1].messages[-1].role
        assert 0 == backend.refused


def test_a_text_that_cannot_go_on_ends_where_it_is(talk):
    """What must be sent cannot be made smaller."""
    backend = Recorded([Answer("Well, ", finish="length", usage=Usage(100, 60)), "never"])
    events = talk.run(talk.agent(backend, output_reserve=200), "x")
    assert TurnFinished("Well, ", 1, Usage(100, 60)) == events[-1]
    assert 1 == len(backend.sent)


# Silently too long


def test_an_answer_to_a_request_longer_than_the_window_is_kept_and_the_next_is_smaller(talk, only):
    backend = Recorded(["ok"] * 4 + [Answer("Kept.", usage=Usage(9000, 3)), "Then."])
    events = talk.run(talk.agent(backend), *[f"{n}: " + "word " * 900 for n in range(6)])
    assert [OverflowReported(8192, 9000, 1, "over")] == only(events, OverflowReported)
    assert "Kept." in [m.text for m in talk.messages()]
    counter = estimating_counter()
    sizes = [sum(counter.count(m).tokens for m in r.messages) for r in backend.sent]
    assert sizes[-1] < sizes[-2]
    assert 6 == len(backend.sent)


def test_nothing_at_a_full_window_is_asked_again_with_less(talk, only):
    nothing = Answer("", finish="stop", usage=Usage(8192, 0))
    backend = Recorded(["ok"] * 3 + [nothing, "Now."])
    events = talk.run(talk.agent(backend), *["word " * 1000] * 4)
    assert [OverflowReported(None, 8192, 1)] == only(events, OverflowReported)
    assert "Now." == events[-1].text
    assert never_twice(backend)


# Another model


class Wordy:
    """A tokenizer that sees a third more than the estimator."""

    name = "wordy"

    def count(self, item, /):
        count = estimating_counter().count(item)
        return count._replace(tokens=count.tokens * 4 // 3)

    def count_text(self, text, /):
        count = estimating_counter().count_text(text)
        return count._replace(tokens=count.tokens * 4 // 3)


@pytest.mark.parametrize("rules", ["openai", "anthropic", "gemini"])
def test_a_session_of_100k_goes_on_with_a_model_of_8k_and_another_tokenizer(talk, only, rules):
    large = ModelInfo("large", "test", window=100_000, max_output=1000)
    first = Recorded(["ok " * 500] * 30, window=100_000, strict="openai")
    talk.run(
        Agent(first, model="large", info=large), *[f"{n}: " + "word " * 1500 for n in range(30)]
    )
    last = sum(estimating_counter().count(m).tokens for m in first.sent[-1].messages)
    assert last > 60_000

    small = ModelInfo("small", "test", window=8192, max_output=1000)
    second = Recorded(["Here."] * 2, window=8192, counter=Wordy(), strict=rules)
    engine = ContextEngine((), Wordy())
    agent = Agent(second, model="small", info=small, engine=engine)
    events = talk.run(agent, "Are you there?", "Really?")
    assert 0 == second.refused
    assert ["Here.", "Here."] == [event.text for event in only(events, TurnFinished)]
    assert only(events, ContextFitted)[0].tokens_after <= 8192
    assert second.sent[0].messages[0].text.startswith("0: word")
    assert "Are you there?" == second.sent[0].messages[-1].text
    for request in second.sent:
        assert sum(Wordy().count(m).tokens for m in request.messages) <= 8192
    assert Text("Here.") in talk.messages()[-1].parts
