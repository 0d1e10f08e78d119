"""Where a collection lives, and how its watermark is kept: in a folder, or on a server."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Protocol

from massgen_chroma.clients import Connection, made, persistent_client
from massgen_core.errors import StorageError
from massgen_core.memory import IndexFolder, IndexState

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

    from massgen_chroma.settings import Settings

_PROBE_SECONDS: Final = 600
_NUMBERS: Final = ("watermark", "dimensions", "skipped")


class Home(Protocol):
    """Where the collection lives; every method blocks."""

    shared: bool
    """Whether other processes may write to it meanwhile."""
    most: int
    """Entries that may be written at once; known once it is open."""

    @property
    def where(self) -> str:
        """For messages."""
        ...

    def open(self) -> str:
        """Makes it ready; says why the collection starts empty although it existed."""
        ...

    def collection(self) -> Collection:
        """The collection as it is now."""
        ...

    def state(self) -> IndexState:
        """What is applied."""
        ...

    def save(self, state: IndexState) -> None:
        """Says what is applied, durably."""
        ...

    def restart(self) -> None:
        """Puts an empty collection in the place of the old one."""
        ...

    def distrust(self) -> bool:
        """Whether a write that failed can have left it in disorder; it starts empty then."""
        ...

    def check(self) -> str:
        """What is wrong with the place itself."""
        ...

    def close(self) -> None:
        """Releases it."""
        ...


class Folder:
    """A collection in a folder of this machine, for one process at a time."""

    shared = False

    def __init__(self, path: Path, identity: str, name: str) -> None:
        self.most = 1
        # Chroma writes its graphs of vectors now and then, as a whole; damage of such a file need
        # not show before it ends the process.
        self._folder = IndexFolder(path, identity, settled="*/*")
        self._name = name
        self._client: Client | None = None
        self._collection: Collection | None = None

    @property
    def where(self) -> str:
        """The folder."""
        return str(self._folder.path)

    def open(self) -> str:
        """Locked; looked at by another process first if it was not closed in order."""
        problem = self._folder.open(self._probed)
        with ExitStack() as undo:
            undo.callback(self._folder.abandon)
            undo.callback(self._release)
            self._connect()
            undo.pop_all()
        return problem

    def collection(self) -> Collection:
        """The one there is.

        Raises:
            StorageError: There is none since it could not be emptied.
        """
        if self._collection is None:
            raise _not_open(self.where)
        return self._collection

    def state(self) -> IndexState:
        """What is applied."""
        return self._folder.state

    def save(self, state: IndexState) -> None:
        """Atomically, after the files of Chroma are on disk."""
        self._folder.save(state)

    def restart(self) -> None:
        """In a new data folder, for Chroma keeps what it knows of a path."""
        self._release()
        self._folder.restart(keep=False)
        self._connect()

    def distrust(self) -> bool:
        """Yes: after a full disk Chroma may say that it holds what it then does not find."""
        self._folder.distrust()
        return True

    def check(self) -> str:
        """Whether it was deleted."""
        return "" if self._folder.intact() else "its folder was deleted while it was open"

    def close(self) -> None:
        """In order, so that the next open trusts the files if nothing touched them."""
        self._release()
        self._folder.close()

    def _connect(self) -> None:
        self._client = persistent_client(self._folder.data)
        self.most = self._client.get_max_batch_size()
        self._collection = made(self._client, self._name)

    def _release(self) -> None:
        self._collection = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def _probed(self, data: Path, state: IndexState) -> str:
        """What another process says that reads the files: damaged ones can end it by a signal."""
        if not any(data.iterdir()):
            return "its files are gone" if state.watermark else ""
        command = [sys.executable, "-m", "massgen_chroma.probe", str(data), self._name]
        try:
            done = subprocess.run(  # noqa: S603  # our own interpreter and program
                command, capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"reading it took more than {_PROBE_SECONDS} seconds"
        if done.returncode == 0:
            return ""
        if done.returncode < 0:
            return f"reading it ended a process with signal {-done.returncode}"
        said = done.stdout.strip() or done.stderr.strip()
        return said.splitlines()[-1] if said else "it cannot be read"


class Server:
    """A collection on a Chroma server, which several processes may use at once."""

    shared = True

    def __init__(self, settings: Settings, identity: str) -> None:
        self.most = 1
        self._settings = settings
        self._identity = identity
        self._connection: Connection | None = None
        self._known: UUID | None = None

    @property
    def where(self) -> str:
        """Address and collection."""
        given = self._settings
        return f"{given.host}:{given.port}/{given.collection}"

    def open(self) -> str:
        """Connected; a collection that was built otherwise is emptied."""
        self._connection = Connection(self._settings)
        with ExitStack() as undo:
            undo.callback(self.close)
            self.most = self._client.get_max_batch_size()
            found = (self.collection().metadata or {}).get("identity")
            if found != self._identity:
                self.restart()
            undo.pop_all()
        if found == self._identity:
            return ""
        return f"it was built with {found!r}, now {self._identity!r} is used"

    def collection(self) -> Collection:
        """As the server has it now.

        Raises:
            StorageError: Another process has emptied it; said once, then the new one is used.
        """
        metadata = _metadata(IndexState(self._identity))
        found = made(self._client, self._settings.collection, metadata)
        before, self._known = self._known, found.id
        if before not in (None, found.id):
            raise StorageError(
                f"the collection {self.where!r} was emptied by another process",
                path=self.where,
                hint="Ask for its watermark, and go on from there.",
            )
        return found

    def state(self) -> IndexState:
        """What any process has applied."""
        metadata = self.collection().metadata or {}
        numbers = {key: int(metadata.get(key, 0)) for key in _NUMBERS}
        return IndexState(self._identity, **numbers)

    def save(self, state: IndexState) -> None:
        """In the metadata of the collection."""
        self.collection().modify(metadata=_metadata(state))

    def restart(self) -> None:
        """A new collection of the same name."""
        self._client.delete_collection(self._settings.collection)
        self._known = None
        self.collection()

    def distrust(self) -> bool:
        """No: the same changes are sent once more, to a server that looks after its files."""
        return False

    def check(self) -> str:
        """Nothing: a server that does not answer raises."""
        self._client.heartbeat()
        return ""

    def close(self) -> None:
        """Ends the connections."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _client(self) -> Client:
        if self._connection is None:
            raise _not_open(self.where)
        return self._connection.client


def _not_open(where: str) -> StorageError:
    return StorageError(
        f"the collection {where!r} is not open", path=where, hint="Rebuild the index."
    )


def _metadata(state: IndexState) -> dict[str, Any]:
    return {"identity": state.identity} | {key: getattr(state, key) for key in _NUMBERS}
