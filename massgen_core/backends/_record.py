"""Recordings of what backends were asked and what they answered, and backends that replay them.

A recording is a file of JSON lines: a header, then one line for each request when it ends, with all
events, the milliseconds after which each came, and the error if there was one. Keys are not in it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections import deque
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from massgen_core.backends._protocol import Caps
from massgen_core.backends._record_json import (
    error_from_json,
    error_to_json,
    event_from_json,
    event_to_json,
    request_to_json,
)
from massgen_core.backends._wrapper import Wrapper
from massgen_core.errors import BackendError, Fatal, InvalidArgument, UnknownModel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from massgen_core.backends._protocol import Backend, Request
    from massgen_core.events import BackendEvent

_log = logging.getLogger(__name__)

FORMAT: Final = 1
_HANDLE: Final = re.compile(r"\bh[0-9a-f]{10}\b")
"""As in "whole text: h0123456789"; see `massgen_core.context`."""
_HEADER: Final = "massgen-recording"


class Recording:
    """A file that requests are written to as they end; appended to if it is there.

    Half a line at its end, which a kill left, is dropped.

    Args:
        path: The file. Only its owner can read it.

    Raises:
        InvalidArgument: There is a file that is no recording of this version.
        OSError: It cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if self.path.is_file() and self.path.stat().st_size:
            _lines(self.path)  # else it is not ours
            os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(handle, "a", encoding="utf-8", newline="\n")
        if not self.path.stat().st_size:
            self.write({_HEADER: FORMAT})

    def write(self, line: Mapping[str, Any]) -> None:
        """One more line, on its way to the disk when this returns."""
        self._file.write(json.dumps(line, ensure_ascii=True) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class Recorded(Wrapper):
    """A backend that writes down what it is asked and what it answers.

    Args:
        inner: The backend.
        recording: Where it is written; whoever made it closes it.
    """

    def __init__(self, inner: Backend, recording: Recording) -> None:
        super().__init__(inner)
        self._recording = recording

    async def caps(self, model: str, /) -> Caps:
        """What the wrapped backend says; it is written down, too."""
        caps = await self.inner.caps(model)
        self._recording.write({"backend": self.name, "model": model, "caps": asdict(caps)})
        return caps

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The events of the wrapped backend; written down when they end, however they do."""
        begun, events = time.perf_counter(), list[dict[str, Any]]()
        line: dict[str, Any] = {"backend": self.name, "at": time.time()}
        end = "closed early"
        try:
            async with aclosing(self.inner.stream(request)) as stream:
                async for event in stream:
                    ms = round((time.perf_counter() - begun) * 1000, 1)
                    events.append({"ms": ms, **event_to_json(event)})
                    yield event
            end = "complete"
        except BackendError as exc:
            end = "error"
            line["error"] = error_to_json(exc)
            raise
        finally:
            asked = request_to_json(request)
            try:
                self._recording.write({**line, "end": end, "request": asked, "events": events})
            except (OSError, ValueError) as exc:  # the disk is full; it was closed
                _log.warning(
                    "%s cannot be written, this answer is not in it: %s", self._recording.path, exc
                )


class Replayed:
    """A backend that answers as a recording says, without a network.

    A request is answered like the recorded request that asked the same (model, messages, tools and
    sizes; ids and times do not count); if it was asked several times, in that order, and then like
    the last time. Requests that were closed early are left out.

    Args:
        path: What `Recorded` wrote.
        name: Which backend's requests; the only one's if omitted. One that was never asked, as a
            fallback may be, has none.

    Raises:
        InvalidArgument: It is no recording, or not of this version.
    """

    def __init__(self, path: str | os.PathLike[str], name: str = "") -> None:
        self._path = Path(path)
        lines = _lines(self._path)
        names = list(dict.fromkeys(line["backend"] for line in lines))
        self.name = name or (names[0] if names else "replayed")
        mine = [line for line in lines if line["backend"] == self.name]
        self._caps = {one["model"]: Caps(**one["caps"]) for one in mine if "caps" in one}
        self._answers: dict[str, deque[Mapping[str, Any]]] = {}
        self._asked: list[dict[str, Any]] = []
        for line in mine:
            if line.get("end") in {"complete", "error"}:
                self._asked.append(line["request"])
                self._answers.setdefault(_key(line["request"]), deque()).append(line)

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The events that were recorded for the request, and its error.

        Raises:
            Fatal: It was not recorded.
        """
        asked = request_to_json(request)
        answers = self._answers.get(_key(asked))
        if answers is None:
            raise Fatal(
                f"{self._path.name} holds no answer to this request: {self._difference(asked)}",
                backend=self.name,
                hint="Replay with the settings, tools and words of the recording.",
            )
        line = answers.popleft() if len(answers) > 1 else answers[0]
        for event in line["events"]:
            yield event_from_json({key: value for key, value in event.items() if key != "ms"})
        if "error" in line:
            raise error_from_json(line["error"])

    async def caps(self, model: str, /) -> Caps:
        """What the recorded backend said.

        Raises:
            UnknownModel: It was not asked about this model.
        """
        if model not in self._caps:
            raise UnknownModel(
                f"{self._path.name} was recorded with {', '.join(self._caps) or 'no model'}, "
                f"not with {model!r}",
                model=model,
                suggestions=tuple(self._caps),
            )
        return self._caps[model]

    def classify(self, error: BaseException, /) -> BackendError:
        """A `BackendError` as it is, all else as `Fatal`."""
        if isinstance(error, BackendError):
            return error
        return Fatal(f"{type(error).__name__}: {error}", backend=self.name)

    async def aclose(self) -> None:
        """Nothing is open."""

    def _difference(self, asked: Mapping[str, Any]) -> str:
        """Where it parts from the recorded request that is most like it."""
        if not self._asked:
            return "it holds no request"
        best = max(self._asked, key=lambda one: _same(one["messages"], asked["messages"]))
        for key in ("model", "tools", "max_output", "temperature"):
            if best[key] != asked[key]:
                return f"{key} was {json.dumps(best[key])[:200]}"
        return f"message {_same(best['messages'], asked['messages'])} is another"


def _same(one: list[Any], other: list[Any]) -> int:
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _key(request: Mapping[str, Any]) -> str:
    """What asks the same has one key; handles in the words are made of ids, which do not count."""
    text = _HANDLE.sub("h", json.dumps(request, sort_keys=True))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines after the header, but for half a one that a kill left at the end.

    Raises:
        InvalidArgument: It cannot be read, or is no recording of this version.
    """
    try:
        *whole, _ = path.read_text("utf-8").split("\n")
        header, *lines = [json.loads(line) for line in whole] or [None]
    except (OSError, ValueError) as exc:
        raise InvalidArgument(f"{str(path)!r} cannot be replayed: {exc}") from exc
    if not isinstance(header, dict) or _HEADER not in header:
        raise InvalidArgument(f"{str(path)!r} is no recording of `mgc run --record`")
    if header[_HEADER] != FORMAT:
        raise InvalidArgument(
            f"{str(path)!r} is a recording of format {header[_HEADER]}, this version reads {FORMAT}"
        )
    for number, line in enumerate(lines, 2):
        if not isinstance(line, dict) or not isinstance(line.get("backend"), str):
            raise InvalidArgument(f"{str(path)!r} is damaged: line {number} is no request")
    return lines
