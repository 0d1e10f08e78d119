"""The notice: what the model is told of what left its window."""

from __future__ import annotations

import re
from itertools import repeat

import pytest

from massgen_core.context import ContextEngine, Drop, Plan
from massgen_core.events import ContextFitted, Usage
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.tokens import estimating_counter

COUNTER = estimating_counter()
LEFT = re.compile(r"\[Messages left out of this conversation to make room: (\d+)\. .* recall ")


class Oldest:
    name = "oldest"

    def plan(self, view, goal, ctx):
        groups = ctx.droppable(view)
        return Plan((Drop(tuple(group.number for group in groups[: len(groups) // 2]), "old"),))


def said(n):
    return f"{n}: " + "so it goes, " * 20


def size(request):
    messages = sum(COUNTER.count(message).tokens for message in request.messages)
    return messages + COUNTER.count(request.tools).tokens


def answer(request):
    return Answer("ok", usage=Usage(size(request), 1))


def talked(talk, turns=40, *, first=0, **options):
    """A conversation that outgrows its window; its backend and events."""
    backend = ScriptedBackend([answer] * turns, window=2048)
    engine = ContextEngine([Oldest()], COUNTER)
    options = {"notify": True, "output_reserve": 64, **options}
    agent = talk.agent(backend, engine=engine, **options)
    return backend, talk.run(agent, *[said(n) for n in range(first, first + turns)])


def notices(request):
    return [found for m in request.messages if (found := LEFT.match(m.text))]


def test_it_is_given_once_something_left_and_says_how_much(talk):
    backend, _ = talked(talk)
    texts = {message.text for message in talk.messages()}

    assert [] == notices(backend.requests[0])
    assert notices(backend.requests[-1])
    for number, request in enumerate(backend.requests):
        spoken = [message for message in request.messages if message.text in texts]
        left = 2 * number + 1 - len(spoken)
        assert [str(left)] * (left > 0) == [found.group(1) for found in notices(request)]


def test_it_stands_where_the_first_message_is_missing(talk):
    backend, _ = talked(talk)
    messages = backend.requests[-1].messages

    assert said(0) == messages[0].text
    assert LEFT.match(messages[1].text)
    assert "user" == messages[1].role


def test_between_fits_each_request_begins_with_the_one_before(talk):
    backend, events = talked(talk)
    fits, grew = sum(isinstance(event, ContextFitted) for event in events), 0
    for old, new in zip(backend.requests, backend.requests[1:], strict=False):
        grew += new.messages[: len(old.messages)] == old.messages

    assert fits > 2
    assert len(backend.requests) - 1 - fits == grew


def test_it_is_counted(talk):
    backend, _ = talked(talk)
    counted = [entry.body["counted"] for entry in talk.entries() if entry.kind == "usage"]

    assert counted == [size(request) for request in backend.requests]


def test_no_journal_holds_it(talk):
    backend, _ = talked(talk)

    assert notices(backend.requests[-1])
    assert [] == [m for m in talk.messages() if LEFT.match(m.text)]


def test_a_resumed_session_is_told_the_same(talk):
    before, _ = talked(talk)
    after, _ = talked(talk, 1, first=40)

    sent, again = before.requests[-1].messages, after.requests[0].messages
    assert [m.text for m in sent] == [m.text for m in again][: len(sent)]


@pytest.mark.parametrize("options", [{"notify": False}, {"recall": False}])
def test_without_the_way_back_or_the_wish_there_is_none(talk, options):
    backend, _ = talked(talk, **options)

    assert [] == [found for request in backend.requests for found in notices(request)]


def test_it_is_off_unless_asked_for(talk):
    backend = ScriptedBackend(repeat("ok"), window=2048)
    agent = talk.agent(backend, engine=ContextEngine([Oldest()], COUNTER), output_reserve=64)
    events = talk.run(agent, *map(said, range(40)))

    assert any(isinstance(event, ContextFitted) for event in events)
    assert [] == [found for request in backend.requests for found in notices(request)]
