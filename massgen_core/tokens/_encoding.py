"""The official cl100k and o200k encodings from shipped ranks: no network, no cache."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from importlib import resources
from typing import TYPE_CHECKING, Final, TypeAlias

from massgen_core.errors import TokenizerError

if TYPE_CHECKING:
    from importlib.abc import Traversable

    import tiktoken

ENCODINGS: Final = ("cl100k_base", "o200k_base")

_Load: TypeAlias = Callable[..., dict[bytes, int]]

_LOCK: Final = threading.RLock()  # guards the moment in which tiktoken's loader is replaced
_CHUNK: Final = 100_000
_SAFE_CUT: Final = re.compile(r"(?<=[\r\n])(?=[A-Za-z0-9])|(?<=[A-Za-z])(?= [A-Za-z])")
_CUT_WINDOW: Final = 2_000


def encoding(name: str) -> tiktoken.Encoding:
    """The tiktoken encoding of an official name; one that is loaded already is reused.

    After this, `tiktoken.get_encoding(name)` finds it too, in this and in every other library.

    Raises:
        TokenizerError: The shipped ranks are damaged, or tiktoken does not know the name.
    """
    import tiktoken  # noqa: PLC0415 - the package stays importable, and light, without it
    from tiktoken import registry  # noqa: PLC0415
    from tiktoken_ext import openai_public  # type: ignore[import-untyped]  # noqa: PLC0415 - no stubs

    if (loaded := registry.ENCODINGS.get(name)) is not None:
        return loaded
    with _LOCK:
        original = openai_public.load_tiktoken_bpe
        openai_public.load_tiktoken_bpe = _shipped_or(original)
        try:
            return tiktoken.get_encoding(name)
        except ValueError as exc:
            raise TokenizerError(f"tiktoken cannot load the encoding {name!r}: {exc}") from exc
        finally:
            openai_public.load_tiktoken_bpe = original


def _shipped_or(original: _Load) -> _Load:
    """A stand-in for `tiktoken.load.load_tiktoken_bpe` that reads what we ship from the package."""

    def load(tiktoken_bpe_file: str, expected_hash: str | None = None) -> dict[bytes, int]:
        stem = tiktoken_bpe_file.rsplit("/", 1)[-1].removesuffix(".tiktoken")
        if stem not in ENCODINGS:
            return original(tiktoken_bpe_file, expected_hash)
        return _parse_ranks(_read_ranks(stem, expected_hash))

    return load


def ranks_file(name: str) -> Traversable:
    """Where the compressed ranks of an encoding lie."""
    return resources.files(__package__).joinpath("ranks", f"{name}.tiktoken.gz")


def _read_ranks(name: str, expected_hash: str | None) -> bytes:
    file = f"{name}.tiktoken.gz"
    try:
        data = gzip.decompress(ranks_file(name).read_bytes())
    except (OSError, EOFError) as exc:
        raise _damaged(file, str(exc)) from exc
    found = hashlib.sha256(data).hexdigest()
    if expected_hash is not None and found != expected_hash:
        raise _damaged(file, f"sha256 is {found}, tiktoken expects {expected_hash}")
    return data


def _damaged(file: str, why: str) -> TokenizerError:
    return TokenizerError(
        f"the token ranks {file!r} shipped with massgen-core cannot be used: {why}",
        hint="Reinstall it: pip install --force-reinstall --no-deps massgen-core",
    )


def _parse_ranks(data: bytes) -> dict[bytes, int]:
    decode = base64.b64decode
    return {decode(token): int(rank) for token, rank in map(bytes.split, data.splitlines())}


class EncodingLength:
    """Measures text with a shipped encoding, which is loaded when the first text is measured.

    Long texts are measured in pieces: tiktoken's regular expression gives up (a panic, no
    `Exception`) on runs of a million blanks. Pieces end where no token can span, so the sum stays
    exact; only where 2,000 characters have no such place is a cut forced, which moves the count by
    a token or two in 100,000 characters.
    """

    __slots__ = ("_encode", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._encode: Callable[[str], list[int]] | None = None

    def __call__(self, text: str) -> int:
        """The number of tokens of `text`; lone surrogates count as the replacement character."""
        encode = self._encode or self._load()
        if len(text) <= _CHUNK:
            return len(encode(text))
        return sum(len(encode(piece)) for piece in _pieces(text))

    def _load(self) -> Callable[[str], list[int]]:
        self._encode = encoding(self._name).encode_ordinary
        return self._encode


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > _CHUNK:
        stop = start + _CHUNK
        cuts = [match.start() for match in _SAFE_CUT.finditer(text, stop - _CUT_WINDOW, stop)]
        stop = cuts[-1] if cuts else stop
        yield text[start:stop]
        start = stop
    yield text[start:]
