"""Plugins for tests: a module on the path and, where it matters, metadata beside it."""

import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.plugin import Candidate, PluginContext, PluginHost
from massgen_core.tokens import ModelCatalogue

IMPORTS = "from massgen_core.plugin import Provides, hookimpl\n"


@dataclass(frozen=True)
class Workshop:
    """Makes plugins in a folder that is on ``sys.path``."""

    folder: Path

    def module(self, name: str, source: str) -> None:
        path = self.folder / f"{name}.py"
        path.write_text(IMPORTS + textwrap.dedent(source), encoding="utf-8")

    def plugin(self, dist: str, source: str, *, entry_point: str = "") -> Candidate:
        module = f"{dist}_{entry_point}".replace("-", "_")
        self.module(module, source)
        return Candidate(dist, entry_point or dist, module, "1.0")

    def provider(self, dist: str, *names: str, kind: str = "embedder") -> Candidate:
        records = ", ".join(f"Provides({name!r}, 'nowhere:Nothing')" for name in names)
        source = f"@hookimpl\ndef massgen_{kind}():\n    return [{records}]\n"
        return self.plugin(dist, source, entry_point=names[0])

    def distribution(  # metadata as an installer writes it
        self, dist: str, *, version: str = "1.0", value: str = "", folder: Path | None = None
    ) -> Path:
        info = (folder or self.folder) / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        head = f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n"
        (info / "METADATA").write_text(head, encoding="utf-8")
        if value:
            points = f"[massgen_core.plugins]\n{dist} = {value}\n"
            (info / "entry_points.txt").write_text(points, encoding="utf-8")
        return info


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield Workshop(tmp_path)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def host():
    """Makes a host of the given candidates alone."""

    def make(*candidates: Candidate, builtins: bool = False, **settings: object) -> PluginHost:
        return PluginHost(entry_points=candidates, builtins=builtins, **settings)

    return make


@pytest.fixture(scope="session")
def context() -> PluginContext:
    return PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped())
