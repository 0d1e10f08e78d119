"""What is paid for must be worth it, and what is changed must stay in order."""

from __future__ import annotations

import pytest

from massgen_core.context import ContextEngine, ContextWindow, Plan, Replace, View
from massgen_core.context import _work as work
from massgen_core.events import PlanRejected
from massgen_core.messages import ToolCall, assistant, tool, user
from massgen_core.tokens import estimating_counter


class Paid:
    """Replaces the two oldest groups that may go by a short text, for a price."""

    name = "paid"

    def __init__(self, limit, price=1000, text="short"):
        self.limit, self.price, self.text, self.paid = limit, price, text, 0

    async def produce(self):
        self.paid += 1
        return self.text

    def plan(self, view, goal, ctx):
        numbers = tuple(group.number for group in ctx.droppable(view))[:2]
        return Plan((Replace(numbers, self.produce, self.limit, "too old", self.price),))


def _fit(strategy, words, filler=0):
    """A fit over two old answers of `words` words each, in a view with `filler` more words."""
    window = ContextWindow(ContextEngine([strategy], estimating_counter(), target=0.5))
    window.append(user("task " * filler + "!"))
    window.append(assistant("word " * words))
    window.append(assistant("word " * words))
    window.append(user("Well?"))
    old = sum(group.tokens for group in window.history[1:3])
    return window.fit(window.view.tokens - 1), old


def test_a_paid_text_that_frees_its_own_size_is_made():
    strategy = Paid(limit=100)
    report, old = _fit(strategy, words=200)
    assert old >= 200
    assert 1 == strategy.paid
    assert "paid" == report.operations[0].strategy


def test_a_paid_text_larger_than_half_of_what_it_stands_for_is_refused_unpaid():
    strategy = Paid(limit=300)
    report, old = _fit(strategy, words=200)
    assert old - 300 < 300
    assert 0 == strategy.paid
    assert [PlanRejected] == [type(event) for event in report.events]
    assert 8 == report.events[0].invariant


def test_a_paid_text_that_frees_less_than_a_twentieth_of_the_limit_is_refused_unpaid():
    strategy = Paid(limit=30)
    report, old = _fit(strategy, words=60, filler=4000)
    assert old - 30 > 30
    assert 0 == strategy.paid
    assert 8 == report.events[0].invariant


def test_a_text_for_which_nothing_is_paid_may_free_little():
    strategy = Paid(limit=50, price=0)
    report, _ = _fit(strategy, words=60, filler=4000)
    assert 1 == strategy.paid
    assert () == report.events


def test_a_change_that_breaks_the_order_of_a_group_is_refused():
    window = ContextWindow(ContextEngine([], estimating_counter()))
    for message in (user("Hi"), assistant("", ToolCall("a", "f")), tool("a", "ok"), user("?")):
        window.append(message)
    group = window.history[1]
    lost = group.with_messages(group.messages[:1], group.counts[:1])
    after = View([window.history[0], lost, window.history[2]])
    with pytest.raises(work._Refused) as refused:
        work._check_order(window.view, after)
    assert 2 == refused.value.invariant
    work._check_order(window.view, window.view)
