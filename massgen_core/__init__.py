"""The context and memory engine for teams of LLM agents.

Everything a program needs is a name of this package, imported when it is first used (PEP 562):
``import massgen_core`` itself loads no third-party module and costs a few milliseconds.

Examples:
    >>> from massgen_core import fit
    >>> story = [{"role": "user", "content": f"chapter {n}"} for n in range(1000)]
    >>> fitted = fit(story, budget=500)
    >>> fitted.report.tokens_after <= 500
    True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from massgen_core.agents import Agent
    from massgen_core.conversation import Conversation, Fitted, fit
    from massgen_core.errors import ContextOverflowError, InvalidArgument, MassgenError
    from massgen_core.events import Event
    from massgen_core.longterm import open_memory
    from massgen_core.memory import Memory
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
    )
    from massgen_core.plugin import PluginHost
    from massgen_core.sessions import Session, SessionStore

__all__ = [
    "Agent",
    "Audio",
    "ContextOverflowError",
    "Conversation",
    "Event",
    "File",
    "Fitted",
    "Image",
    "InvalidArgument",
    "MassgenError",
    "Memory",
    "Message",
    "Part",
    "PluginHost",
    "Reasoning",
    "Session",
    "SessionStore",
    "Text",
    "ToolCall",
    "ToolResult",
    "ToolSpec",
    "fit",
    "open_memory",
]

_HOMES: Final = {
    "agents": ("Agent",),
    "conversation": ("Conversation", "Fitted", "fit"),
    "longterm": ("open_memory",),
    "memory": ("Memory",),
    "errors": ("ContextOverflowError", "InvalidArgument", "MassgenError"),
    "events": ("Event",),
    "messages": (
        "Audio",
        "File",
        "Image",
        "Message",
        "Part",
        "Reasoning",
        "Text",
        "ToolCall",
        "ToolResult",
        "ToolSpec",
    ),
    "plugin": ("PluginHost",),
    "sessions": ("Session", "SessionStore"),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - 20 ms, and few programs ask

        return version("massgen-core")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
