"""What a command answers, and the envelope it comes in with ``--json``."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from massgen_core.cli._codes import Code
from massgen_core.errors import MassgenError
from massgen_core.messages import Message, message_to_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    Text: TypeAlias = "str | Callable[[], RenderableType] | None"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command found out.

    Attributes:
        data: JSON values, or dataclasses of them; what ``--json`` shows.
        text: The same for people: text that is written as it is, or what makes something rich can
            print, called only if it is shown; None for nothing.
        code: How the program ends.
        error: What went wrong, if the command ran and the answer still is no; else None.
    """

    data: object = None
    text: Text = None
    code: Code = Code.OK
    error: MassgenError | None = None


def to_json(value: object) -> Any:
    """The value as JSON values; a dataclass becomes an object, with its ``kind`` if it has one."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Message):
        return message_to_json(value)
    if dataclasses.is_dataclass(value):
        kind = {"kind": value.kind} if hasattr(value, "kind") else {}
        names = [field.name for field in dataclasses.fields(value)]
        return kind | {name: to_json(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): to_json(inner) for key, inner in value.items()}
    if isinstance(value, Iterable):
        return [to_json(inner) for inner in value]
    return float(value) if isinstance(value, Decimal) else str(value)


def error_to_json(error: MassgenError) -> dict[str, Any]:
    """The ``error`` of an envelope: code, message, hint, and the error's own attributes."""
    own = {key: to_json(value) for key, value in vars(error).items() if not key.startswith("_")}
    return {**own, "code": error.code, "message": error.message, "hint": error.hint}


def envelope(
    command: str,
    *,
    data: object = None,
    error: Mapping[str, Any] | None = None,
    events: Iterable[object] | None = None,
) -> str:
    """One JSON object on one line."""
    out: dict[str, Any] = {
        "ok": error is None,
        "command": command,
        "data": to_json(data),
        "error": error,
    }
    if events is not None:
        out["events"] = to_json(list(events))
    return dumps(out)


def dumps(value: object) -> str:
    """JSON on one line for standard output; readable letters, if it can take all of them."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a lone surrogate, or a locale without these letters
        return json.dumps(value)
    return text
