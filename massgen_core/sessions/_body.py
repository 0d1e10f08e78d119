"""Entry bodies as JSON text, their long strings in blobs."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import InvalidArgument
from massgen_core.messages import with_pairs_joined
from massgen_core.storage import blob_hash

if TYPE_CHECKING:
    from massgen_core.messages import JSONValue

BODY_SCHEMA: Final = 1
"""The version of this encoding, in each entry's ``schema``."""

# Below this many bytes a reference (its text and its index rows) costs more than the text, even
# where the text occurs twice; measured in docs/adr/0002-journal-format.md.
_INLINE: Final = 128
_MAX_UTF8: Final = 4
_TEXT: Final = "$blob"
_BYTES: Final = "$bytes"
_BINARY_PARTS: Final = frozenset({"image", "audio", "file"})
_DECODER: Final = json.JSONDecoder()  # `json.loads` with a hook makes one for every text
_URLSAFE: Final = bytes.maketrans(b"-_", b"+/")
_ESCAPED: Final = re.compile(r"\$+(?:blob|bytes)\Z")
# An unescaped quote cannot occur inside a JSON string, so this never matches user text.
_REFERENCE: Final = re.compile(rb'\{"\$(?:blob|bytes)":"([A-Za-z0-9_-]{43})"\}')


def encode_body(body: Mapping[str, JSONValue]) -> tuple[bytes, list[bytes]]:
    """The body as it is stored: UTF-8 JSON text, and the payloads its references stand for.

    The text is a function of the body alone, so an imported body hashes as the exported one did.

    Raises:
        InvalidArgument: Something in it is no JSON value.
    """
    raws: list[bytes] = []
    try:
        value = _encode(body, raws)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        try:
            return text.encode("utf-8"), raws
        except UnicodeEncodeError:  # a lone surrogate can only be written escaped
            text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
            return text.encode("ascii"), raws
    except (ValueError, TypeError, RecursionError) as exc:
        raise InvalidArgument(
            f"the body of an entry is no JSON value: {exc}",
            hint="Use dicts with text keys, lists, text, finite numbers, booleans and None.",
        ) from exc


def decode_body(text: bytes, raws: Mapping[bytes, bytes]) -> dict[str, JSONValue]:
    """The inverse of `encode_body`: exact, but that a pair of surrogates is its character.

    Args:
        text: The stored text.
        raws: Payload by hash, of all references in it.

    Raises:
        ValueError: It is no JSON text.
    """
    shown = text.decode("utf-8", "surrogatepass")
    body: dict[str, JSONValue]
    body, end = _DECODER.raw_decode(shown)
    if end != len(shown):
        raise ValueError(f"{len(shown) - end} characters after the end of a body")
    return _resolved(body, raws) if '{"$' in shown else body


def references(text: object) -> list[bytes]:
    """The hashes of the blobs that a stored body refers to; none if it is no text."""
    return [_unname(name) for name in _REFERENCE.findall(text)] if isinstance(text, bytes) else []


def reference_path(text: bytes, digest: bytes) -> str:
    """Where in the body the blob stands, e.g. ``body.parts[0].text``; ``body`` if nowhere."""
    try:
        return _find(json.loads(text), name_of(digest), "body") or "body"
    except (ValueError, RecursionError):
        return "body"


def _encode(value: Any, raws: list[bytes]) -> Any:
    if isinstance(value, str):
        text = with_pairs_joined(value)
        return _encode_text(text, raws) if len(text) * _MAX_UTF8 >= _INLINE else text
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return _encode_object(value, raws)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [_encode(item, raws) for item in value]
    raise TypeError(f"{type(value).__name__} {value!r:.40}")


def _encode_object(value: Mapping[Any, Any], raws: list[bytes]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    binary = value.get("kind") in _BINARY_PARTS if isinstance(value.get("kind"), str) else False
    for key, item in value.items():
        if not isinstance(key, str):
            raise TypeError(f"key {key!r:.40} is {type(key).__name__}, expected text")
        raw = _unbase64(item) if binary and key == "data" else None
        name = with_pairs_joined(key)
        out[name] = _encode(item, raws) if raw is None else _put(_BYTES, raw, raws)
    if len(out) == 1 and key[:1] == "$" and _ESCAPED.match(key):
        return {f"${key}": out[key]}
    return out


def _encode_text(value: str, raws: list[bytes]) -> str | dict[str, str]:
    raw = value.encode("utf-8", "surrogatepass")
    return value if len(raw) < _INLINE else _put(_TEXT, raw, raws)


def _resolved(value: Any, raws: Mapping[bytes, bytes]) -> Any:
    """The value, just decoded, with what its references stand for; changed in place."""
    if type(value) is list:
        return [_resolved(item, raws) for item in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        [(key, inner)] = value.items()
        if key[:1] == "$" and _ESCAPED.match(key):
            return _unescaped(key, inner, raws)
    for key, item in value.items():
        if type(item) is dict or type(item) is list:
            value[key] = _resolved(item, raws)
    return value


def _unescaped(key: str, inner: Any, raws: Mapping[bytes, bytes]) -> Any:
    if key == _TEXT:
        return raws[_unname(inner.encode())].decode("utf-8", "surrogatepass")
    if key == _BYTES:
        return base64.b64encode(raws[_unname(inner.encode())]).decode("ascii")
    return {key[1:]: _resolved(inner, raws)}


def _put(key: str, raw: bytes, raws: list[bytes]) -> dict[str, str]:
    raws.append(raw)
    return {key: name_of(blob_hash(raw))}


def _unbase64(value: object) -> bytes | None:
    """The bytes, if the text is long and is exactly what encoding them again gives."""
    if not isinstance(value, str) or len(value) < _INLINE:
        return None
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw) == value.encode("ascii") else None


def name_of(digest: bytes) -> str:
    """What a body calls a blob, by its hash."""
    return base64.urlsafe_b64encode(digest)[:-1].decode("ascii")


def _unname(name: bytes) -> bytes:
    return binascii.a2b_base64(name.translate(_URLSAFE) + b"=")


def _find(value: Any, name: str, path: str) -> str:
    if isinstance(value, dict):
        if value in ({_TEXT: name}, {_BYTES: name}):
            return path
        items = [(f"{path}.{key}", item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        return ""
    return next((found for at, item in items if (found := _find(item, name, at))), "")
