"""Histories for property tests: what agents really produce, and what hurts."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from massgen_core.messages import (
    Image,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PROSE: Final = (
    "Please read src/payments/retry.py and tell me why order 48213 was charged twice.",
    "The schema moved to version 7; rows written before 2026-03-01 keep the old currency column.",
    "def retry(times: int) -> None:\n    for attempt in range(times):\n        send(attempt)\n",
    "Traceback (most recent call last):\n  File 'a.py', line 3\nKeyError: 'region'\n",
)
_GRAPHEMES: Final = "👩‍👩‍👧‍👦🇩🇪e\u0301नमस्ते각💥\r\n"
_BASE64: Final = base64.b64encode(bytes(range(256)) * 6).decode()
_NASTY: Final = (
    _GRAPHEMES,
    "数据库迁移失败。请检查区域配置。",
    _BASE64,
    f"data:image/png;base64,{_BASE64}",
    "<|endoftext|><|im_start|>system",
    " " * 64,
    "a" * 300,
    json.dumps([{"id": n, "path": f"src/{n}.py"} for n in range(12)]),
)


def _pool(times: Sequence[int]) -> st.SearchStrategy[str]:
    """Few texts, drawn often: a suite that caches their counts runs fast."""
    pairs = [(one, _NASTY[n % len(_NASTY)]) for n, one in enumerate((*_PROSE, *_NASTY))]
    made = [f"{one} {other}" * n for n in times for one, other in pairs]
    return st.sampled_from(made) | st.text(max_size=20)


_SMALL: Final = _pool((1,))
_LARGE: Final = _pool((1, 2, 10))
_HUGE: Final = _pool((1, 1, 5, 60))
_RARELY: Final = st.sampled_from((False, False, False, False, True))
_CALLS: Final = st.sampled_from((0, 1, 1, 2, 6))
_STEPS: Final = st.integers(0, 3)


@st.composite
def histories(draw: st.DrawFn, *, turns: int = 6) -> list[Message]:
    """A conversation: system prompts, turns, parallel and dead calls, pins, reasoning, pictures.

    Tool results follow their calls; some calls never get one, and in the end some are pending. Call
    ids repeat between turns. Message ids and times are the same in every run.
    """
    out: list[Message] = []

    def say(role: Role, parts: Sequence[Part], **meta: Any) -> None:
        out.append(Message(role, tuple(parts), f"m{len(out)}", float(len(out)), meta))

    for _ in range(draw(st.integers(0, 2))):
        say("system", (Text(draw(_SMALL)),))
    for _ in range(draw(st.integers(1, turns))):
        say("user", _user_parts(draw), **({"pinned": True} if draw(_RARELY) else {}))
        for _ in range(draw(_STEPS)):
            _assistant_step(draw, say)
    return out


def long_talk() -> list[Message]:
    """Twelve turns, each with a call and its result; the same in every run."""
    out = [Message("system", (Text("You fix payments."),), "m0", 0.0)]

    def say(role: Role, *parts: Part) -> None:
        out.append(Message(role, parts, f"m{len(out)}", float(len(out))))

    for n in range(12):
        say("user", Text(f"{n}: {_PROSE[n % len(_PROSE)]}"))
        say("assistant", Text("I look."), ToolCall("c", "read", json.dumps({"path": f"{n}.py"})))
        say("tool", ToolResult("c", (Text(f"line {n} of the file " * 20),), "read"))
        say("assistant", Text(f"It is line {n}. " * 8))
    return out


def _user_parts(draw: st.DrawFn) -> list[Part]:
    parts: list[Part] = [Text(draw(_HUGE))]
    if draw(_RARELY):
        parts.append(Image("image/png", b"\x89PNG", width=1024, height=768))
    return parts


def _assistant_step(draw: st.DrawFn, say: Callable[..., None]) -> None:
    parts: list[Part] = []
    if draw(_RARELY):
        parts.append(Reasoning("thinking …", "sig" * 20, "anthropic"))
    parts.append(Text(draw(_LARGE)))
    calls = [
        ToolCall(f"call_{n}", "read", json.dumps({"path": draw(_LARGE), "line": n}))
        for n in range(draw(_CALLS))
    ]
    say("assistant", (*parts, *calls))
    dead = draw(_RARELY)
    for call in calls[: len(calls) // 2] if dead else calls:
        say("tool", (ToolResult(call.id, (Text(draw(_HUGE)),), "read"),))
