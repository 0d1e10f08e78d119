"""The conformance suite of a plugin's distribution."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.resources
import json
import subprocess
import sys
from typing import TYPE_CHECKING, ClassVar, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel

from massgen_core.plugin import ENTRY_POINT_GROUP, Candidate, PluginHost
from massgen_core.plugin._imports import resolve
from massgen_core.testing._suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_core.plugin import PluginReport, Provided

_LIGHT: Final = frozenset({"massgen_core", "pluggy", *sys.stdlib_module_names})
_LOWER: Final = frozenset({">=", ">", "==", "~="})
_UPPER: Final = frozenset({"<", "<=", "==", "~="})

_IMPORT: Final = """
import json, sys
path, module = json.loads(sys.argv[1])
sys.path[:] = path
before = {name.partition(".")[0] for name in sys.modules}
__import__(module)
after = {name.partition(".")[0] for name in sys.modules}
sys.stderr.write("\\n" + json.dumps(sorted(after - before)))
"""


class PackagingSuite(Suite):
    """Whether a plugin's distribution can be found, is light to list, and is described.

    It checks what is installed, so it passes for a wheel as for an editable checkout.

    Attributes:
        dist: Name of the distribution.

    Examples:
        >>> class TestPackaging(PackagingSuite):
        ...     dist = "massgen-sliding-window"
    """

    dist: ClassVar[str] = ""

    def test_the_metadata_names_and_describes_the_distribution(self) -> None:
        """``pip show`` has a name, a version and a summary to show."""
        assert canonicalize_name(self.dist) == canonicalize_name(_field(self.dist, "Name"))
        assert _field(self.dist, "Version"), f"{self.dist} has no version"
        assert _field(self.dist, "Summary"), f"{self.dist} has no summary: project.description"

    def test_the_metadata_holds_the_readme(self) -> None:
        """The package index can show a page."""
        assert _field(self.dist, "Description"), f"{self.dist} has no readme: project.readme"

    def test_the_metadata_names_a_licence(self) -> None:
        """Whoever installs it knows the terms."""
        licence = _field(self.dist, "License-Expression") or _field(self.dist, "License")
        assert licence, f"{self.dist} has no licence: project.license"

    def test_it_requires_massgen_core_with_both_bounds(self) -> None:
        """A later core with another plugin API does not break it silently."""
        wanted = [r for r in _requirements(self.dist) if r.name == "massgen-core"]
        assert wanted, f"{self.dist} does not depend on massgen-core"
        operators = {spec.operator for requirement in wanted for spec in requirement.specifier}
        assert operators & _LOWER, f"{wanted[0]} has no lower bound"
        assert operators & _UPPER, f"{wanted[0]} has no upper bound"

    def test_it_has_an_entry_point_that_loads_with_valid_hooks(self) -> None:
        """``mgc plugins list`` shows it as active."""
        for report in _reports(self.dist):
            assert report.state == "active", f"{report.error} {report.hint}"

    def test_each_entry_point_is_named_like_something_it_provides(self) -> None:
        """Its name in ``plugins.allow`` and ``plugins.deny`` is the name users select."""
        for report in _reports(self.dist):
            names = [item.name for item in report.provides]
            assert not names or report.entry_point in names, (
                f"entry point {report.entry_point!r} provides {names}"
            )

    def test_its_entry_module_imports_nothing_heavy(self) -> None:
        """Listing plugins stays fast: the module needs only massgen_core, pluggy and itself."""
        for candidate in _candidates(self.dist):
            loaded, _ = _import_alone(_module(candidate.value))
            heavy = sorted(loaded - _LIGHT - {_package(candidate.value)})
            assert heavy == [], f"{candidate.value} imports {heavy}; move it to the factory"

    def test_its_entry_module_prints_nothing(self) -> None:
        """The output of ``--json`` stays JSON."""
        for candidate in _candidates(self.dist):
            _, printed = _import_alone(_module(candidate.value))
            assert printed == "", f"{candidate.value} prints {printed!r}"

    def test_everything_it_provides_has_a_summary_of_one_line(self) -> None:
        """``mgc plugins list`` says what each thing is for."""
        for item in _provided(self.dist):
            lines = item.provides.summary.splitlines()
            assert len(lines) == 1, f"{item.kind} {item.name!r}: {lines}"

    def test_every_factory_can_be_imported_and_called(self) -> None:
        """What is listed can be selected."""
        for item in _provided(self.dist):
            assert callable(resolve(item.provides.factory)), item.provides.factory

    def test_every_settings_class_constructs_from_its_defaults(self) -> None:
        """Selecting it by name alone is enough."""
        for model in _settings_classes(self.dist):
            required = [name for name, field in model.model_fields.items() if field.is_required()]
            assert required == [], f"{model.__name__}: no default for {required}"
            model()

    def test_every_setting_is_described_in_the_json_schema(self) -> None:
        """Editors and ``mgc config schema`` can explain every key."""
        for model in _settings_classes(self.dist):
            properties = model.model_json_schema(by_alias=False).get("properties", {})
            plain = [name for name in model.model_fields if name not in properties]
            assert plain == [], f"{model.__name__}: not in its schema: {plain}"
            silent = [name for name, field in model.model_fields.items() if not field.description]
            assert silent == [], f"{model.__name__}: no description of {silent}"

    def test_its_packages_ship_py_typed(self) -> None:
        """Type checkers use its annotations."""
        for package in sorted({_package(each.value) for each in _candidates(self.dist)}):
            marker = importlib.resources.files(package) / "py.typed"
            assert marker.is_file(), f"{package} has no py.typed"


def _field(dist: str, name: str) -> str:
    metadata = _installed(dist).metadata
    return metadata[name].strip() if name in metadata else ""


def _installed(dist: str) -> importlib.metadata.Distribution:
    assert dist, "set `dist` in the subclass to the name of the distribution"
    try:
        return importlib.metadata.distribution(dist)
    except importlib.metadata.PackageNotFoundError:
        raise AssertionError(f"{dist} is not installed; pip install -e .") from None


def _requirements(dist: str) -> Iterator[Requirement]:
    for line in _installed(dist).requires or ():
        requirement = Requirement(line)
        requirement.name = canonicalize_name(requirement.name)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _candidates(dist: str) -> list[Candidate]:
    found = _installed(dist)
    points = found.entry_points.select(group=ENTRY_POINT_GROUP)
    candidates = [Candidate(dist, each.name, each.value, found.version) for each in points]
    assert candidates, f"{dist} has no entry point in the group {ENTRY_POINT_GROUP!r}"
    return candidates


def _reports(dist: str) -> tuple[PluginReport, ...]:
    return PluginHost(builtins=False, entry_points=_candidates(dist)).plugins()


def _provided(dist: str) -> Iterator[Provided]:
    for report in _reports(dist):
        yield from report.provides


def _settings_classes(dist: str) -> Iterator[type[BaseModel]]:
    for item in _provided(dist):
        if item.provides.settings is not None:
            model = resolve(item.provides.settings)
            assert isinstance(model, type), f"{item.provides.settings} is no class"
            assert issubclass(model, BaseModel), f"{model.__name__} is no pydantic BaseModel"
            yield model


def _module(value: str) -> str:
    return value.partition(":")[0].strip()


def _package(value: str) -> str:
    return _module(value).partition(".")[0]


@functools.cache
def _import_alone(module: str) -> tuple[frozenset[str], str]:
    """The top-level modules that importing `module` in a new process loads, and what it prints."""
    argument = json.dumps([sys.path, module])
    done = subprocess.run(  # noqa: S603  # our own interpreter and program
        [sys.executable, "-c", _IMPORT, argument], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return frozenset(json.loads(done.stderr.splitlines()[-1])), done.stdout
