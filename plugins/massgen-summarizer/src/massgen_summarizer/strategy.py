"""The summarizer: what leaves the window leaves a summary behind, written by a model.

What leaves, and how much room there is for a text in its place, is the digest's decision; the
digest's own text is what is left behind wherever there is no summary.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from massgen_core.context import FitContext, Goal, Plan, Produced, Replace, View, quoted
from massgen_core.errors import MassgenError
from massgen_digest.settings import Settings as DigestSettings
from massgen_digest.strategy import Digest
from massgen_summarizer.prompt import SummaryFailed, with_marked_constraints
from massgen_summarizer.settings import Settings
from massgen_summarizer.transcript import is_summary, transcript
from massgen_summarizer.writer import Model, Writer, too_expensive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from massgen_core.context import Group
    from massgen_core.plugin import PluginContext
    from massgen_core.tokens import TokenCounter

_FRAME: Final = 48
"""Tokens of the message around a summary: its frame, tag and handle."""
_LEAST: Final = 96
"""Tokens of room below which a summary says less than an extract."""
_LONGEST_REASON: Final = 200
"""Characters that a failure may add to the reason of an operation."""
_USUAL_WINDOW: Final = 8192
"""Tokens to reckon with for a model of which only its backend knows the window."""


class Summarizer:
    """Replaces the oldest groups by a summary of them, and of the summary before it.

    Args:
        settings: Who may write for how much.
        model: Who writes; None leaves extracts only.

    Attributes:
        background: Whether the agent goes on while a summary is written.
    """

    name = "summarizer"

    def __init__(self, settings: Settings, model: Model | None) -> None:
        self.background = settings.background
        self._settings = settings
        self._model = model
        self._digest = Digest(DigestSettings(share=settings.share, user_share=settings.user_share))

    def plan(self, view: View, goal: Goal, ctx: FitContext) -> Plan | None:
        """The digest's plan, with a summary in the place of the extract where it is worth it."""
        plan = self._digest.plan(view, goal, ctx)
        if plan is None:
            return None
        operations = [
            self._summarised(one, view, goal, ctx) if isinstance(one, Replace) else one
            for one in plan.operations
        ]
        return Plan(tuple(operations))

    def _summarised(self, extract: Replace, view: View, goal: Goal, ctx: FitContext) -> Replace:
        """The operation with a summary, or with the reason why it stays an extract."""
        numbers = frozenset(extract.groups)
        leaving = [group for group in view if group.number in numbers]
        text = transcript(self._read(leaving, ctx))
        allowed = min(self._settings.max_tokens, extract.limit - _FRAME)
        evicted = sum(group.tokens for group in leaving)
        try:
            self._check_gain(evicted - extract.limit, extract.limit, goal)
            price = self._price(text, allowed)
        except SummaryFailed as failure:
            return replace(extract, produce=_producer(extract, failure), reason=_reason(failure))
        return replace(
            extract,
            produce=self._producer(text, allowed, ctx.counter, extract),
            reason="the oldest leave a summary behind",
            price=price,
        )

    def _read(self, leaving: Sequence[Group], ctx: FitContext) -> list[Group]:
        """What the summarizer reads of each group; an earlier summary as it stands."""
        if not self._settings.originals:
            return list(leaving)
        return [one if is_summary(one) else ctx.history[one.number] for one in leaving]

    def _check_gain(self, gain: int, room: int, goal: Goal) -> None:
        """Nothing, if a text of `room` tokens that frees `gain` is worth a price; as the engine."""
        least = max(int(self._settings.min_gain * goal.limit), room)
        if gain < least:
            raise SummaryFailed(f"it is sure to free {gain} tokens only, {least} would be worth it")

    def _price(self, text: str, allowed: int) -> int:
        """Estimated tokens that a summary reads and writes.

        Raises:
            SummaryFailed: It is too much, or nobody can be asked.
        """
        if self._model is None:
            raise SummaryFailed("no backend can be asked here")
        if not text:
            raise SummaryFailed("there is no text in it")
        if allowed < _LEAST:
            raise SummaryFailed(f"there is room for {max(0, allowed)} tokens only")
        window = self._model.known_window(otherwise=_USUAL_WINDOW)
        price = self._model.sizes(window, allowed).price(self._model.count(text))
        most = self._settings.max_price
        if most is not None and price > most:
            raise too_expensive(price, most)
        return price

    def _producer(
        self, text: str, allowed: int, counter: TokenCounter, extract: Replace
    ) -> Callable[[], Awaitable[Produced]]:
        async def produce() -> Produced:
            try:
                async with asyncio.timeout(self._settings.timeout):
                    return await self._write(text, allowed, counter)
            except TimeoutError:
                failure = SummaryFailed(f"it took more than {self._settings.timeout:g} seconds")
            except SummaryFailed as exc:
                failure = exc
            except MassgenError as exc:
                failure = SummaryFailed(f"{type(exc).__name__}: {exc.message}")
            return await _extracted(extract, failure)

        return produce

    async def _write(self, text: str, allowed: int, counter: TokenCounter) -> Produced:
        assert self._model is not None  # noqa: S101 - a price was found
        writer = await Writer.of(self._model, allowed, self._settings.max_price)
        writer.check_price(text)
        summary = quoted(with_marked_constraints(await writer.summary(text), text))
        size = counter.count_text(summary).tokens
        if size > allowed:
            raise SummaryFailed(f"its answer has {size} tokens, {allowed} were allowed")
        requests = f"{writer.requests} request" + "s" * (writer.requests != 1)
        return Produced(
            summary,
            f"the oldest leave a summary behind, written by {self._model.name} in {requests}",
        )


def make(settings: Settings | None, ctx: PluginContext) -> Summarizer:
    """The strategy; called by massgen-core.

    Raises:
        PluginError: The backend of the settings cannot be used.
        SettingsError: Its own settings are wrong.
    """
    settings = settings or Settings()
    if ctx.backend is None:
        return Summarizer(settings, None)
    chosen = settings.backend
    section = None if chosen is None else chosen.model_dump(exclude_none=True)
    backend, model = ctx.backend(section)
    return Summarizer(settings, Model(backend, model, ctx.models, settings.window))


def _producer(extract: Replace, failure: SummaryFailed) -> Callable[[], Awaitable[Produced]]:
    return lambda: _extracted(extract, failure)


async def _extracted(extract: Replace, failure: SummaryFailed) -> Produced:
    """The digest's text, and why it is not a summary."""
    made = await extract.produce()
    text = made.text if isinstance(made, Produced) else made
    return Produced(text, _reason(failure))


def _reason(failure: SummaryFailed) -> str:
    why = " ".join(str(failure).split())[:_LONGEST_REASON]
    return f"the oldest leave an extract behind; no summary: {why}"
