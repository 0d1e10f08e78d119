"""The object an application asks for plugins."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

from massgen_core.errors import InvalidArgument, MassgenError, PluginBroken
from massgen_core.events import PluginFailed
from massgen_core.plugin._discovery import Candidate, in_order, installed
from massgen_core.plugin._fence import Fence, describe
from massgen_core.plugin._loader import Plugin, load
from massgen_core.plugin._lookup import conflict, refusal, unusable, usable
from massgen_core.plugin._observers import Observer, Observers
from massgen_core.plugin._provides import KINDS
from massgen_core.plugin._registry import Policy, settle
from massgen_core.plugin._report import PluginReport

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel

    from massgen_core.backends import Backend
    from massgen_core.context import TruncationStrategy
    from massgen_core.errors import PluginError
    from massgen_core.events import Event
    from massgen_core.memory import Embedder, MemoryStore, QueryExpander, Reranker
    from massgen_core.messages import JSONValue
    from massgen_core.plugin._provides import Kind, PluginContext, Provided
    from massgen_core.tokens import TokenCounter

    GivenSettings: TypeAlias = BaseModel | Mapping[str, JSONValue] | None


class PluginHost:
    """Knows every plugin, hands out what the usable ones provide, and keeps failures apart.

    Making a host imports the entry module of each plugin that is not switched off, and nothing else
    of it. A faulty plugin never raises here: it becomes a report, and selecting it raises.

    Args:
        allow: If not empty, only these distributions or entry points are imported.
        deny: Distributions, entry points or registered names that are not used. A denied
            distribution or entry point is not imported. Deny wins over allow.
        prefer: Distributions; of several that register one name, the first in this list wins.
        strict: Raise if any plugin is broken, incompatible or in conflict.
        builtins: Whether the core's own plugins are there. They need no metadata, and `allow` and
            `deny` do not touch them.
        entry_points: Candidates instead of those installed, for tests.

    Raises:
        PluginError: Only if `strict`: the first unusable plugin; a note names the others.

    Examples:
        >>> host = PluginHost(allow=["massgen-sliding-window"])
        >>> "estimate" in host.names("token_counter")
        True
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        deny: Iterable[str] = (),
        prefer: Iterable[str] = (),
        strict: bool = False,
        builtins: bool = True,
        entry_points: Iterable[Candidate] | None = None,
    ) -> None:
        self._policy = Policy(
            _names("allow", allow), _names("deny", deny), _names("prefer", prefer)
        )
        found = installed() if entry_points is None else in_order(entry_points)
        own = [_builtin()] if builtins else []
        loaded = [_load_unless_refused(each, self._policy) for each in (*own, *found)]
        self._plugins = settle(loaded, self._policy)
        self._usable = {(item.kind, item.name): item for item in usable(self._plugins)}
        self._observers = Observers(_observers(self._plugins))
        if strict:
            _raise_unusable(self._plugins)
        for failed in _failures(self._plugins):
            self._observers.send(failed)

    def plugins(self) -> tuple[PluginReport, ...]:
        """A report on each plugin: the core's own first, then by distribution and entry point."""
        return tuple(plugin.report for plugin in self._plugins)

    def warnings(self) -> tuple[str, ...]:
        """One line for each entry of `allow`, `deny` or `prefer` that names nothing installed."""
        return self._policy.unmatched(self._plugins)

    def names(self, kind: Kind) -> tuple[str, ...]:
        """The names that can be selected, sorted."""
        _check_kind(kind)
        return tuple(sorted(name for of, name in self._usable if of == kind))

    def get(self, kind: Kind, name: str) -> Provided:
        """The record of a name; nothing of the plugin is imported for it.

        Raises:
            PluginNotFound: Nothing installed provides it; the hint says what to install or type.
            PluginBroken: What provides it failed to load; the cause is chained.
            PluginIncompatible: What provides it was written for another plugin API.
            PluginConflict: Several distributions provide it and none is preferred.
            PluginDisabled: What provides it is switched off.
        """
        _check_kind(kind)
        found = self._usable.get((kind, name))
        if found is None:
            raise refusal(kind, name, self._plugins)
        return found

    def settings_class(self, kind: Kind, name: str) -> type[BaseModel] | None:
        """The settings class of a name, imported now; None if it has no settings.

        Raises:
            PluginError: As `get`; also PluginBroken if the class cannot be imported or is none.
        """
        from massgen_core.plugin._make import settings_class  # noqa: PLC0415  # loads pydantic

        provided = self.get(kind, name)
        with Fence() as fence:
            return settings_class(provided)
        raise self._failure(provided, fence.error)

    @overload
    def create(
        self, kind: Literal["backend"], name: str, settings: GivenSettings, ctx: PluginContext
    ) -> Backend: ...

    @overload
    def create(
        self, kind: Literal["strategy"], name: str, settings: GivenSettings, ctx: PluginContext
    ) -> TruncationStrategy: ...

    @overload
    def create(
        self, kind: Literal["memory_store"], name: str, settings: GivenSettings, ctx: PluginContext
    ) -> MemoryStore: ...

    @overload
    def create(
        self, kind: Literal["embedder"], name: str, settings: GivenSettings, ctx: PluginContext
    ) -> Embedder: ...

    @overload
    def create(
        self, kind: Literal["reranker"], name: str, settings: GivenSettings, ctx: PluginContext
    ) -> Reranker: ...

    @overload
    def create(
        self,
        kind: Literal["query_expander"],
        name: str,
        settings: GivenSettings,
        ctx: PluginContext,
    ) -> QueryExpander: ...

    @overload
    def create(
        self, kind: Literal["token_counter"], name: str, settings: GivenSettings, ctx: PluginContext
    ) -> TokenCounter: ...

    @overload
    def create(
        self, kind: Kind, name: str, settings: GivenSettings, ctx: PluginContext
    ) -> object: ...

    def create(self, kind: Kind, name: str, settings: GivenSettings, ctx: PluginContext) -> object:
        """A new object of the plugin; it has every member of the kind's Protocol.

        Args:
            kind: The kind.
            name: The registered name.
            settings: An instance of the plugin's settings class, or values for one; None means
                all defaults. A key ``name`` that is no setting of the plugin is ignored.
            ctx: What the factory may use.

        Raises:
            PluginError: As `get`.
            PluginBroken: The factory could not be imported, failed, or made something else; the
                cause is chained.
            InvalidSetting: A setting has a value the plugin does not accept.
            UnknownSetting: The plugin has no such setting.
            MassgenError: Errors of this package that the factory raises pass as they are.
        """
        from massgen_core.plugin._make import make  # noqa: PLC0415  # loads pydantic

        provided = self.get(kind, name)
        with Fence() as fence:
            return make(provided, settings, ctx)
        raise self._failure(provided, fence.error)

    def observe(self, event: Event) -> None:
        """Sends the event to every observer; what an observer raises is logged and goes no further.

        An observer that fails three times in a row is muted, and the others get a `PluginFailed`.
        """
        self._observers.send(event)

    def _failure(self, provided: Provided, cause: BaseException | None) -> MassgenError:
        if isinstance(cause, MassgenError):
            return cause
        what = describe(cause) if cause is not None else ""
        self.observe(PluginFailed(provided.dist, provided.name, what))
        owner = f"{provided.dist} {provided.version}".rstrip()
        error = PluginBroken(
            f"{provided.kind} {provided.name!r} of {owner} failed: {what}",
            kind=provided.kind,
            name=provided.name,
            dist=provided.dist,
            hint=f"Upgrade {provided.dist}, or select another {provided.kind}.",
        )
        error.__cause__ = cause
        return error


def _builtin() -> Candidate:
    version = ""
    with Fence():  # the package may run without metadata, which is where its version is
        version = str(importlib.import_module("massgen_core").__version__)
    return Candidate("massgen-core", "builtin", "massgen_core.builtin", version, builtin=True)


def _names(setting: str, names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise InvalidArgument(f"{setting} must be a list of names, not the string {names!r}")
    return tuple(names)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        close = difflib.get_close_matches(str(kind), KINDS, n=1)
        advice = f"Did you mean {close[0]!r}?" if close else f"The kinds: {', '.join(KINDS)}."
        raise InvalidArgument(f"{kind!r} is no plugin kind", hint=advice)


def _load_unless_refused(candidate: Candidate, policy: Policy) -> Plugin:
    setting = policy.refuses(candidate)
    if not setting:
        return load(candidate)
    hint = f"Take it out of {setting}." if setting == "plugins.deny" else f"Add it to {setting}."
    return Plugin(
        PluginReport(candidate.dist, candidate.version, candidate.name, "disabled", hint=hint)
    )


def _observers(plugins: Iterable[Plugin]) -> Iterable[Observer]:
    for plugin in plugins:
        if plugin.observe is not None:
            yield Observer(plugin.report.dist, plugin.report.entry_point, plugin.observe)


def _failures(plugins: Iterable[Plugin]) -> Iterable[PluginFailed]:
    for plugin in plugins:
        report = plugin.report
        if report.state in ("broken", "incompatible"):
            yield PluginFailed(report.dist, report.entry_point, report.error)


def _raise_unusable(plugins: Iterable[Plugin]) -> None:
    errors = list(map(_error_of, (p for p in plugins if p.report.state not in _FINE)))
    if errors:
        for other in errors[1:]:
            errors[0].add_note(f"also: {other.message}")
        raise errors[0]


_FINE = frozenset({"active", "disabled"})


def _error_of(plugin: Plugin) -> PluginError:
    if plugin.report.state == "conflict":
        return conflict(next(i for i in plugin.report.provides if i.state == "conflict"))
    return unusable(plugin)
