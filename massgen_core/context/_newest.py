"""The newest group, which no plan may drop: what to do when it is larger than the room for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from massgen_core.context._plan import Clip

if TYPE_CHECKING:
    from massgen_core.context._plan import FitContext
    from massgen_core.context._view import View

_LEAST: Final = 32
"""Tokens a clipped text keeps at least: below that it is all marker."""


def clip_newest(view: View, limit: int, ctx: FitContext) -> Clip | None:
    """A clip of the newest group to half its room, if the window could not hold all of it.

    For strategies that would otherwise give every other group up for it. It frees about
    ``view[-1].tokens - clip.limit * len(view[-1].messages)`` tokens.

    Args:
        view: What is to be fitted.
        limit: Tokens it must not pass.
        ctx: Says what is protected.
    """
    newest = view.last
    if newest is None or newest.number in ctx.protected:
        return None
    protected = ctx.protected
    room = limit - sum([group.tokens for group in view if group.number in protected])
    if newest.tokens <= room:
        return None
    share = max(_LEAST, room // 2 // len(newest.messages))
    sizes = zip(newest.messages, newest.counts, strict=True)
    if all(size < 2 * share * len(message.parts) for message, size in sizes):
        return None  # cuts, with their markers, would hardly free anything
    return Clip((newest.number,), share, "larger than the window")
