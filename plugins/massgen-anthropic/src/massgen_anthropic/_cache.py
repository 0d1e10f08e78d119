"""Where the provider may cut its prompt cache.

The API reads tools, system and messages in this order and keeps what ends at a marker, at most
four in a request. A request reads the longest kept start: the marks at the end of the newest user
turn, which this request writes, and of the one before it, which the last request wrote; and those
behind tools and system, which hold when the messages were fitted anew.
Source: Anthropic's documentation, "Prompt caching".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_anthropic._blocks import Block
    from massgen_anthropic._wire import Wire

MOST: Final = 4
_UNMARKABLE: Final = frozenset({"thinking", "redacted_thinking"})
_TURNS: Final = 2  # user turns with a mark


def marked(body: Wire, keep: Literal["5m", "1h"]) -> Wire:
    """The request with its marks, at most `MOST`; `body` is left as it is."""
    mark = {"type": "ephemeral"} if keep == "5m" else {"type": "ephemeral", "ttl": keep}
    out = dict(body)
    for part in ("tools", "system"):
        if blocks := body.get(part):
            out[part] = _with_mark(blocks, len(blocks) - 1, mark)
    turns = list(body["messages"])
    users = [index for index, turn in enumerate(turns) if turn["role"] == "user"]
    for index in users[-_TURNS:]:
        content = turns[index]["content"]
        if (last := _last_markable(content)) is not None:
            turns[index] = {**turns[index], "content": _with_mark(content, last, mark)}
    return {**out, "messages": turns}


def _last_markable(content: Sequence[Block]) -> int | None:
    for index in range(len(content) - 1, -1, -1):
        if content[index]["type"] not in _UNMARKABLE:
            return index
    return None


def _with_mark(blocks: Sequence[Block], index: int, mark: dict[str, Any]) -> list[Block]:
    return [
        {**block, "cache_control": mark} if at == index else block
        for at, block in enumerate(blocks)
    ]
