"""What the properties of strategies measure with: recounts, budgets, and what a clean cut is."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from massgen_core.messages import (
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from massgen_core.tokens import Count, ModelCatalogue, counter_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_core.context import ContextWindow, Group, View
    from massgen_core.messages import Part
    from massgen_core.tokens import TokenCounter

_LEAST_GROUP: Final = 64
"""Tokens that any group which must stay can be cut down to, its frame and marker included."""


class CachedCounter:
    """The tokenizer of gpt-4o with a memory, and with a tally of the messages it was asked for.

    Attributes:
        calls: How often a message was counted.
    """

    def __init__(self) -> None:
        counter = counter_for(ModelCatalogue.shipped().get("gpt-4o"))
        self.name = counter.name
        self.calls = 0
        self._count = lru_cache(maxsize=8192)(counter.count)
        self.count_text = lru_cache(maxsize=8192)(counter.count_text)

    def count(self, item: Any, /) -> Count:
        """The tokens of a message, a part or tools."""
        self.calls += isinstance(item, Message)
        return self._count(item)


@lru_cache(maxsize=1)
def counter() -> CachedCounter:
    return CachedCounter()


def recount(view: View, counter: TokenCounter) -> int:
    """Tokens of the view, from its messages alone."""
    return sum(counter.count(message).tokens for message in view.messages)


def floor_of(window: ContextWindow) -> int:
    """A budget at which a fit must succeed: system prompts whole, all else that stays cut small."""
    protected = window.engine.context(window.view, window.history).protected
    must = sum(g.tokens for g in window.history if g.role == "system" and g.number in protected)
    media = sum(media_tokens(window.history[n], window) for n in protected)
    return must + media + _LEAST_GROUP * (len(protected) + 1) + smallest(window.history[-1])


def media_tokens(group: Group, window: ContextWindow) -> int:
    """Tokens of the pictures in the group."""
    count = window.engine.counter.count
    return sum(
        count(part).tokens for m in group.messages for part in m.parts if part.kind == "image"
    )


def smallest(group: Group) -> int:
    """Tokens a group can be cut down to: its frames, names and markers, and its reasoning."""
    return _LEAST_GROUP + sum(
        400 if isinstance(part, Reasoning) else _LEAST_GROUP // 2
        for message in group.messages
        for part in message.parts
    )


def budget(window: ContextWindow, share: float) -> int:
    """A share of what was said, but not less than a fit can reach."""
    return max(int(window.view.tokens * share), floor_of(window))


def legal(messages: Sequence[Message]) -> list[Message]:
    """The history with a word in blank messages, and with ids that no two calls share."""
    out: list[Message] = []
    turn = 0
    for message in messages:
        turn += message.role != "tool"
        parts: list[Part] = []
        for part in message.parts:
            if isinstance(part, ToolCall):
                parts.append(replace(part, id=f"{part.id}_{turn}"))
            elif isinstance(part, ToolResult):
                parts.append(replace(part, call_id=f"{part.call_id}_{turn}"))
            else:
                blank = isinstance(part, Text) and not part.text.strip()
                parts.append(Text("Well.") if blank else part)
        out.append(replace(message, parts=tuple(parts)))
    return out


def reasoning(group: Group) -> list[Reasoning]:
    """All reasoning blocks of a group."""
    return [p for m in group.messages for p in m.parts if isinstance(p, Reasoning)]


def whole_turns(messages: Sequence[Message]) -> list[list[Message]]:
    """The history in pieces that begin with a user or system message."""
    turns: list[list[Message]] = []
    for message in messages:
        if message.role in ("user", "system") or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def huge_turn(where: str) -> list[Message]:
    """A turn with one item of about 20,000 tokens."""
    huge = "x7 lorem ipsum " * 4000
    text = {"user": huge, "assistant": "short", "tool": "short", "call": "short"}
    call = ToolCall("big", "read", json.dumps({"path": huge if where == "call" else "a.py"}))
    return [
        Message("user", (Text(text[where] if where == "user" else "short"),), "big/user", 0.0),
        Message("assistant", (Text(huge if where == "assistant" else "ok"), call), "big/call", 0.0),
        Message(
            "tool",
            (ToolResult("big", (Text(huge if where == "tool" else "ok"),)),),
            "big/result",
            0.0,
        ),
    ]


def assert_clean(part: Part, before: Part) -> None:
    """Asserts that `part` is `before`, or a clean cut of it."""
    if isinstance(part, ToolCall) and isinstance(before, ToolCall):
        assert isinstance(json.loads(part.arguments), dict)
    elif isinstance(part, Text) and isinstance(before, Text):
        assert_clean_text(part.text, before.text)
    elif isinstance(part, ToolResult) and isinstance(before, ToolResult):
        for one, other in zip(part.content, before.content, strict=True):
            assert_clean(one, other)


def assert_clean_text(text: str, before: str) -> None:
    """Asserts that what is left of the original is made of whole grapheme clusters."""
    if text == before:
        return
    import regex  # noqa: PLC0415 - a dependency of tiktoken

    boundaries = {0, *(match.end() for match in regex.finditer(r"\X", before))}
    runs = [(m.start(), m.end()) for m in regex.finditer(r"[A-Za-z0-9+/]{256,}={0,2}", before)]
    head, _, tail = text.partition("\n[… ")
    tail = tail.partition(" …]\n")[2]
    ends = [] if not before.startswith(head) else [len(head)]
    starts = [] if not before.endswith(tail) else [len(before) - len(tail)]
    for cut in ends + starts:
        assert cut in boundaries
        assert not any(start < cut < end for start, end in runs)
