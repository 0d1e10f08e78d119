"""What may happen around a strategy: to its texts, and to the model that reads its views."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from massgen_core.context import ContextEngine, ContextWindow, TruncationStrategy
from massgen_core.events import BackgroundMissed, PlanRejected
from massgen_core.testing._checks import budget, counter, floor_of, recount
from massgen_core.testing._histories import histories, long_talk
from massgen_core.testing._retold import (
    AHEAD,
    NO_TEXTS,
    Retold,
    Scaled,
    beginning,
    fitted_ahead,
    taken_over,
)
from massgen_core.testing._suite import Suite, check_capabilities, requires

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_core.messages import Message


properties = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.differing_executors,  # subclasses share these tests; no data depends on self
    ],
)


class SurroundingsSuite(Suite):
    """The part of `StrategySuite` whose properties spoil what surrounds the strategy."""

    @abstractmethod
    def strategy(self) -> TruncationStrategy:
        """A new strategy, as a user would get it."""

    def summariser(self, said: str | Exception) -> TruncationStrategy:
        """The strategy, with a model that says `said`, or fails with it; if it ``summarises``."""
        raise NotImplementedError

    def window(
        self,
        messages: Sequence[Message],
        *,
        target: float = 0.6,
        clip_system: bool = True,
        strategy: TruncationStrategy | None = None,
    ) -> ContextWindow:
        """A conversation with this strategy in its engine, or with another one."""
        chain = [strategy or self.strategy()]
        engine = ContextEngine(chain, counter(), target=target, clip_system=clip_system)
        window = ContextWindow(engine)
        for message in messages:
            window.append(message)
        return window

    def test_declares_whether_it_leaves_texts_behind(self) -> None:
        """The capability ``replaces``: some of its plans hold a `Replace`."""
        strategy = Retold(self.strategy(), AHEAD)
        for share in (0.8, 0.5, 0.3):
            window = self.window(long_talk(), strategy=strategy)
            window.fit(budget(window, share))
        seen = {"replaces"} if strategy.replaced else set()
        check_capabilities(declared=self.capabilities & {"replaces"}, seen=seen)

    @requires("replaces")
    @properties
    @given(histories(), st.floats(0.1, 1.0), st.sampled_from(NO_TEXTS))
    @example(long_talk(), 0.3, TimeoutError("no answer"))
    @example(long_talk(), 0.3, " \n")
    @example(long_talk(), 0.3, "Error code: 429 - rate limit exceeded")
    def test_13_a_text_that_is_none_replaces_nothing(
        self, messages: list[Message], share: float, said: str | Exception
    ) -> None:
        """A text that cannot be made, is empty, or is that of an error."""
        strategy = Retold(self.strategy(), said)
        window = self.window(messages, strategy=strategy)
        limit = budget(window, share)
        report = window.fit(limit)
        assert recount(window.view, window.engine.counter) <= limit
        assert "replace" not in {operation.kind for operation in report.operations}
        refused = [event for event in report.events if isinstance(event, PlanRejected)]
        assert not strategy.replaced or refused

    @requires("summarises")
    @properties
    @given(histories(), st.floats(0.1, 1.0), st.sampled_from(NO_TEXTS))
    @example(long_talk(), 0.3, "Error code: 429 - rate limit exceeded")
    def test_13_what_a_failing_model_says_is_no_summary(
        self, messages: list[Message], share: float, said: str | Exception
    ) -> None:
        """None of it is in the view, the fit makes room, and what was said is as it was."""
        window = self.window(messages, strategy=self.summariser(said))
        spoken = [message for group in window.history for message in group.messages]
        limit = budget(window, share)
        window.fit(limit)
        assert recount(window.view, window.engine.counter) <= limit
        assert [m for group in window.history for m in group.messages] == spoken
        if str(said).strip():
            told = {message.id for message in spoken}
            new = [message.text for message in window.view.messages if message.id not in told]
            assert not any(str(said).strip() in text for text in new)

    @properties
    @given(histories(), st.floats(0.1, 1.0), st.floats(0.1, 1.0), st.sampled_from((0.7, 1.3, 2.0)))
    @example(long_talk(), 0.5, 0.5, 1.3)
    @example(long_talk(), 0.5, 1.0, 2.0)
    def test_15_a_switch_of_models_is_fitted_first(
        self, messages: list[Message], share: float, other_share: float, factor: float
    ) -> None:
        """The view of one model fits another's window, by the other's tokenizer."""
        window = self.window(messages)
        report = window.fit(budget(window, share))
        tokenizer = Scaled(counter(), factor)
        other = taken_over(window, report, tokenizer)
        least = math.ceil(factor * floor_of(window))
        limit = max(int(window.view.tokens * other_share), least)
        other.fit(limit)
        assert recount(other.view, tokenizer) <= limit
        assert [g.messages for g in other.history] == [g.messages for g in window.history]

    @requires("replaces")
    @properties
    @given(histories(), st.sampled_from(("nothing", "edit", "leave")), st.integers(0, 99))
    @example(long_talk(), "nothing", 0)
    @example(long_talk(), "edit", 0)
    @example(long_talk(), "leave", 3)
    def test_16_a_text_made_ahead_is_used_for_its_beginning_only(
        self, messages: list[Message], change: str, place: int
    ) -> None:
        """If anything up to its end changed while it was made, it is not used, and that is told."""
        strategy = Retold(self.strategy(), AHEAD, background=True)
        window = self.window(messages, strategy=strategy)
        fit = fitted_ahead(window, strategy, change, place)
        if fit is None or not fit.made:
            return
        last, made_for = strategy.replaced[0]
        used = "replace" in {operation.kind for operation in fit.report.operations}
        told = {type(event) for event in fit.report.events}
        if beginning(fit.before, last) == made_for:
            assert used or PlanRejected in told
        else:
            assert not used
            assert BackgroundMissed in told
