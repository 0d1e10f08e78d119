"""Clients of Chroma: of the files in a folder, and of a server."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx
    from chromadb.api.client import Client
    from chromadb.api.models.Collection import Collection

    from massgen_chroma.settings import Settings


def persistent_client(folder: Path) -> Client:
    """A client of the files in a folder, with settings of its own: Chroma must not share them."""
    import chromadb.config  # noqa: PLC0415  # heavy

    settings = chromadb.config.Settings(anonymized_telemetry=False)
    return cast("Client", chromadb.PersistentClient(str(folder), settings=settings))


class Connection:
    """A client of a server that does not wait forever, and leaves nothing open when it is closed.

    Chroma's own waits without end, and keeps its connections and what it knows of them.

    Args:
        given: Where the server is, and how long it may take to answer.

    Raises:
        httpx.HTTPError: It does not answer in time, or has no such database.
        ChromaError: It refuses.
    """

    def __init__(self, given: Settings) -> None:
        import chromadb.config  # noqa: PLC0415  # heavy

        _knock(given)
        self._settings = chromadb.config.Settings(anonymized_telemetry=False)
        with ExitStack() as undo:
            undo.callback(self.close)
            client = chromadb.HttpClient(
                host=str(given.host),
                port=given.port,
                ssl=given.ssl,
                headers=_headers(given),
                settings=self._settings,
                tenant=given.tenant,
                database=given.database,
            )
            undo.pop_all()
        self.client = cast("Client", client)
        for _, session in self._sessions():
            session.timeout = given.timeout

    def close(self) -> None:
        """Ends its connections."""
        from chromadb.api.shared_system_client import SharedSystemClient  # noqa: PLC0415  # heavy

        for name, session in self._sessions():
            session.close()
            SharedSystemClient._release_system(name)  # noqa: SLF001 - no public call ends all

    def _sessions(self) -> Iterator[tuple[str, httpx.Client]]:
        """The connections of this client; Chroma makes one more for its administration."""
        from chromadb.api import ServerAPI  # noqa: PLC0415  # heavy
        from chromadb.api.shared_system_client import SharedSystemClient  # noqa: PLC0415  # as above

        for name, system in list(SharedSystemClient._identifier_to_system.items()):  # noqa: SLF001
            if system.settings is self._settings:
                server: Any = system.instance(ServerAPI)  # type: ignore[type-abstract]  # its way
                yield name, server._session  # noqa: SLF001


def _knock(given: Settings) -> None:
    """Raises unless the server answers in time, and has the database.

    A client that Chroma fails to make keeps its connections open.
    """
    import httpx  # noqa: PLC0415  # heavy

    server = f"{'https' if given.ssl else 'http'}://{given.host}:{given.port}/api/v2"
    database = f"tenants/{quote(given.tenant, safe='')}/databases/{quote(given.database, safe='')}"
    answer = httpx.get(f"{server}/{database}", headers=_headers(given), timeout=given.timeout)
    answer.raise_for_status()


def _headers(given: Settings) -> dict[str, str]:
    return {name: value.get_secret_value() for name, value in given.headers.items()}


def made(client: Client, name: str, metadata: dict[str, Any] | None = None) -> Collection:
    """The collection, made if it is not there; `metadata` is for a new one."""
    return client.get_or_create_collection(
        name,
        metadata=metadata,
        configuration={"hnsw": {"space": "ip"}},
        embedding_function=None,
    )
