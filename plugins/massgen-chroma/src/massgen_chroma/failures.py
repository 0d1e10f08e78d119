"""What Chroma raises, said in the terms of massgen-core."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from massgen_core.errors import MassgenError, StorageError, StorageFull

if TYPE_CHECKING:
    from collections.abc import Iterator

_FULL: Final = ("disk is full", "no space left", "file too large", "disk i/o error")


@contextmanager
def translating(where: str) -> Iterator[None]:
    """Raises Chroma's errors as `StorageError`, the original chained.

    Args:
        where: The folder or the address of the index.
    """
    try:
        yield
    except MassgenError:
        raise
    except BaseException as exc:
        if not _is_chromas(exc):
            raise
        raise _translated(exc, where) from exc


def _is_chromas(exc: BaseException) -> bool:
    import httpx  # noqa: PLC0415  # loaded by Chroma
    from chromadb.errors import ChromaError  # noqa: PLC0415  # heavy

    if isinstance(exc, ChromaError | ValueError | OSError | httpx.HTTPError):
        return True
    return type(exc).__name__ == "PanicException"  # of its Rust part; no subclass of Exception


def _translated(exc: BaseException, where: str) -> StorageError:
    text = " ".join(str(exc).split())[:300] or type(exc).__name__
    if any(words in text.lower() for words in _FULL):
        return StorageFull(
            f"Chroma has no room to write {where!r}: {text}",
            path=where,
            hint="Free disk space; the index catches up from the ledger.",
        )
    return StorageError(f"Chroma failed at {where!r}: {text}", path=where)
