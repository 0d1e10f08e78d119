"""What a counter is, and how parts, messages and tools become numbers once text can be measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, TypeAlias, assert_never

from massgen_core.messages import (
    Audio,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Unknown,
)
from massgen_core.tokens import _media
from massgen_core.tokens._images import image_formula, image_size

Length: TypeAlias = Callable[[str], int]

CALL_OVERHEAD: Final = 3
"""Tokens of the frame around one tool call: recipient, constraint and closing mark."""
RESULT_OVERHEAD: Final = 3
"""Tokens of the frame around one tool result."""
TOOLS_OVERHEAD: Final = 9
"""Tokens of the frame around all tools, as in ``# Tools ## functions namespace functions {``."""
TOOL_OVERHEAD: Final = 8
"""Tokens of the frame around one tool, as in ``{"type":"function","function":…}``."""


class Count(NamedTuple):
    """A number of tokens.

    Attributes:
        tokens: How many.
        exact: True if the model's own tokenizer counted all of it; False if any is an estimate.
    """

    tokens: int
    exact: bool


class TokenCounter(Protocol):
    """Counts what a request is made of; the sum over its messages and tools is the request.

    A complete counter, four characters a token::

        from massgen_core.messages import Message, ToolSpec
        from massgen_core.tokens import Count

        class Quarter:
            name = "quarter"

            def count_text(self, text, /):
                return Count(-(-len(text) // 4), exact=False)

            def count(self, item, /):
                if isinstance(item, Message):
                    return Count(3 + sum(self.count(p).tokens for p in item.parts), exact=False)
                return self.count_text(str(item))
    """

    @property
    def name(self) -> str:
        """Names the way of counting; stored with each count, one of another name is recounted."""
        ...

    def count(self, item: Part | Message | Sequence[ToolSpec], /) -> Count:
        """The tokens of a part, of a message with its frame, or of the tools of a request."""
        ...

    def count_text(self, text: str, /) -> Count:
        """The tokens of a text; text that looks like a special token is text."""
        ...


class PartCounter:
    """A `TokenCounter` made of a measure for text and formulas for the rest.

    Args:
        name: Stored beside each count.
        length: Tokens of a text.
        exact: Whether `length` is the model's own tokenizer.
        overhead: Tokens of the frame around one message.
        image: Name of an image formula, see `massgen_core.tokens.image_formula`.
        tools_overhead: Tokens of the frame around the tools of a request, 0 without tools.
    """

    __slots__ = (
        "_exact",
        "_image",
        "_length",
        "_name",
        "_name_length",
        "_overhead",
        "_tools_overhead",
    )

    def __init__(
        self,
        name: str,
        length: Length,
        *,
        exact: bool,
        overhead: int,
        image: str,
        tools_overhead: int = TOOLS_OVERHEAD,
    ) -> None:
        self._name = name
        self._length = length
        self._name_length = lru_cache(maxsize=512)(length)  # a session calls few tools, often
        self._exact = exact
        self._overhead = overhead
        self._image = image_formula(image)
        self._tools_overhead = tools_overhead

    def __repr__(self) -> str:
        return f"<counter {self._name}>"

    @property
    def name(self) -> str:
        """Names the way of counting."""
        return self._name

    def count_text(self, text: str, /) -> Count:
        """The tokens of a text."""
        return Count(self._length(text), self._exact)

    def count(self, item: Part | Message | Sequence[ToolSpec], /) -> Count:
        """The tokens of a part, of a message with its frame, or of the tools of a request."""
        if isinstance(item, Message):
            return self._message(item)
        if isinstance(item, Sequence):
            return self._tools(item)
        return self._part(item)

    def _message(self, message: Message) -> Count:
        tokens, exact = self._overhead, self._exact
        for part in message.parts:
            kind = type(part)  # a chain of type tests: half the time of `match` on the common kinds
            if kind is Text:
                tokens += self._length(part.text)  # type: ignore[union-attr]  # narrowed by `kind`
                continue
            exact = False  # nobody publishes the frame of calls or what a provider makes of media
            if kind is ToolResult:
                tokens += self._result(part)  # type: ignore[arg-type]  # narrowed by `kind`
            elif kind is ToolCall:
                tokens += self._call(part)  # type: ignore[arg-type]  # narrowed by `kind`
            else:
                tokens += self._part(part).tokens
        return tuple.__new__(Count, (tokens, exact))  # half the time of `Count(…)`

    def _part(self, part: Part) -> Count:  # noqa: PLR0911 - one per kind of part
        match part:
            case Text():
                return Count(self._length(part.text), self._exact)
            case ToolCall():
                return Count(self._call(part), exact=False)
            case ToolResult():
                return Count(self._result(part), exact=False)
            case Reasoning():
                return Count(self._reasoning(part), exact=False)
            case Image():
                return Count(self._image(*image_size(part), part.detail), exact=False)
            case Audio():
                return Count(_media.audio_tokens(part), exact=False)
            case File():
                return Count(_media.file_tokens(part, self._length, self._image), exact=False)
            case Unknown():
                return Count(_media.unknown_tokens(part, self._length), exact=False)
            case _:
                assert_never(part)

    def _call(self, call: ToolCall) -> int:
        return self._name_length(call.name) + self._length(call.arguments) + CALL_OVERHEAD

    def _result(self, result: ToolResult) -> int:
        tokens = self._length(result.call_id) + RESULT_OVERHEAD
        for part in result.content:
            tokens += self._length(part.text) if type(part) is Text else self._part(part).tokens
        return tokens

    def _reasoning(self, part: Reasoning) -> int:
        """A sealed block may hold more than it shows: providers show a summary and seal the rest.

        Four characters of seal a token: base64 makes four of three bytes, a token is about four.
        """
        sealed = len(part.signature) + sum(len(v) for v in part.data.values() if isinstance(v, str))
        return max(self._length(part.text), -(-sealed // 4))

    def _tools(self, tools: Sequence[ToolSpec]) -> Count:
        if not tools:
            return Count(0, exact=True)
        tokens = self._tools_overhead
        for tool in tools:
            schema = {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            }
            text = json.dumps(schema, ensure_ascii=False, default=dict)
            tokens += self._length(text) + TOOL_OVERHEAD
        return Count(tokens, exact=False)
