"""Relevance: what left and is needed again comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.context import Drop, FitContext, Goal, Plan, Restore, View, clip_newest
from massgen_relevance.lexical import LexicalScorer, Scorer
from massgen_relevance.meaning import MeaningScorer
from massgen_relevance.selection import Selection
from massgen_relevance.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_core.context import PlanOperation
    from massgen_core.memory import Embedder
    from massgen_core.plugin import PluginContext


class Relevance:
    """Drops the oldest groups, spares those that match the need, and brings such back that left.

    Args:
        settings: How much, and when.
        scorer: How well a group matches; by shared words and identifiers if omitted.
    """

    name = "relevance"

    def __init__(self, settings: Settings, scorer: Scorer | None = None) -> None:
        self._settings = settings
        self._scorer = scorer or LexicalScorer()

    def due(self, view: View) -> bool:
        """Whether something new is asked and something that may answer it is not in the view."""
        newest = view.last
        if newest is None or not self._settings.each_turn or newest.role != "user":
            return False
        return newest.number >= len(view)

    def plan(self, view: View, goal: Goal, ctx: FitContext) -> Plan | None:
        """Room first, if there is none; then an exchange of what tells little for what matches."""
        reserve = int(self._settings.share * goal.target * goal.limit)
        operations: list[PlanOperation] = []
        selection = Selection(view, ctx, reserve, self._settings.least)
        clip = clip_newest(view, goal.limit, ctx)
        if clip is not None:
            operations.append(clip)
            selection.resize(clip.groups[0], clip.limit * len(view[-1].messages))
        selection.score(self._scores(view, ctx))
        selection.shrink(goal.tokens)
        if clip is None:
            selection.exchange()
        if selection.out:
            operations.append(Drop(selection.out, "oldest first, what matches the need last"))
        if selection.back:
            operations.append(Restore(selection.back, "it matches what is needed now"))
        return Plan(tuple(operations)) if operations else None

    def _scores(self, view: View, ctx: FitContext) -> Mapping[int, float]:
        return self._scorer.scores(view, ctx)


class RelevanceByMeaning(Relevance):
    """As `Relevance`, with likeness of meaning added to the words that are shared.

    The engine awaits `prepare` before it asks for a plan, so that planning only reads. Without it,
    or if the embedder fails, shared words alone decide.

    Args:
        settings: How much, and when.
        embedder: Makes vectors of texts.
    """

    def __init__(self, settings: Settings, embedder: Embedder) -> None:
        super().__init__(settings)
        self._meaning = MeaningScorer(embedder)

    async def prepare(self, view: View, ctx: FitContext) -> None:
        """Makes the vectors that `plan` reads."""
        await self._meaning.prepare(view, ctx)

    def _scores(self, view: View, ctx: FitContext) -> Mapping[int, float]:
        scores = dict(super()._scores(view, ctx))
        for number, score in self._meaning.scores(view, ctx).items():
            scores[number] = scores.get(number, 0.0) + self._settings.meaning * score
        return scores


def make(settings: Settings | None, ctx: PluginContext) -> Relevance:
    """The strategy; called by massgen-core."""
    settings = settings or Settings()
    embedder = ctx.embedder() if ctx.embedder is not None and settings.meaning else None
    return Relevance(settings) if embedder is None else RelevanceByMeaning(settings, embedder)
