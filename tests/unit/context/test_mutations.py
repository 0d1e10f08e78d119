"""For each invariant a deliberately broken engine or strategy: the suite's property catches it."""

import random
from dataclasses import replace
from typing import ClassVar

import pytest
from hypothesis import Phase, settings

from massgen_core.context import (
    Clip,
    ContextEngine,
    ContextWindow,
    Drop,
    FitReport,
    Plan,
    Replace,
    View,
)
from massgen_core.messages import Reasoning, Text
from massgen_core.testing import StrategySuite


class Oldest:
    """A sound strategy; the mutants below are broken around it."""

    name = "oldest"

    def plan(self, view, goal, ctx):
        excess, out = view.tokens - goal.tokens, []
        for group in ctx.droppable(view):
            if excess > 0:
                out.append(group.number)
                excess -= group.tokens
        return Plan((Drop(tuple(out), "oldest first"),)) if out else None


class Window(ContextWindow):
    """A window whose view is spoilt after each fit."""

    spoil: ClassVar = staticmethod(lambda groups: groups)

    def fit(self, limit):
        report = super().fit(limit)
        self.view = View(self.spoil(list(self.view)))
        return replace(report, tokens_after=self.view.tokens)


class Suite(StrategySuite):
    window_class: ClassVar = ContextWindow
    engine_class: ClassVar = ContextEngine

    def strategy(self):
        return Oldest()

    def window(self, messages, *, target=0.6, strategy=None):
        sound = super().window((), target=target, strategy=strategy).engine
        engine = self.engine_class(sound.strategies, sound.counter, target=target)
        window = self.window_class(engine)
        for message in messages:
            window.append(message)
        return window


def spoilt(function):
    """A suite over windows whose groups go through `function` after a fit."""
    window = type("Spoilt", (Window,), {"spoil": staticmethod(function)})
    return type("SpoiltSuite", (Suite,), {"window_class": window})


def with_strategy(strategy):
    return type("StrategyMutant", (Suite,), {"strategy": lambda self: strategy()})


def with_window(window):
    return type("WindowMutant", (Suite,), {"window_class": window})


def with_engine(engine):
    """A suite over an engine that is broken, whose strategy leaves a text behind."""
    mutant = {"engine_class": engine, "strategy": lambda self: InShort()}
    return type("EngineMutant", (Suite,), mutant)


class InShort:
    """Leaves a text behind for the older half; a sound strategy."""

    name = "in_short"

    def __init__(self, said="All went well."):
        self._said = said

    def plan(self, view, goal, ctx):
        groups = [group.number for group in ctx.droppable(view) if not group.changed]

        async def produce():
            return self._said

        half = tuple(groups[: len(groups) // 2])
        return Plan((Replace(half, produce, 40, "in short"),)) if half else None


class TakesAnyText(ContextEngine):
    """Makes up a text where there is none."""

    def _steps(self, *args, **options):
        steps = super()._steps(*args, **options)
        outcome = None
        try:
            while True:
                job = steps.send(outcome)
                outcome = yield job
                if isinstance(job, Replace):
                    outcome = "All went well."
        except StopIteration as done:
            return done.value


class KnowsOneTokenizer(ContextEngine):
    """Goes on with its own counts when another model takes over."""

    def with_counter(self, counter):
        return self


class TrustsWhatWasMade(ContextWindow):
    """Does not look whether the beginning still is the one a text was made from."""

    async def fit_async(self, limit):
        if self._prepared is not None:
            self._prepared.holds = lambda view: True
        return await super().fit_async(limit)


class Gullible(Suite):
    """A strategy that passes on whatever its model says, in a sentence of its own."""

    def summariser(self, said):
        return InShort(f"In short: {said}")


class SoundSuite(Suite):
    def strategy(self):
        return InShort()


class TrustingSuite(SoundSuite):
    window_class = TrustsWhatWasMade


class NeverFits(ContextWindow):
    def fit(self, limit):
        return FitReport(self.view.tokens, self.view.tokens, limit)


class ForgetsWhatItDid(ContextWindow):
    def fit(self, limit):
        return replace(super().fit(limit), operations=())


class CountsAllAgain(ContextWindow):
    def append(self, message, tokens=None):
        for said in self.view.messages:
            self.engine.counter.count(said)
        return super().append(message, tokens)


class TiresOut(ContextWindow):
    fits = 0

    def fit(self, limit):
        self.fits += 1
        assert self.fits < 6, "gave up"
        return super().fit(limit)


class Trims(ContextWindow):
    """Drops one more from the beginning with each request."""

    def fit(self, limit):
        report = super().fit(limit)
        self.view = View(list(self.view)[1:] or self.view)
        return report


class Dice(Oldest):
    def plan(self, view, goal, ctx):
        groups = [group.number for group in ctx.droppable(view)]
        return Plan((Drop(tuple(g for g in groups if random.random() < 0.5), "dice"),))


class Useless(Oldest):
    def plan(self, view, goal, ctx):
        return Plan((Clip((view[-1].number,), 10**9, "for show"),))


class Moody(Oldest):
    """Remembers that it was asked, and answers differently then."""

    def __init__(self):
        self.asked = 0

    def plan(self, view, goal, ctx):
        self.asked += 1
        return super().plan(view, goal, ctx) if self.asked % 2 else None


def drop_last_result(groups):
    return [
        g.with_messages(g.messages[:-1], g.counts[:-1]) if len(g.messages) > 1 else g
        for g in groups
    ]


def miscount(groups):
    return [group._replace(tokens=group.tokens + 1) for group in groups]


def drop_users(groups):
    return [group for group in groups if group.role != "user"] or groups


def drop_pending(groups):
    return groups[:-1] if groups and groups[-1].open else groups


def rewrite(change):
    def spoil(groups):
        return [g.with_messages(tuple(map(change, g.messages)), g.counts) for g in groups]

    return spoil


def without_reasoning(message):
    return replace(message, parts=tuple(p for p in message.parts if not isinstance(p, Reasoning)))


def cut_texts(message):
    parts = tuple(
        Text(f"{p.text[:7]}\n[… cut …]\n") if isinstance(p, Text) and len(p.text) > 7 else p
        for p in message.parts
    )
    return replace(message, parts=parts)


MUTANTS = [
    ("test_01_never_over_budget", with_window(NeverFits)),
    ("test_02_calls_and_results_are_paired", spoilt(drop_last_result)),
    ("test_03_pending_calls_stay", spoilt(drop_pending)),
    ("test_04_signed_reasoning_is_whole_or_gone", spoilt(rewrite(without_reasoning))),
    ("test_05_what_matters_stays", spoilt(lambda groups: groups[1:])),
    ("test_06_order_is_kept", spoilt(lambda groups: groups[::-1])),
    ("test_06_roles_are_legal_for_every_provider", spoilt(drop_users)),
    ("test_07_idempotent_and_deterministic", with_strategy(Dice)),
    ("test_08_a_fit_makes_progress", with_strategy(Useless)),
    ("test_09_a_long_run_terminates", with_window(TiresOut)),
    ("test_10_between_fits_the_beginning_is_stable", with_window(Trims)),
    ("test_11_everything_can_be_restored", with_window(ForgetsWhatItDid)),
    (
        "test_12_counts_equal_a_recount",
        spoilt(miscount),
    ),
    ("test_13_a_text_that_is_none_replaces_nothing", with_engine(TakesAnyText)),
    ("test_13_what_a_failing_model_says_is_no_summary", Gullible),
    ("test_14_an_item_larger_than_the_window", with_window(NeverFits)),
    ("test_15_a_switch_of_models_is_fitted_first", with_engine(KnowsOneTokenizer)),
    ("test_16_a_text_made_ahead_is_used_for_its_beginning_only", TrustingSuite),
    ("test_17_appending_counts_only_what_is_new", with_window(CountsAllAgain)),
    ("test_18_a_dry_run_is_the_run", with_strategy(Moody)),
    ("test_19_cuts_are_clean", spoilt(rewrite(cut_texts))),
]


@pytest.mark.parametrize(("name", "mutant"), MUTANTS, ids=[name[5:14] for name, _ in MUTANTS])
def test_the_property_catches_its_mutant(name, mutant, monkeypatch):
    quick = settings(max_examples=200, deadline=None, database=None, phases=[Phase.generate])
    # Hypothesis has no public way to run a test without shrinking, which takes most of the time.
    monkeypatch.setattr(getattr(StrategySuite, name), "_hypothesis_internal_use_settings", quick)
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - asserted below
        getattr(mutant(), name)()
    errors = getattr(caught.value, "exceptions", [caught.value])
    assert all(not isinstance(error, (NameError, AttributeError)) for error in errors)


@pytest.mark.parametrize("name", [name for name, _ in MUTANTS if name[5:7] in ("13", "15", "16")])
def test_what_the_mutants_of_texts_are_made_of_is_sound(name):
    suite = Suite() if "model" in name else SoundSuite()
    suite.summariser = lambda said: Oldest()
    getattr(suite, name)()


def test_every_property_has_a_mutant():
    numbered = {name for name in dir(StrategySuite) if name.startswith(("test_0", "test_1"))}
    assert numbered == {name for name, _ in MUTANTS}
