"""Server-sent events, as far as a chat stream uses them.

httpx splits lines at every Unicode line break, but a JSON text may hold U+2028 or U+0085 unescaped.
Here lines are cut from bytes, and only CR LF or LF ends one.
Format: WHATWG HTML standard, section 9.2, "Server-sent events".
"""

from __future__ import annotations


class EventDecoder:
    """Cuts a stream of bytes into the data of its events."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        """The data of each event that `chunk` completes."""
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        return [
            data for line in lines if (data := self._line(line.removesuffix(b"\r"))) is not None
        ]

    def _line(self, line: bytes) -> str | None:
        if not line:
            data, self._data = self._data, []
            return "\n".join(data) if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
        return None
