"""The floor passes the suite alone, and so do the operations no first-party strategy uses yet."""

from massgen_core.context import Clip, Mask, Offload, Plan, Replace
from massgen_core.testing import StrategySuite


def said(message):
    """Characters that can be cut: a picture has many tokens, and none."""
    return len(message.text) + sum(len(result.text) for result in message.results)


class Idle:
    name = "idle"

    def plan(self, view, goal, ctx):
        return None


class ClipsAll:
    name = "clips_all"

    def plan(self, view, goal, ctx):
        groups = tuple(
            g.number
            for g in view
            if g.number not in ctx.protected
            and any(
                size > 400 and said(m) > 800 for m, size in zip(g.messages, g.counts, strict=True)
            )
        )
        return Plan((Clip(groups, 40, "test"),)) if groups else None


class MasksResults:
    name = "masks_results"

    def plan(self, view, goal, ctx):
        groups = tuple(
            g.number
            for g in view
            if g.number not in ctx.protected
            and any(m.results and size > 60 for m, size in zip(g.messages, g.counts, strict=True))
        )
        return Plan((Mask(groups, "test"), Offload(groups, 60, "test"))) if groups else None


class Summarises:
    name = "summarises"

    def plan(self, view, goal, ctx):
        groups = tuple(g.number for g in ctx.droppable(view) if not g.changed)

        async def produce():
            return f"{len(groups)} groups"

        return Plan((Replace(groups, produce, 100, "test"),)) if len(groups) > 3 else None


class TestFloorAlone(StrategySuite):
    def strategy(self):
        return Idle()


class TestClip(StrategySuite):
    def strategy(self):
        return ClipsAll()


class TestMaskAndOffload(StrategySuite):
    def strategy(self):
        return MasksResults()


class TestReplace(StrategySuite):
    capabilities = frozenset({"replaces"})

    def strategy(self):
        return Summarises()
