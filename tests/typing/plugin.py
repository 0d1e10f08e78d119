"""What plugin authors write type-checks: nothing here is run, mypy reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.backends import Backend, Caps, Request
from massgen_core.context import Drop, FitContext, Goal, Plan, TruncationStrategy, View
from massgen_core.errors import BackendError, Fatal
from massgen_core.events import BackendEvent, Finished, TextDelta
from massgen_core.plugin import PluginContext, Provides, hookimpl

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Oldest:
    name = "oldest"

    def plan(self, view: View, goal: Goal, ctx: FitContext) -> Plan | None:
        groups = ctx.droppable(view)[:1]
        return Plan((Drop((groups[0].number,), "oldest first"),)) if groups else None


class Echo:
    name = "echo"

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        yield TextDelta(request.messages[-1].text)
        yield Finished("stop", model=request.model)

    async def caps(self, model: str, /) -> Caps:
        return Caps(window=8192, max_output=1024, tools=False, images=False, reasoning=False)

    def classify(self, error: BaseException, /) -> BackendError:
        return Fatal(str(error), backend=self.name)

    async def aclose(self) -> None:
        return None


def strategy(settings: None, ctx: PluginContext) -> TruncationStrategy:
    return Oldest()


def backend(settings: None, ctx: PluginContext) -> Backend:
    return Echo()


@hookimpl
def massgen_strategy() -> Provides:
    return Provides(name="oldest", factory="oldest.strategy:strategy")
