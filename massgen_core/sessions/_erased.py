"""What stands in a journal in the place of what was erased."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

ERASED: Final = "[erased]"
"""What an erased text says."""
_META: Final = (bool, int, float)
"""Values of a message's meta that are kept, beside its author's name: they say nothing."""


class Erasing:
    """Takes messages out of the bodies of one session's entries, which it is shown in order.

    Args:
        ids: The messages.
        said: Gives the ids of all messages in the session: what has another id in a fit was made
            of several.
        now: Seconds since the Unix epoch.
    """

    def __init__(self, ids: frozenset[str], said: Callable[[], frozenset[str]], now: float) -> None:
        self._ids = ids
        self._said = cache(said)
        self._now = now
        self._left = False

    def body(self, kind: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """The body without them; None if it has nothing of them."""
        match kind:
            case "message" if body.get("id") in self._ids:
                return self._message(body)
            case "note" if _id_of(body.get("partial")) in self._ids:
                return {**body, "partial": self._message(body["partial"])}
            case "fit":
                return self._fit(body)
        return None

    def _fit(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Once a message left the view, texts that stand for several may have something of it."""
        for operation in _dicts(body.get("operations")):
            self._left = self._left or not self._ids.isdisjoint(operation.get("message_ids", ()))
        view = body.get("view")
        if not isinstance(view, dict):
            return None
        touched = False
        groups = []
        for group in _dicts(view.get("changed")):
            messages = list(_dicts(group.get("messages")))
            news = [self._message(one) if self._has(one) else one for one in messages]
            touched = touched or news != messages
            groups.append({**group, "messages": news})
        if not touched:
            return None
        return {**body, "view": {**view, "changed": groups}, "tokenizer": ""}  # counted anew

    def _has(self, message: Mapping[str, Any]) -> bool:
        found = _id_of(message)
        return found in self._ids or (self._left and found not in self._said())

    def _message(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The message with its place in the conversation, and nothing of what it says."""
        meta = data.get("meta")
        kept = {
            key: value
            for key, value in (meta.items() if isinstance(meta, dict) else ())
            if isinstance(value, _META) or key == "author"
        }
        return {
            **{key: data[key] for key in ("id", "role", "created_at") if key in data},
            "parts": _blanked(_dicts(data.get("parts"))),
            "meta": {**kept, "erased": self._now},
        }


def _blanked(parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Calls and results keep who they are of; all else is one text. Signed reasoning goes whole."""
    paired = [
        {name: part[name] for name in _PAIRED if name in part} | _BLANK[part["kind"]]
        for part in parts
        if part.get("kind") in _BLANK
    ]
    return paired or [_text()]


def _text() -> dict[str, Any]:
    return {"kind": "text", "text": ERASED}


_PAIRED: Final = ("kind", "id", "call_id", "name", "is_error")
_BLANK: Final[Mapping[str, dict[str, Any]]] = {
    "tool_call": {"arguments": "{}"},
    "tool_result": {"content": [_text()]},
}


def _id_of(message: object) -> str:
    found = message.get("id") if isinstance(message, dict) else None
    return found if isinstance(found, str) else ""


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    """The JSON objects in a list; none if it is no list."""
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())
