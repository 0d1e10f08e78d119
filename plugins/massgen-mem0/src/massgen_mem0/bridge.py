"""mem0 calls its model and its embedder from a thread; ours are async. This is between them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from massgen_core.backends import Request
from massgen_core.errors import StorageError
from massgen_core.events import TextDelta
from massgen_core.messages import Message, assistant, system, user

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from massgen_core.backends import Backend
    from massgen_core.memory import Embedder

_Out = TypeVar("_Out")
_ROLES = {"system": system, "user": user, "assistant": assistant}


class Call:
    """One call of the store, in whose event loop mem0's questions are answered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._cancelled = False
        self._running: concurrent.futures.Future[Any] | None = None

    def cancel(self) -> None:
        """Answers nothing any more."""
        self._cancelled = True
        if self._running is not None:
            self._running.cancel()

    def run(self, ask: Callable[[], Coroutine[Any, Any, _Out]], timeout: float) -> _Out:
        """What the coroutine returns; called in another thread than the loop's.

        Raises:
            StorageError: It took too long, or the call was cancelled.
        """
        if self._cancelled:
            raise StorageError("the call was cancelled")
        running = asyncio.run_coroutine_threadsafe(ask(), self._loop)
        self._running = running
        try:
            return running.result(timeout)
        except TimeoutError as exc:
            raise StorageError(f"no answer within {timeout:g} seconds") from exc
        except concurrent.futures.CancelledError as exc:
            raise StorageError("the call was cancelled") from exc
        finally:
            running.cancel()
            self._running = None


class Bridge:
    """Runs what mem0 asks for in the event loop of the call that is served now."""

    def __init__(self, timeout: float) -> None:
        self.call: Call | None = None
        self._timeout = timeout

    def run(self, ask: Callable[[], Coroutine[Any, Any, _Out]]) -> _Out:
        """What the coroutine returns.

        Raises:
            StorageError: There is no call, or it was cancelled, or took too long.
        """
        if self.call is None:
            raise StorageError("mem0 asked for something while nothing was asked of it")
        return self.call.run(ask, self._timeout)


class Vectors:
    """What mem0 takes for its embedder: vectors that are known already, else those of ours."""

    def __init__(self, bridge: Bridge, embedder: Embedder | None) -> None:
        self.known: Mapping[str, Sequence[float]] = {}
        self._bridge = bridge
        self._embedder = embedder

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        """The vector of a text, with length 1."""
        return self.embed_batch([text], memory_action)[0]

    def embed_batch(
        self, texts: Sequence[str], memory_action: str | None = "add"
    ) -> list[list[float]]:
        """One vector per text, in order.

        Raises:
            StorageError: There is no embedder, or it makes no usable vector.
        """
        vectors = dict(self.known)
        unknown = [text for text in dict.fromkeys(texts) if text not in vectors]
        if unknown:
            made = self._made(unknown, "query" if memory_action == "search" else "document")
            vectors |= dict(zip(unknown, made, strict=True))
        return [_usable(vectors[text]) for text in texts]

    def _made(
        self, texts: list[str], purpose: Literal["document", "query"]
    ) -> Sequence[Sequence[float]]:
        embedder = self._embedder
        if embedder is None:
            raise StorageError("mem0 needs a vector, and the memory has no embedder")

        async def ask() -> Sequence[Sequence[float]]:
            return await embedder.embed(texts, purpose=purpose)

        return self._bridge.run(ask)


class Answers:
    """What mem0 takes for its model: a backend of ours."""

    def __init__(self, bridge: Bridge, backend: Backend, model: str) -> None:
        self._bridge = bridge
        self._backend = backend
        self._model = model

    def generate_response(self, messages: Sequence[Mapping[str, str]], **_options: object) -> str:
        """The text of the answer.

        Raises:
            BackendError: As the backend.
            StorageError: It took too long.
        """
        asked = tuple(_message(one) for one in messages)
        return self._bridge.run(lambda: self._answer(Request(self._model, asked)))

    async def _answer(self, request: Request) -> str:
        async with aclosing(self._backend.stream(request)) as events:
            return "".join([one.text async for one in events if isinstance(one, TextDelta)])


def unit(vector: Sequence[float] | None) -> list[float] | None:
    """The vector with length 1; None if there is none, or it has no direction or no finite one."""
    if vector is None:
        return None
    length = math.hypot(*vector)
    if not math.isfinite(length) or length == 0:
        return None
    return [float(value) / length for value in vector]


def _usable(vector: Sequence[float]) -> list[float]:
    found = unit(vector)
    if found is None:
        raise StorageError("the embedder made a vector without a direction")
    return found


def _message(given: Mapping[str, str]) -> Message:
    make = _ROLES.get(given["role"], user)
    return make(given["content"])
