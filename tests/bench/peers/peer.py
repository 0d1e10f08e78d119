"""What every peer is reduced to, so that all do the same work: chat messages in, chat messages out.

A peer is given the OpenAI chat messages in its own message classes, is asked to keep a budget the
way its documentation says, and what it returns is turned back. It counts with the same tokenizer as
everybody; the frame of a message and of a call is three tokens.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from massgen_core.tokens import encoding

N = TypeVar("N")
Chat: TypeAlias = dict[str, Any]
"""An OpenAI chat message."""

FRAME = 3
_ENCODE = encoding("o200k_base").encode_ordinary
encoding("cl100k_base")  # the peers that count by themselves find the shipped ranks as well


class Loop(Protocol[N]):
    """An agent's history as the peer keeps it."""

    def add(self, message: N) -> None:
        """One more message."""

    def fit(self) -> Sequence[N]:
        """What would be sent now."""


@dataclass(frozen=True)
class Peer(Generic[N]):
    """One way of one library to keep a budget.

    Attributes:
        title: As it stands in tables.
        distribution: Whose version is named.
        native: The messages in the peer's own classes, new objects each time.
        trim: The peer's function.
        chat: The chat messages that a native message says.
        loop: Its history in an agent loop of the given budget, which begins with some messages.
    """

    title: str
    distribution: str
    native: Callable[[Sequence[Chat]], list[N]]
    trim: Callable[[list[N], int], Sequence[N]]
    chat: Callable[[N], list[Chat]]
    loop: Callable[[int, list[N]], Loop[N]]

    def fitted(self, chat: Sequence[Chat], budget: int) -> list[Chat]:
        """The messages, made to fit by one call."""
        return self.back(self.trim(self.native(chat), budget))

    def back(self, native: Sequence[N]) -> list[Chat]:
        return [message for one in native for message in self.chat(one)]


class Stateless(Generic[N]):
    """The peer's function is called with the whole history before each request."""

    def __init__(
        self, trim: Callable[[list[N], int], Sequence[N]], budget: int, messages: list[N]
    ) -> None:
        self._trim, self._budget = trim, budget
        self._history = list(messages)

    def add(self, message: N) -> None:
        self._history.append(message)

    def fit(self) -> Sequence[N]:
        return self._trim(self._history, self._budget)


class Replacing(Stateless[N]):
    """What the peer's function returns becomes the history."""

    def fit(self) -> Sequence[N]:
        self._history = list(self._trim(self._history, self._budget))
        return self._history


def stateless(
    trim: Callable[[list[N], int], Sequence[N]],
) -> Callable[[int, list[N]], Loop[N]]:
    return lambda budget, messages: Stateless(trim, budget, messages)


def replacing(
    trim: Callable[[list[N], int], Sequence[N]],
) -> Callable[[int, list[N]], Loop[N]]:
    return lambda budget, messages: Replacing(trim, budget, messages)


_RUNNER = asyncio.Runner()


def run(work: Coroutine[Any, Any, N]) -> N:
    """Runs a coroutine of a peer to its end; all share an event loop, which costs little."""
    return _RUNNER.run(work)


def tokens(text: str) -> int:
    return len(_ENCODE(text))


remembered = cache(tokens)
"""For measurements in which speed is not what is measured."""


class Counting:
    """The tokenizer that the peers use; `exactly` makes each of them pay for every count."""

    count: Callable[[str], int] = staticmethod(remembered)


def exactly() -> None:
    Counting.count = staticmethod(tokens)


def count(text: str) -> int:
    return Counting.count(text)


def size(message: Chat) -> int:
    """Tokens of a chat message."""
    total = FRAME + count(message.get("content") or "")
    for call in calls(message):
        total += FRAME + count(call["function"]["name"]) + count(call["function"]["arguments"])
    return total + (count(message["tool_call_id"]) if "tool_call_id" in message else 0)


def calls(message: Chat) -> list[dict[str, Any]]:
    return list(message.get("tool_calls") or ())


def said(role: str, text: str, made: Sequence[tuple[str, str, Any]] = ()) -> Chat:
    """A chat message; a call is its id, name and arguments (an object, or JSON)."""
    out: Chat = {"role": role, "content": text}
    if made:
        out["tool_calls"] = [
            {"id": key, "type": "function", "function": {"name": name, "arguments": _json(given)}}
            for key, name, given in made
        ]
    return out


def result(call_id: str, text: str) -> Chat:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def arguments(call: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(call["function"]["arguments"] or "{}"))


def _json(given: Any) -> str:
    return given if isinstance(given, str) else json.dumps(given)
