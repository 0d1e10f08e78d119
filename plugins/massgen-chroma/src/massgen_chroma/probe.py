"""Reads every entry of a collection: ``python -m massgen_chroma.probe FOLDER COLLECTION``.

The process of its own: on damaged files Chroma may end it by a signal. Exit status 1, with the
reason on standard output, if an entry is not what was written.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from massgen_chroma.clients import persistent_client
from massgen_chroma.entries import damaged
from massgen_chroma.failures import translating
from massgen_core.errors import StorageError


def problem(folder: Path, name: str) -> str:
    """What is wrong with the files, or nothing."""
    database = folder.absolute() / "chroma.sqlite3"
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)) as connection:
            said = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as exc:
        return f"chroma.sqlite3: {exc}"
    if said != ("ok",):
        return f"chroma.sqlite3: {said[0]}"
    try:
        with translating(str(folder)):
            client = persistent_client(folder)
            try:
                collection = client.get_collection(name, embedding_function=None)
                return damaged(collection)
            finally:
                client.close()
    except StorageError as exc:
        return exc.message


if __name__ == "__main__":
    found = problem(Path(sys.argv[1]), sys.argv[2])
    if found:
        print(found)  # noqa: T201 - the answer to the process that asked
    sys.exit(bool(found))
