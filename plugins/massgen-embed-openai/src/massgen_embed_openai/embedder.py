"""The embedder ``openai_embeddings``: texts in batches to a server, vectors back."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import ContextOverflow, InvalidSetting
from massgen_core.messages import without_surrogates
from massgen_embed_openai._answer import vectors_of
from massgen_embed_openai._connection import Connection
from massgen_embed_openai.settings import OpenAIEmbeddingsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from massgen_core.clock import Clock
    from massgen_core.messages import JSONValue
    from massgen_core.plugin import PluginContext

_OPENAI: Final = "api.openai.com"
_BATCH_CHARACTERS: Final = 200_000
"""Characters in a request, at most: OpenAI takes 300,000 tokens, and a character may be one."""

_SHORTEST: Final = 16  # characters; a server that finds less too long has another problem


class OpenAIEmbeddings:
    """Vectors of a server's model.

    Texts that the server finds too long are halved until it takes them, so their head counts.

    Args:
        settings: Server, model, key and limits.
        clock: The time, to understand dates in answers.
        environ: Where keys are looked up that are not in the settings.

    Raises:
        InvalidSetting: The key is missing or cannot be sent.
    """

    def __init__(
        self,
        settings: OpenAIEmbeddingsSettings | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings or OpenAIEmbeddingsSettings()
        self._connection = Connection(self._settings, _key(self._settings, environ), clock)

    @property
    def dimensions(self) -> int:
        """Length of the vectors; a server that sends others is an error."""
        return self._settings.dimensions or 0

    @property
    def identity(self) -> str:
        """``host/model/revision/dimensions/server``.

        The host is a part of it, because servers give different weights the same name; its port is
        not, because that changes from start to start. The pooling is the server's own.
        """
        settings = self._settings
        revision = quote(settings.revision, safe="") or "default"
        if settings.document_prefix:
            digest = hashlib.sha256(settings.document_prefix.encode("utf-8", "replace"))
            revision += f"+{digest.hexdigest()[:8]}"
        model = quote(settings.model, safe="")
        return f"{settings.host}/{model}/{revision}/{self.dimensions}/server"

    async def embed(
        self, texts: Sequence[str], /, *, purpose: Literal["document", "query"]
    ) -> list[list[float]]:
        """One vector per text, in order; the server says whether they are of length 1.

        Raises:
            AuthFailed: The key is missing, wrong, or not for this.
            RateLimited: Too many requests, also after the retries.
            Transient: The server could not be reached or failed, also after the retries.
            InvalidRequest: It refused the request.
            Fatal: Its answer cannot be used: wrong count, wrong length, or no numbers.
        """
        settings = self._settings
        prefix = settings.query_prefix if purpose == "query" else settings.document_prefix
        heads = [_sendable(prefix + text[: settings.max_characters]) for text in texts]
        vectors: list[list[float]] = []
        for batch in _batches(heads, settings.batch_size):
            vectors += await self._embedded(batch)
        return vectors

    async def close(self) -> None:
        """Ends the connections."""
        await self._connection.close()

    async def _embedded(self, texts: list[str]) -> list[list[float]]:
        try:
            return await self._asked(texts)
        except ContextOverflow:
            if len(texts) == 1 and len(texts[0]) <= _SHORTEST:
                raise
        if len(texts) == 1:
            return await self._embedded([texts[0][: len(texts[0]) // 2]])
        middle = len(texts) // 2
        return await self._embedded(texts[:middle]) + await self._embedded(texts[middle:])

    async def _asked(self, texts: list[str]) -> list[list[float]]:
        body: dict[str, JSONValue] = {"model": self._settings.model, "input": list(texts)}
        if self._settings.shorten:
            body["dimensions"] = self.dimensions
        answer = await self._connection.post(body)
        return vectors_of(answer, count=len(texts), dimensions=self.dimensions)


def make(settings: OpenAIEmbeddingsSettings | None, ctx: PluginContext) -> OpenAIEmbeddings:
    """The embedder; called by massgen-core."""
    return OpenAIEmbeddings(settings, clock=ctx.clock)


def _key(settings: OpenAIEmbeddingsSettings, environ: Mapping[str, str]) -> str | None:
    """The key to send; that of OpenAI goes to no other server unasked."""
    variable = settings.api_key_env
    if settings.api_key is not None:
        key = settings.api_key.get_secret_value().strip()
    elif variable or settings.host == _OPENAI:
        variable = variable or "OPENAI_API_KEY"
        key = environ.get(variable, "").strip()
        if not key:
            raise InvalidSetting(
                f"there is no key for {settings.host}: the environment variable {variable!r} is "
                "not set",
                path="embedder.api_key",
                hint=f"Set {variable}, embedder.api_key or embedder.api_key_env.",
            )
    else:
        return None
    if not (key.isascii() and key.isprintable()):
        raise InvalidSetting(
            "the key holds characters that no header can hold",
            path="embedder.api_key",
            hint="Was it pasted with quotes, a line break or a placeholder?",
        )
    return key or None


def _batches(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and (len(batch) == most or size + len(text) > _BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(text)
    if batch:
        yield batch


def _sendable(text: str) -> str:
    """The text without lone surrogates, which are no JSON; servers refuse the empty text."""
    return without_surrogates(text) or " "
