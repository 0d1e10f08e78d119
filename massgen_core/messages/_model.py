"""The message model: a role and a tuple of parts, a closed union of frozen dataclasses."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, TypeAlias, get_args

from massgen_core._quick import quick
from massgen_core.clock import uuid7

JSONValue: TypeAlias = (
    "bool | int | float | str | Sequence[JSONValue] | Mapping[str, JSONValue] | None"
)
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]

ROLES: Final[frozenset[str]] = frozenset(get_args(Role))


@quick
@dataclass(frozen=True, slots=True)
class Text:
    """Plain text."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture, by its bytes or by its address.

    Attributes:
        media_type: IANA type, e.g. ``image/png``.
        data: The encoded file, or None if `url` names it.
        url: Where the provider fetches it, or None.
        detail: The provider's resolution hint, e.g. ``low`` or ``high``; empty for its default.
        width: Pixels, 0 if unknown; token formulas need it.
        height: Pixels, 0 if unknown.
    """

    kind: ClassVar[str] = "image"
    media_type: str = ""
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None
    detail: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Audio:
    """A sound, by its bytes. `seconds` is 0 if unknown."""

    kind: ClassVar[str] = "audio"
    media_type: str = ""
    data: bytes | None = field(default=None, repr=False)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class File:
    """A document, by its bytes, its address, or the id it has at the provider."""

    kind: ClassVar[str] = "file"
    media_type: str = ""
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None
    file_id: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A part written by a newer version or a provider we do not model; kept, never interpreted.

    Attributes:
        name: The kind it was written with.
        data: All its other fields.
    """

    kind: ClassVar[str] = "unknown"
    name: str
    data: Mapping[str, JSONValue] = field(default_factory=dict, hash=False)


ContentPart: TypeAlias = Text | Image | Audio | File | Unknown


@quick
@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool.

    Attributes:
        id: Unique within the turn; a result refers to it.
        name: The tool's name.
        arguments: The arguments as the model wrote them: JSON text, possibly invalid.
    """

    kind: ClassVar[str] = "tool_call"
    id: str
    name: str
    arguments: str = "{}"


@quick
@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered.

    Attributes:
        call_id: The `ToolCall.id` it answers.
        content: What the model is shown.
        name: The tool's name, empty if unknown.
        is_error: Whether the tool failed.
    """

    kind: ClassVar[str] = "tool_result"
    call_id: str
    content: tuple[ContentPart, ...] = ()
    name: str = ""
    is_error: bool = False

    @property
    def text(self) -> str:
        """The text of the content, without pictures and files."""
        return "".join(part.text for part in self.content if isinstance(part, Text))


@dataclass(frozen=True, slots=True)
class Reasoning:
    """The model's own reasoning: opaque, and signed by the provider that wants it back unchanged.

    Attributes:
        text: What may be shown; may be empty.
        signature: The provider's seal over the block; empty if it has none.
        provider: Who signed it, e.g. ``anthropic``.
        data: Further opaque fields the provider needs back.
    """

    kind: ClassVar[str] = "reasoning"
    text: str = ""
    signature: str = ""
    provider: str = ""
    data: Mapping[str, JSONValue] = field(default_factory=dict, hash=False)


Part: TypeAlias = Text | Image | Audio | File | ToolCall | ToolResult | Reasoning | Unknown


@quick
@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: Who speaks: ``system``, ``user``, ``assistant`` or ``tool``.
        parts: What is said, in order.
        id: UUIDv7.
        created_at: Seconds since the Unix epoch.
        meta: ``pinned`` (bool), ``priority`` (int), ``author`` (str), ``trust`` (str) have a
            meaning to the engine; other keys are kept.
    """

    role: Role
    parts: tuple[Part, ...]
    id: str = field(default_factory=uuid7)
    created_at: float = field(default_factory=time.time)
    meta: Mapping[str, JSONValue] = field(default_factory=dict, hash=False)

    @property
    def text(self) -> str:
        """The text parts, joined; results and reasoning are not text."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple([part for part in self.parts if isinstance(part, ToolCall)])

    @property
    def results(self) -> tuple[ToolResult, ...]:
        """The tool results, in order."""
        parts = self.parts
        if len(parts) == 1 and isinstance(parts[0], ToolResult):
            return (parts[0],)
        return tuple([part for part in parts if isinstance(part, ToolResult)])

    @property
    def pinned(self) -> bool:
        """Whether the message must stay in every view."""
        return self.meta.get("pinned") is True


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model is told of it.

    Attributes:
        name: Unique among the tools of a request.
        description: What it does and when to use it.
        parameters: JSON Schema of its arguments: an object.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, JSONValue] = field(default_factory=dict, hash=False)


def system(text: str, **meta: JSONValue) -> Message:
    """A system message."""
    return Message("system", (Text(text),), meta=meta)


def user(text: str, **meta: JSONValue) -> Message:
    """A user message; ``user("…", pinned=True)`` stays in every view."""
    return Message("user", (Text(text),), meta=meta)


def assistant(text: str = "", *calls: ToolCall, **meta: JSONValue) -> Message:
    """An assistant message with its tool calls."""
    parts: tuple[Part, ...] = (Text(text), *calls) if text or not calls else calls
    return Message("assistant", parts, meta=meta)


def tool(call_id: str, text: str, *, name: str = "", is_error: bool = False) -> Message:
    """The result of one tool call."""
    return Message("tool", (ToolResult(call_id, (Text(text),), name, is_error),))
