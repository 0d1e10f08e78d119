"""The backends of an application: made once of its settings, patient, accounted for, closed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import ValidationError

from massgen_core.backends import (
    Accounted,
    Accounts,
    Endpoints,
    Policy,
    Recorded,
    Recording,
    Replayed,
    endpoint_of,
)
from massgen_core.errors import InvalidArgument, InvalidSetting, UnknownModel
from massgen_core.settings import DEFAULT_BACKEND, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AsyncExitStack
    from pathlib import Path

    from pydantic import BaseModel

    from massgen_core.backends import Backend
    from massgen_core.messages import JSONValue
    from massgen_core.plugin import PluginContext, PluginHost
    from massgen_core.settings import SelectedBackend
    from massgen_core.tokens import ModelCatalogue, Prices

__all__ = ["Providers", "policy_of"]


class Providers:
    """Makes the backends that settings name, each once, and closes them.

    Args:
        host: Knows the plugins.
        context: What their factories may use.
        chosen: The ``backend`` section; None if there is none.
        models: Knows the prices.
        stack: Closes what is made.

    Attributes:
        accounts: What was used, of all of them.
    """

    def __init__(
        self,
        host: PluginHost,
        context: Callable[[], PluginContext],
        chosen: SelectedBackend | None,
        models: ModelCatalogue,
        stack: AsyncExitStack,
    ) -> None:
        self.accounts = Accounts()
        self._host = host
        self._context = context
        self._chosen = chosen
        self._models = models
        self._stack = stack
        self._endpoints = Endpoints()
        self._made: dict[str, Backend] = {}
        self._recording: Recording | None = None
        self._replaying: Path | None = None

    @property
    def name(self) -> str:
        """Registered name of the agents' backend."""
        return DEFAULT_BACKEND if self._chosen is None else self._chosen.name

    def record(self, path: Path) -> None:
        """Writes down what backends that are made from now on are asked, and what they answer.

        Raises:
            InvalidArgument: The file cannot be written.
        """
        try:
            self._recording = Recording(path)
        except OSError as exc:
            raise InvalidArgument(f"{str(path)!r} cannot be written: {exc.strerror}") from exc
        self._stack.callback(self._recording.close)

    def replay(self, path: Path) -> None:
        """Lets backends that are made from now on answer as they did in a recording."""
        self._replaying = path

    def main(self) -> Backend:
        """The agents' backend.

        Raises:
            PluginError: It is not installed, or broken.
        """
        chosen = self._chosen
        own = None if chosen is None else chosen.settings
        patience = Patience() if chosen is None else chosen
        return self._backend("", self.name, own, patience)

    def of(self, section: Mapping[str, JSONValue] | None, model: str) -> tuple[Backend, str]:
        """The backend that a section names, and the model to ask it for.

        Args:
            section: ``name``, ``model``, the backend's own keys, and those of `Patience`. What it
                does not say is as with the agents' backend, its own keys excepted.
            model: The agents' model.

        Raises:
            PluginError: It is not installed, or broken.
            SettingsError: The section cannot be used.
        """
        own = dict(section or {})
        name, wanted = own.pop("name", None), own.pop("model", None)
        if name in (None, self.name) and not own:
            return self.main(), str(wanted or model)
        key = json.dumps([name, own], sort_keys=True)
        said = {k: own.pop(k) for k in Patience.model_fields if k in own}
        backend = self._backend(key, str(name or self.name), own, self._patience(said))
        return backend, str(wanted or backend.name)

    def _patience(self, said: Mapping[str, JSONValue]) -> Patience:
        base = self._chosen or Patience()
        given = {name: getattr(base, name) for name in Patience.model_fields}
        try:
            return Patience.model_validate({**given, **said})
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False)[0]
            path = ".".join(map(str, first["loc"]))
            raise InvalidSetting(f"{path}: {first['msg']}", path=path) from exc

    def _backend(
        self,
        key: str,
        name: str,
        own: BaseModel | Mapping[str, JSONValue] | None,
        patience: Patience,
    ) -> Backend:
        if key not in self._made:
            made = self._new(name, own)
            self._stack.push_async_callback(made.aclose)
            endpoint = endpoint_of(name, _values(own))
            wrapped = self._endpoints.wrap(made, policy_of(patience), endpoint)
            self._made[key] = Accounted(wrapped, self.accounts, self._prices)
        return self._made[key]

    def _new(self, name: str, own: BaseModel | Mapping[str, JSONValue] | None) -> Backend:
        if self._replaying is not None:
            return Replayed(self._replaying, name)
        made = self._host.create("backend", name, own, self._context())
        return made if self._recording is None else Recorded(made, self._recording)

    def _prices(self, model: str) -> Prices | None:
        try:
            return self._models.get(model).prices
        except UnknownModel:
            return None


def policy_of(patience: Patience) -> Policy:
    """The policy that settings describe."""
    retry, timeouts = patience.retry, patience.timeouts
    limits, breaker = patience.limits, patience.breaker
    return Policy(
        attempts=retry.attempts,
        most_wait=retry.most_wait,
        deadline=retry.deadline,
        idle=timeouts.idle,
        call=timeouts.call,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        requests_per_day=limits.requests_per_day,
        failures=breaker.failures,
        pause=breaker.pause,
    )


def _values(own: BaseModel | Mapping[str, JSONValue] | None) -> Mapping[str, object]:
    if own is None:
        return {}
    return own if not hasattr(own, "model_fields_set") else dict(own)
