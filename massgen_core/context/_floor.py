"""The floor: the deterministic last resort, which needs no plugin.

It drops the oldest groups that may go, then cuts texts by one common limit, the largest that fits:
first results, arguments and answers, then pinned and earlier user messages, then the newest user
message. System messages are cut last, and only where they leave no room for the question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from massgen_core.context._apply import clip_group, is_summary
from massgen_core.context._plan import Clip, Drop, Restore
from massgen_core.context._view import View
from massgen_core.errors import ContextOverflowError
from massgen_core.messages import Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from massgen_core.context._groups import Group
    from massgen_core.context._plan import FitContext
    from massgen_core.tokens import TokenCounter

NAME: Final = "floor"
_NEWEST_SHARE: Final = 2
"""The newest group may fill 1/2 of the limit before older ones go: it must not cost all of them."""
_STEP_SHARE: Final = 4
"""A question that must be cut leaves 1/4 of its room to the steps that answer it: if their results
had none, the model would ask for them again and again."""
_LEAST: Final = 4
"""Tokens below which cutting a text frees nothing: a bare handle is about this long."""
_TABLE_ROWS: Final = 8
_LEAST_ROOM: Final = 128
"""Tokens that must be left beside the system messages: a question, and what it is about."""
_SYSTEM_SHARE: Final = 2
"""System prompts that must be cut get 1/2 of the limit: the rest has to hold a conversation."""

Step: TypeAlias = "tuple[View, Drop | Clip | Restore]"


def floor(view: View, limit: int, ctx: FitContext, *, clip_system: bool) -> Iterator[Step]:
    """Steps down to `limit`: each the view after it and the operation that led there.

    Args:
        view: What is too large.
        limit: Tokens it may have.
        ctx: Says what is protected.
        clip_system: Whether system messages may be cut at last.

    Raises:
        ContextOverflowError: Even with all texts cut it does not fit.
    """
    stages = [
        *(_clip_newest, _drop_oldest, _clip_question, _clip_newest),
        *(_drop_newest, _clip_old, _clip_user),
    ]
    for stage in [*stages, _clip_system] if clip_system else stages:
        if view.tokens <= limit:
            return
        step = stage(view, limit, ctx)
        if step is not None:
            view = step[0]
            yield step
    if view.tokens > limit:
        raise overflow(view, limit)


def system_within(view: View, limit: int, ctx: FitContext) -> Step | None:
    """The view with its system messages whole, or cut to their share if they leave no room.

    Asked before the strategies, which then share out what room there is. None if the view has them
    so already.
    """
    shown = [group for group in view if group.role == "system"]
    said = [ctx.history[group.number] for group in shown]
    tokens = sum(group.tokens for group in said)
    others = view.tokens - sum(group.tokens for group in shown)
    if tokens + min(_LEAST_ROOM, others) > limit:
        return _with_system(view, said, limit // _SYSTEM_SHARE, limit, ctx.counter)
    if not any(group.changed for group in shown):
        return None
    whole = {group.number: group for group in said}
    new = View(whole.get(group.number, group) for group in view)
    return new, Restore(tuple(whole), "the system prompt fits the budget again")


def overflow(view: View, limit: int) -> ContextOverflowError:
    """The typed error, with a table of what takes the room."""
    rows = sorted(((_label(group), group.tokens) for group in view), key=lambda row: -row[1])
    listing = ", ".join(f"{what}: {tokens}" for what, tokens in rows[:3])
    return ContextOverflowError(
        f"what must be sent needs {view.tokens} tokens, {limit} are available ({listing})",
        limit=limit,
        used=view.tokens,
        table=rows[:_TABLE_ROWS],
        hint="Shorten the system prompt or let it be cut (context.clip_system), raise the budget, "
        "or choose a model with a larger window.",
    )


def newest_user(view: View) -> Group | None:
    """The newest group in which the user speaks; None if there is none."""
    for index in range(len(view) - 1, -1, -1):
        group = view[index]
        if group.role == "user" and not is_summary(group):
            return group
    return None


def _clip_newest(view: View, limit: int, ctx: FitContext) -> Step | None:
    newest = view.last
    if newest is None or newest.number in ctx.protected:
        return None
    alone = all(group.number in ctx.protected for group in view if group is not newest)
    least = 0 if alone else limit // _NEWEST_SHARE
    return _clip_to(view, [newest], limit, least, ctx.counter)


def _drop_oldest(view: View, limit: int, ctx: FitContext) -> Step | None:
    excess = view.tokens - limit
    out: list[int] = []
    for group in sorted(ctx.droppable(view), key=is_summary):  # what stands for many goes last
        if excess <= 0:
            break
        out.append(group.number)
        excess -= group.tokens
    return _without(view, out, "the window is full and no strategy made room")


def _clip_question(view: View, limit: int, ctx: FitContext) -> Step | None:
    """Cuts the newest user message, if beside it the newest step would have to go."""
    user, newest = newest_user(view), view.last
    if user is None or newest is None or newest.number in ctx.protected:
        return None
    rest = view.tokens - user.tokens - newest.tokens
    room = limit - rest - min(newest.tokens, max(0, limit - rest) // _STEP_SHARE)
    if rest + user.tokens + _smallest(newest, ctx.counter) <= limit:
        return None  # it can stay as it is, with its results cut
    return _clip_to(view, [user], limit, room, ctx.counter)


def _smallest(group: Group, counter: TokenCounter) -> int:
    return clip_group(group, _LEAST, counter, binaries=True).tokens


def _drop_newest(view: View, limit: int, ctx: FitContext) -> Step | None:
    del limit
    newest = view.last
    if newest is None or newest.number in ctx.protected or newest.open:
        return None
    return _without(view, [newest.number], "even its clipped results do not fit the window")


def _clip_old(view: View, limit: int, ctx: FitContext) -> Step | None:
    user = newest_user(view)
    groups = [group for group in view if group.role != "system" and group is not user]
    return _clip_to(view, groups, limit, 0, ctx.counter)


def _clip_user(view: View, limit: int, ctx: FitContext) -> Step | None:
    user = newest_user(view)
    if user is None:
        return None
    room = max(0, limit - (view.tokens - user.tokens))
    return _clip_to(view, [user], limit - room // _STEP_SHARE, 0, ctx.counter)


def _clip_system(view: View, limit: int, ctx: FitContext) -> Step | None:
    said = [ctx.history[group.number] for group in view if group.role == "system"]
    others = sum(group.tokens for group in view if group.role != "system")
    return _with_system(view, said, max(0, limit - others), limit, ctx.counter)


def _with_system(
    view: View, said: Sequence[Group], room: int, limit: int, counter: TokenCounter
) -> Step | None:
    """The view with the system messages that were `said` cut to `room`; None if it has them so."""
    level, cut = _cut(said, room, counter)
    new = View(cut.get(group.number, group) for group in view)
    changed = tuple(g.number for g, was in zip(new, view, strict=True) if g != was)
    if not changed:
        return None
    tokens = sum(group.tokens for group in said)
    alone = "alone is larger than the budget" if tokens > limit else "leaves too little room"
    reason = f"WARNING: the system prompt {alone} ({tokens} of {limit} tokens); it was cut"
    return new, Clip(changed, level, reason)


def _without(view: View, numbers: Sequence[int], reason: str) -> Step | None:
    if not numbers:
        return None
    out = frozenset(numbers)
    left = [group for group in view if group.number not in out]
    return View(left), Drop(tuple(numbers), reason)


def _clip_to(
    view: View, groups: Sequence[Group], limit: int, least: int, counter: TokenCounter
) -> Step | None:
    """Cuts `groups` by the largest common limit that brings the view to `limit`."""
    tokens = sum(group.tokens for group in groups)
    room = max(limit - (view.tokens - tokens), least)
    if tokens <= room:
        return None
    level, clipped = _cut(groups, room, counter)
    changed = [group.number for group in groups if clipped[group.number] is not group]
    if not changed:
        return None
    new = View(clipped.get(group.number, group) for group in view)
    return new, Clip(tuple(changed), level, "larger than the room the window has for it")


def _cut(groups: Sequence[Group], room: int, counter: TokenCounter) -> tuple[int, dict[int, Group]]:
    """The largest common limit with which `groups` have at most `room` tokens; what comes of it."""
    tokens = sum(group.tokens for group in groups)
    sizes = sorted(size for group in groups for size in _sizes(group, counter))
    level = max(_level(sizes, room - (tokens - sum(sizes))), _LEAST)
    while True:
        cut = {group.number: clip_group(group, level, counter, binaries=True) for group in groups}
        if level <= _LEAST or sum(group.tokens for group in cut.values()) <= room:
            return level, cut
        level = max(level * 7 // 8, _LEAST)


def _level(sizes: Sequence[int], room: int) -> int:
    """The largest level with ``sum(min(size, level)) <= room``; `sizes` ascending."""
    for index, size in enumerate(sizes):
        left = len(sizes) - index
        if size * left > room:
            return max(0, room // left)
        room -= size
    return sizes[-1] if sizes else 0


def _sizes(group: Group, counter: TokenCounter) -> Iterator[int]:
    count: Callable[[str], int] = lambda text: counter.count_text(text).tokens  # noqa: E731
    for message in group.messages:
        for part in message.parts:
            if isinstance(part, Text):
                yield count(part.text)
            elif isinstance(part, ToolCall):
                yield count(part.arguments)
            elif isinstance(part, ToolResult):
                yield sum(count(item.text) for item in part.content if isinstance(item, Text))


def _label(group: Group) -> str:
    start = " ".join(group.text.split())[:40]
    return f"{group.role} message {group.number} {start!r}"
