"""Canaries, cache costs and edge cases."""

from __future__ import annotations

import pytest

from massgen_core.context import Drop, Plan
from massgen_core.measure import (
    Subject,
    billed,
    cache_costs,
    canaries,
    edges,
    retention,
    transcript,
)
from massgen_core.messages import user


class Forgets:
    """Leaves out everything that may be left out."""

    name = "forgets"

    def plan(self, view, goal, ctx):
        groups = tuple(group.number for group in ctx.droppable(view))
        return Plan((Drop(groups, "all"),)) if groups else None


class KeepsUsers(Forgets):
    """Leaves out everything but what users say."""

    name = "keeps_users"

    def plan(self, view, goal, ctx):
        groups = tuple(g.number for g in ctx.droppable(view) if g.role != "user")
        return Plan((Drop(groups, "work"),)) if groups else None


def found(strategy, counter, transcripts, budget=0.6):
    rows = canaries(Subject((strategy,), counter), transcripts, [budget])
    return {(row.fits, row.kind): row.verbatim for row in rows}


def test_canaries_are_looked_for_after_one_three_and_ten_fits(counter, tau):
    kinds = ("rule", "prohibition", "task", "fact")

    assert {(n, kind): 0 for n in (1, 3, 10) for kind in kinds} == found(
        Forgets(), counter, tau[:1]
    )


def test_what_users_said_is_found_where_it_is_kept(counter, tau):
    kept = found(KeepsUsers(), counter, tau[:1])

    assert (1, 1, 1, 0) == tuple(kept[1, k] for k in ("rule", "prohibition", "task", "fact"))


def test_a_budget_that_holds_no_mark_has_no_sightings(counter, tau):
    assert () == canaries(Subject((), counter), tau, [10])


def test_no_view_of_a_real_session_breaks_size_or_pairs(subject, pi, tau):
    rows = [
        *canaries(subject, [*pi, *tau], [0.5]),
        *cache_costs(subject, [*pi, *tau], [0.5]),
    ]

    assert rows
    assert {(0, 0)} == {(row.over, row.unpaired) for row in rows}


def story(counter, turns=120):
    chat = [
        {"role": role, "content": f"{role} {n} " + "and so on " * 40}
        for n in range(turns)
        for role in ("user", "assistant")
    ]
    return transcript(chat, counter, name="story")


def test_a_session_that_fits_is_read_from_the_cache(subject, counter):
    [cost] = cache_costs(subject, [story(counter, 10)], [100_000], targets=[0.6])

    assert (10, 0, 1.0) == (cost.turns, cost.breaks, cost.relative_cost)
    sizes = story(counter, 10).counts
    sent = [sum(sizes[: 2 * n + 1]) for n in range(10)]
    assert pytest.approx(sum(sent[:-1]) / sum(sent), abs=1e-4) == cost.cached
    paid = 0.1 * sum(sent[:-1]) + 1.25 * sent[-1]
    assert round(paid / 10) == cost.cost


def test_a_low_water_mark_costs_less_than_trimming_each_turn(subject, counter):
    high, low = cache_costs(subject, [story(counter)], [3000], targets=[1.0, 0.5])

    assert low.breaks < high.breaks
    assert low.relative_cost < 0.7 < high.relative_cost < 1.1
    assert low.cached > high.cached
    assert low.mean_tokens <= 3000


def test_every_edge_case_is_survived_even_by_the_floor_alone(floor_only):
    rows = edges(floor_only)

    assert 6 == len(rows)
    assert [] == [row.case for row in rows if not row.survived]
    assert {(True, "")} == {(row.question, row.error) for row in rows}


class KeepsAll:
    """Not one of ours: a message costs nine thousand tokens, and none is left out."""

    def fitted(self, history, length, budget):
        return history.messages[:length]

    def tokens(self, messages):
        return sum(9000 for _ in messages)


def test_a_view_over_the_budget_is_counted_and_does_not_survive():
    rows = edges(KeepsAll())

    assert 6 == len(rows)
    assert {(True, False, True)} == {(row.over, row.survived, row.question) for row in rows}


def test_what_another_library_keeps_is_scored_alike(pi):
    [found] = retention(KeepsAll(), pi, [0.5])

    assert found.cuts == found.over > 0
    assert (1.0, 1.0, 1.0) == (found.retained, found.in_context, found.user_text)


def test_requests_of_another_library_are_billed_by_what_they_have_in_common():
    def tokens(messages):
        return sum(len(message.text) for message in messages)

    rules, hello, answer, again = (user(text) for text in ("rules", "hello", "answer", "again"))
    requests = [[rules, hello], [rules, hello, answer, again], [rules, again]]

    found = billed(requests, tokens)

    assert (3, 10 + 21 + 10, 10 + 5, 1) == (found.turns, found.tokens, found.cached, found.breaks)
    assert pytest.approx(0.1 * 15 + 1.25 * 26) == found.cost
