"""One server: requests, their retries, and a key that nobody sees."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Final

import httpx2

from massgen_core.errors import Fatal, RateLimited, Transient
from massgen_embed_openai._errors import NAME, refused

if TYPE_CHECKING:
    from collections.abc import Generator

    from massgen_core.clock import Clock
    from massgen_core.messages import JSONValue
    from massgen_embed_openai.settings import OpenAIEmbeddingsSettings

_STARS: Final = "**********"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_LONGEST_BACKOFF: Final = 30.0  # seconds, where the server does not say how long to wait


class Connection:
    """A pool of connections to the server, made by the first request of an event loop.

    Args:
        settings: The server, time limits and retries.
        key: The key, or None for a server that takes none.
        clock: The time, to understand dates in answers.
    """

    def __init__(self, settings: OpenAIEmbeddingsSettings, key: str | None, clock: Clock) -> None:
        self._settings = settings
        self._key = _Key(key)
        self._clock = clock
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def post(self, body: JSONValue) -> bytes:
        """What the server answered with status 200, after as many retries as are set.

        Raises:
            RateLimited: Still too many requests, or the server wants a longer wait than is set.
            Transient: The server could not be reached, stalled or failed, also when asked again.
            BackendError: It refused the request for good.
        """
        tries = 0
        while True:
            try:
                return await self._post(body)
            except (RateLimited, Transient) as error:
                wait = self._wait(error, tries)
                if tries >= self._settings.retries or wait is None:
                    raise
            await asyncio.sleep(wait)
            tries += 1

    async def close(self) -> None:
        """Ends the connections; requests that still wait fail."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    def _wait(self, error: RateLimited | Transient, tries: int) -> float | None:
        """Seconds before the next try; None if that is too long to wait."""
        named = error.retry_after if isinstance(error, RateLimited) else None
        if named is not None:
            return named if named <= self._settings.max_wait else None
        longest: float = min(self._settings.backoff * 2**tries, _LONGEST_BACKOFF)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - so that clients do not march

    async def _post(self, body: JSONValue) -> bytes:
        url = f"{self._settings.base_url}/embeddings"
        content = json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        client = self._connected()
        try:
            async with asyncio.timeout(self._settings.timeout):
                answer = await client.post(url, content=content, headers=headers)
        except TimeoutError:
            seconds = self._settings.timeout
            raise _unreachable(f"{self._settings.host} did not answer in {seconds:g} s") from None
        except httpx2.TransportError as exc:
            what = self._key.hidden(str(exc)) or type(exc).__name__
            message = f"the connection to {self._settings.host} broke: {what}"
            raise _unreachable(message) from exc
        except (httpx2.HTTPError, httpx2.InvalidURL, RuntimeError) as exc:
            what = f"{type(exc).__name__}: {self._key.hidden(str(exc))}"
            raise Fatal(what, backend=NAME) from exc
        return self._checked(answer)

    def _checked(self, answer: httpx2.Response) -> bytes:
        if answer.status_code == httpx2.codes.OK and not _is_error(answer.content):
            return answer.content
        body = self._key.hidden(answer.content.decode("utf-8", "replace")).encode()
        raise refused(answer.status_code, answer.headers, body, now=self._clock.now())

    def _connected(self) -> httpx2.AsyncClient:
        if self._closed:
            raise Fatal("the embedder is closed", backend=NAME)
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            # A proxy of the environment is for servers elsewhere. Redirects are not followed: the
            # key is for this server alone.
            elsewhere = self._settings.host not in _LOOPBACK
            self._client = httpx2.AsyncClient(auth=self._key, timeout=None, trust_env=elsewhere)
            self._loop = loop
        return self._client


class _Key(httpx2.Auth):
    """Signs requests; its value is in no attribute that a traceback or log would show."""

    def __init__(self, key: str | None) -> None:
        self._sign = (lambda: f"Bearer {key}") if key else None
        self.hidden = (lambda text: text.replace(key, _STARS)) if key else str

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        if self._sign is not None:
            request.headers["authorization"] = self._sign()
        yield request


def _unreachable(message: str) -> Transient:
    return Transient(message, backend=NAME)


def _is_error(content: bytes) -> bool:
    """Whether it is an error object; gateways send them with status 200, too."""
    return content[:20].translate(None, b" \t\r\n").startswith(b'{"error":')
