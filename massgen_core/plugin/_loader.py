"""Turns a candidate into a plugin: import it, check its API and hooks, ask what it provides."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import pluggy

from massgen_core.events import Event
from massgen_core.plugin import hookspecs
from massgen_core.plugin._fence import Fence, describe
from massgen_core.plugin._imports import UnusablePlugin, resolve
from massgen_core.plugin._markers import PROJECT
from massgen_core.plugin._provides import KINDS, PLUGIN_API, Kind, Provided, Provides
from massgen_core.plugin._report import PluginReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_core.plugin._discovery import Candidate

OBSERVE: Final = "massgen_observe"
_HOOKS: Final[dict[str, Kind]] = {f"massgen_{kind}": kind for kind in KINDS}
_HOOK_NAMES: Final = (*_HOOKS, OBSERVE)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin after loading.

    Attributes:
        report: What the user is told about it.
        cause: What made it unusable; None if it is usable.
        observe: Sends one event to it; None if it does not observe.
    """

    report: PluginReport
    cause: BaseException | None = None
    observe: Callable[[Event], object] | None = None


def load(candidate: Candidate) -> Plugin:
    """The plugin, or a report of why there is none; a faulty plugin never raises here."""
    report = PluginReport(
        dist=candidate.dist,
        version=candidate.version,
        entry_point=candidate.name,
        state="active",
        builtin=candidate.builtin,
    )
    with Fence() as fence:
        return _load(candidate, report)
    assert fence.error is not None  # noqa: S101  # the block returns or fails
    return broken(report, fence.error)


def broken(report: PluginReport, cause: BaseException) -> Plugin:
    """The plugin as unusable because of `cause`."""
    changed = replace(report, state="broken", error=describe(cause), hint=_hint(report.dist, cause))
    return Plugin(changed, cause)


def _load(candidate: Candidate, report: PluginReport) -> Plugin:
    if candidate.error is not None:
        raise candidate.error
    target = resolve(candidate.value)
    api = _api(target, candidate.value)
    if api != PLUGIN_API:
        return _incompatible(report, api)
    hooks = _Hooks(target, candidate.dist)
    provides = tuple(hooks.provided(candidate))
    observe = hooks.observer()
    return Plugin(replace(report, provides=provides, observes=bool(observe)), observe=observe)


def _api(target: object, value: str) -> int:
    holder = target if hasattr(target, "MASSGEN_PLUGIN_API") else resolve(value.partition(":")[0])
    api: object = getattr(holder, "MASSGEN_PLUGIN_API", PLUGIN_API)
    if not isinstance(api, int) or isinstance(api, bool):
        raise UnusablePlugin(f"MASSGEN_PLUGIN_API must be an integer, not {api!r}")
    return api


def _incompatible(report: PluginReport, api: int) -> Plugin:
    older = api < PLUGIN_API
    error = UnusablePlugin(f"written for plugin API {api}; this massgen-core has {PLUGIN_API}")
    hint = f"Upgrade {report.dist if older else 'massgen-core'}, or install another {report.dist}."
    changed = replace(report, state="incompatible", error=str(error), hint=hint)
    return Plugin(changed, error)


class _Hooks:
    """The hook implementations of one plugin, in a pluggy manager of its own."""

    def __init__(self, target: object, dist: str) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._manager.register(target, name=dist)
        callers = self._manager.get_hookcallers(target) or []
        if not callers:
            raise UnusablePlugin(_no_hooks(target))
        for caller in callers:
            for implementation in caller.get_hookimpls():
                _check_implementation(caller, implementation)

    def provided(self, candidate: Candidate) -> Iterator[Provided]:
        """What the hooks return, by kind and name."""
        for hook, kind in _HOOKS.items():
            named: dict[str, Provides] = {}
            for provides in self._records(hook):
                if provides.name in named:
                    raise UnusablePlugin(f"hook {hook!r} provides {provides.name!r} twice")
                named[provides.name] = provides
            for name in sorted(named):
                yield Provided(kind, named[name], candidate.dist, candidate.version)

    def observer(self) -> Callable[[Event], object] | None:
        """Sends an event to the plugin; None if it does not observe."""
        caller = self._manager.hook.massgen_observe
        if not caller.get_hookimpls():
            return None
        return lambda event: caller(event=event)

    def _records(self, hook: str) -> Iterator[Provides]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        for implementation in caller.get_hookimpls():
            # Called directly: pluggy would drop the None of a forgotten `return`.
            yield from _records(hook, implementation.function())


def _check_implementation(caller: pluggy.HookCaller, implementation: pluggy.HookImpl) -> None:
    if not caller.has_spec() and not implementation.optionalhook:
        raise UnusablePlugin(_unknown_hook(caller.name))
    if inspect.iscoroutinefunction(implementation.function):
        raise UnusablePlugin(f"hook {caller.name!r} is async; hooks are plain functions")
    if implementation.wrapper or implementation.hookwrapper:
        raise UnusablePlugin(f"hook {caller.name!r} is a wrapper; hooks of plugins stand alone")


def _records(hook: str, result: object) -> list[Provides]:
    if isinstance(result, Provides):
        return [result]
    if isinstance(result, list | tuple) and all(isinstance(item, Provides) for item in result):
        return list(result)
    raise UnusablePlugin(
        f"hook {hook!r} returned {result!r:.200}",
        hint="A hook returns a Provides, or a list or tuple of them.",
    )


def _no_hooks(target: object) -> str:
    plain = [name for name in dir(target) if name in _HOOK_NAMES]
    if plain:
        return f"{plain[0]!r} has no decorator @hookimpl of massgen_core.plugin"
    return f"{target!r} has no functions decorated with @hookimpl of massgen_core.plugin"


def _unknown_hook(name: str) -> str:
    close = difflib.get_close_matches(name, _HOOK_NAMES, n=1)
    advice = f"did you mean {close[0]!r}?" if close else f"the hooks are {', '.join(_HOOK_NAMES)}"
    return f"{name!r} is no hook; {advice}"


def _hint(dist: str, cause: BaseException) -> str:
    if isinstance(cause, UnusablePlugin) and cause.hint:
        return cause.hint
    if isinstance(cause, ImportError) and (cause.name or "").split(".")[0] == "massgen_core":
        return f"{dist} was written for another massgen-core; upgrade one of the two."
    if isinstance(cause, ModuleNotFoundError):
        return f"Reinstall it with what it needs: pip install --force-reinstall {dist}"
    return f"Upgrade {dist}, or switch it off: plugins.deny: [{dist}]"
