"""Loading: sources, phase one, phase two, and the result with its explanation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel

from massgen_core.errors import MassgenError, PluginError, SettingsError, SettingsFileError
from massgen_core.settings._check import UNCHECKED, Check, OwnSettings
from massgen_core.settings._choose import Choice, choose, without_void_keys
from massgen_core.settings._compose import compose, origin, validate
from massgen_core.settings._explain import Explained, explained, shown
from massgen_core.settings._layers import Sources, read_sources
from massgen_core.settings._model import SELECTABLE, Settings
from massgen_core.settings._problems import Problem, error_of
from massgen_core.settings._sections import PluginsSection

if TYPE_CHECKING:
    from massgen_core.settings._explain import Shown
    from massgen_core.settings._tree import Layer

Lookup: TypeAlias = Callable[[str, str], type[BaseModel] | None]
"""Gives the settings class of a plugin by kind and name; raises what a plugin host raises."""

_PHASE_ONE = frozenset({"profile", "plugins"})


@dataclass(frozen=True, slots=True)
class Names:
    """What can be known without any plugin.

    Attributes:
        plugins: Which plugins may take part.
        backend: The selected backend; None if there is no ``backend`` section.
        strategies: The selected strategies in order; None asks for the recommended chain.
        memory_store: The selected memory store, if any.
        embedder: The selected embedder, if any.
        tools: The selected source of tools, if any.
        profile: The chosen profile, if any.
    """

    plugins: PluginsSection
    backend: str | None = None
    strategies: tuple[str, ...] | None = None
    memory_store: str | None = None
    embedder: str | None = None
    tools: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """Valid settings, and where each came from.

    Attributes:
        settings: The values. A selected plugin's own are in ``settings.<section>.settings``.
        names: The names that were selected.
        project_dir: Folder of the project file; the current folder if there is none.
        files: The files that were read, lowest first.
        ignored: Variables that start with ``MASSGEN_`` but are no settings.
    """

    settings: Settings
    names: Names
    project_dir: Path
    files: tuple[Path, ...] = ()
    ignored: tuple[str, ...] = ()
    _explained: tuple[Explained, ...] = field(default=(), repr=False)

    @property
    def storage_path(self) -> Path:
        """Where sessions are kept: ``storage.path`` as seen from the project folder."""
        return self.project_dir / self.settings.storage.path.expanduser()

    def explain(self) -> tuple[Explained, ...]:
        """Every value with its dotted path and its source; secrets are stars."""
        return self._explained

    def show(self) -> dict[str, Shown]:
        """The values as one tree, as in ``massgen.yaml``; secrets are stars."""
        return shown(self.settings)


def read_names(
    *,
    overrides: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    profile: str | None = None,
    file: Path | None = None,
) -> Names:
    """Phase one: the plugins section and the selected names, without loading any plugin.

    Takes what `load_settings` takes. Other sections are not looked at.

    Raises:
        SettingsFileError: A file cannot be read or parsed.
        UnknownSetting: A key of the ``plugins`` section is unknown.
        InvalidSetting: A name or a value of the ``plugins`` section cannot be used.
    """
    sources = _sources(overrides, env, cwd, profile, file)
    names, _, problems = _phase_one(sources)
    if names is None or problems:
        raise error_of(problems)
    return names


def load_settings(
    *,
    lookup: Lookup | None,
    overrides: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    profile: str | None = None,
    file: Path | None = None,
) -> Loaded:
    """All settings, joined from all sources and checked.

    Args:
        lookup: Gives the settings classes of plugins; None leaves their keys unchecked and unread.
        overrides: ``key=value`` texts, strongest of all sources.
        env: The environment; that of the process if None.
        cwd: Where the search for a project file starts; the current folder if None.
        profile: The profile to use, over what any source says.
        file: The project file, instead of searching for one.

    Raises:
        SettingsFileError: A file cannot be read or parsed.
        UnknownSetting: There are unknown keys; the message lists all problems.
        InvalidSetting: There are values that cannot be used; the message lists all problems.
        PluginError: A selected plugin cannot be used.
    """
    loaded, problems = _load(_sources(overrides, env, cwd, profile, file), lookup)
    if loaded is None:
        raise error_of(problems)
    return loaded


def check_settings(
    *,
    lookup: Lookup | None,
    overrides: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    profile: str | None = None,
    file: Path | None = None,
) -> tuple[Problem, ...]:
    """All that is wrong with the settings; empty if `load_settings` would succeed.

    Plugins that are needed only later, e.g. for a fallback, are looked for, too. Takes what
    `load_settings` takes.
    """
    try:
        loaded, problems = _load(_sources(overrides, env, cwd, profile, file), lookup)
        return problems if loaded is None else _missing(loaded, lookup)
    except (SettingsError, PluginError) as exc:
        return (_as_problem(exc),)


def _missing(loaded: Loaded, lookup: Lookup | None) -> tuple[Problem, ...]:
    """The plugins that are named outside of the sections that choose one, and cannot be used."""
    problems: list[Problem] = []
    sources = {one.path: one.source for one in loaded.explain()}
    for path, kind, name in _named(loaded.settings):
        try:
            source = sources.get(path) or sources[path.rpartition("[")[0]]
            _own(lookup, kind, name, f"{path}, {source}")
        except PluginError as exc:
            problems.append(_as_problem(exc))
    return tuple(problems)


def _named(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Path, kind and name of each plugin that is named outside of the sections that choose one."""
    for index, one in enumerate(settings.agent.fallbacks):
        if one.name is not None:
            yield f"agent.fallbacks[{index}].name", "backend", one.name
    for index, name in enumerate(settings.memory.indexes):
        yield f"memory.indexes[{index}]", "memory_store", name
    asked = settings.memory.extraction.backend
    if asked is not None and asked.name is not None:
        yield "memory.extraction.backend.name", "backend", asked.name


def _as_problem(exc: MassgenError) -> Problem:
    notes = getattr(exc, "__notes__", ())
    message = " ".join(" ".join([str(exc), *notes]).split())
    match exc:
        case SettingsFileError():
            return Problem("file", "", exc.file, message)
        case PluginError():
            return Problem("plugin", exc.kind, exc.dist, message)
        case _:
            path = getattr(exc, "path", "")
            return Problem("invalid", path, getattr(exc, "source", ""), message)


def _sources(
    overrides: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: Path | None,
    profile: str | None,
    file: Path | None,
) -> Sources:
    return read_sources(
        overrides=overrides,
        env=os.environ if env is None else env,
        cwd=(cwd or Path.cwd()).absolute(),
        profile=profile,
        file=file,
    )


def _phase_one(sources: Sources) -> tuple[Names | None, Choice, tuple[Problem, ...]]:
    layers = without_void_keys(sources.layers)
    choice, problems = choose(layers)
    only = [layer.only(_PHASE_ONE.__contains__) for layer in layers]
    settings, _, more = _phase_two(only, Choice({}, None), {}, ())
    problems = (*more, *problems)
    if settings is None:
        return None, choice, problems
    single = choice.sections.get("strategy")
    names = Names(
        plugins=settings.plugins,
        backend=choice.sections.get("backend"),
        strategies=choice.chain if single is None else (single,),
        memory_store=choice.sections.get("memory_store"),
        embedder=choice.sections.get("embedder"),
        tools=choice.sections.get("tools"),
        profile=sources.profile,
    )
    return names, choice, problems


def _phase_two(
    layers: Sequence[Layer],
    choice: Choice,
    sections: Mapping[str, OwnSettings],
    chain: Sequence[OwnSettings],
) -> tuple[Settings | None, tuple[Layer, ...], tuple[Problem, ...]]:
    checks = [Check(layer, sections, tuple(chain)) for layer in layers]
    typed = tuple([check.run() for check in checks])
    problems = [problem for check in checks for problem in check.problems]
    secrets = frozenset().union(*(check.secrets for check in checks))
    settings, more = validate(compose(choice, sections, chain), typed, secrets)
    return settings, typed, (*problems, *more)


def _load(sources: Sources, lookup: Lookup | None) -> tuple[Loaded | None, tuple[Problem, ...]]:
    names, choice, problems = _phase_one(sources)
    layers = [layer.only(partial(_is_usable, choice)) for layer in sources.layers]
    layers = [*without_void_keys(layers)]
    sections = {
        section: _own(lookup, SELECTABLE[section], name, origin(layers, (section,)))
        for section, name in choice.sections.items()
    }
    above = origin(layers, ("strategies",))
    chain = [_own(lookup, "strategy", name, above) for name in choice.chain or ()]
    settings, typed, more = _phase_two(layers, choice, sections, chain)
    problems = (*problems, *more, *_unused_profiles(sources)) if names else (*problems, *more)
    if problems or names is None or settings is None:
        return None, tuple(dict.fromkeys(problems))
    loaded = Loaded(
        settings=settings,
        names=names,
        project_dir=sources.project_dir,
        files=sources.files,
        ignored=sources.ignored,
        _explained=tuple(explained(settings, typed)),
    )
    return loaded, ()


def _is_usable(choice: Choice, key: str) -> bool:
    """Whether phase one found no fault with the section, so that phase two can read it."""
    if key in SELECTABLE:
        return key in choice.sections
    return key != "strategies" or choice.chain is not None


def _own(lookup: Lookup | None, kind: str, name: str, source: str) -> OwnSettings:
    if lookup is None:
        return UNCHECKED
    try:
        return OwnSettings(lookup(kind, name))
    except PluginError as exc:
        exc.add_note(f"The settings select {kind} {name!r} ({source}).")
        raise


def _unused_profiles(sources: Sources) -> tuple[Problem, ...]:
    """Misspelt keys of profiles that are not in use; which plugins they mean is not known."""
    checks = [Check(layer, {}) for layer in sources.unused]
    for check in checks:
        check.run()
    return tuple(problem for check in checks for problem in check.problems)
