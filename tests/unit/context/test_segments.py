"""What a view is used for, and what a fit costs the prompt cache."""

from __future__ import annotations

import pytest

from massgen_core.agents._recall import NAME
from massgen_core.context import (
    ContextEngine,
    ContextWindow,
    Drop,
    Plan,
    Replace,
    Segments,
    measured,
    segments_of,
)
from massgen_core.events import ContextMeasured
from massgen_core.messages import ToolCall, assistant, system, tool, user
from massgen_core.tokens import estimating_counter

COUNTER = estimating_counter()


class Proposes:
    name = "proposes"

    def __init__(self, *operations):
        self.operations = operations

    def plan(self, _view, _goal, _ctx):
        return Plan(self.operations)


def window_of(*operations):
    window = ContextWindow(ContextEngine([Proposes(*operations)], COUNTER))
    window.append(system("Be kind."))
    window.append(user("Look after the garden."))
    for name in ("dig", NAME):
        window.append(assistant("", ToolCall(name, name, "{}")))
        window.append(tool(name, "earth " * 20, name=name))
    for step in range(20):
        window.append(assistant(f"step {step} " * 10))
    return window


async def told():
    return "many steps"


def test_parts_of_a_view_are_told_apart_and_add_up():
    window = window_of(Replace(tuple(range(4, 20)), told, 50, "sum up"))
    before = segments_of(window.view)
    window.fit(window.view.tokens - 1)
    after = segments_of(window.view)

    sizes = [group.counts for group in window.history]
    assert Segments(sizes[0][0], sizes[3][1], 0, before.messages) == before
    assert window.view[4].tokens == after.summary > 0
    assert (before.system, before.memory) == (after.system, after.memory)
    assert window.view.tokens == sum((after.system, after.memory, after.summary, after.messages))


@pytest.mark.parametrize("first", [2, 10, 20])
def test_a_fit_costs_the_cache_what_follows_its_first_change(first):
    window = window_of(Drop((first, 21), "old"))
    report = window.fit(window.view.tokens - 1)

    after = [group.tokens for group in window.view if group.number > first]
    assert sum(after) == report.cache_cost > 0


def test_what_fits_costs_the_cache_nothing():
    window = window_of(Drop((2,), "old"))

    assert 0 == window.fit(window.view.tokens).cache_cost


def test_the_window_is_shared_out_in_the_tokens_of_the_provider():
    view = window_of().view
    parts = segments_of(view)
    beside = {
        "window": 10_000,
        "instructions": 100,
        "tools": 300,
        "room": 3600,
        "reserve": 1000,
        "full": 8000,  # twice what is counted
    }

    told = measured(view, beside)

    assert (200 + 2 * parts.system, 600, 2 * parts.memory, 0, 2 * parts.messages) == (
        told.system,
        told.tools,
        told.memory,
        told.summary,
        told.messages,
    )
    assert 800 + 2 * view.tokens == told.used
    assert (10_000, 1000, 8000) == (told.window, told.reserve, told.used + told.free)


def test_without_a_request_only_the_view_is_known():
    window = window_of()
    parts = segments_of(window.view)

    expected = ContextMeasured(0, parts.system, 0, parts.memory, 0, parts.messages, 0, 0)
    assert expected == measured(window.view, {})
