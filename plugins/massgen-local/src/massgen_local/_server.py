"""The embedded llama-server: started once, on 127.0.0.1, behind a random key."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Final

import httpx
import xllamacpp

from massgen_core.errors import Fatal, InvalidSetting
from massgen_local._weights import find_weights

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_local.settings import LocalSettings

# Prompt tokens evaluated at a stretch. The server notices a cancelled request only between two
# stretches: at its default of 2,048 that took 14 s of one core, at 128 0.6 s; the prompt is read
# equally fast.
_BATCH: Final = 128
_HTTP_THREADS: Final = 4
_TIMEOUT: Final = 10  # seconds, for the first answer of a server that says it is ready
_PROMPT_CACHE_MIB: Final = 256  # prompts kept for when a slot goes to another conversation and back


class Server:
    """Owns the native server. Methods block and may be called from any thread."""

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._native: xllamacpp.Server | None = None
        self._closed = False
        self.key: Final = secrets.token_urlsafe(32)

    @property
    def address(self) -> str | None:
        """The base URL, or None while the server does not run."""
        native = self._native
        return native.listening_address if native is not None else None

    def start(self) -> str:
        """The base URL of the server, which is started by the first call.

        Raises:
            InvalidSetting: There are no weights to load, or the window is larger than theirs.
            Fatal: The server is closed, or it cannot load the weights.
        """
        with self._lock:
            if self._closed:
                raise Fatal("the local backend is closed", backend="local")
            if self._native is None:
                weights = find_weights(self._settings.weights)
                native = _launch(weights, self._settings, self.key)
                _check_window(native, self._settings.window, self.key)
                self._native = native
            return str(self._native.listening_address)

    def stop(self) -> None:
        """End the server with its threads and sockets; it cannot be started again."""
        with self._lock:
            self._closed = True
            self._native = None  # its destructor joins the threads; so it does at interpreter exit


def _launch(weights: Path, settings: LocalSettings, key: str) -> xllamacpp.Server:
    try:
        return xllamacpp.Server(_params(weights, settings, key))
    except RuntimeError as exc:
        raise Fatal(
            f"llama.cpp cannot load {str(weights)!r}",
            backend="local",
            hint="The file may be damaged or of a kind this llama.cpp does not know; "
            "or the machine lacks the memory: lower backend.window or backend.slots.",
        ) from exc


def _check_window(native: xllamacpp.Server, window: int, key: str) -> None:
    # llama.cpp silently lowers a window that is larger than the one the model was trained for.
    answer = httpx.get(
        f"{native.listening_address}/props",
        headers={"authorization": f"Bearer {key}"},
        timeout=_TIMEOUT,
        trust_env=False,
    )
    trained = answer.raise_for_status().json()["default_generation_settings"]["n_ctx"]
    if trained < window:
        raise InvalidSetting(
            f"the model has a window of {trained} tokens, {window} were asked for",
            path="backend.window",
            hint=f"Set backend.window to {trained} or less.",
        )


def _params(weights: Path, settings: LocalSettings, key: str) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {weights.stem}
    params.n_ctx = settings.window * settings.slots  # llama.cpp divides it among the slots
    params.n_parallel = settings.slots
    params.n_batch = params.n_ubatch = _BATCH
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads
    params.n_threads_http = _HTTP_THREADS
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.ui = params.endpoint_slots = params.warmup = params.fit_params = False
    params.prefill_assistant = False  # an assistant message at the end is history, not a beginning
    params.verbosity = 0
    return params
