"""Each check of the packaging suite passes for a sound distribution and fails for its fault."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from massgen_core.testing import PackagingSuite

CHECKS = [name for name in vars(PackagingSuite) if name.startswith("test_")]

METADATA = """\
Metadata-Version: 2.4
Name: massgen-sound
Version: 1.0
Summary: A sound plugin.
License-Expression: Apache-2.0
Requires-Dist: massgen-core>=0.1,<0.2
Requires-Dist: pytest>=8; extra == "test"

# massgen-sound

It hears.
"""

ENTRY = """\
from massgen_core.plugin import Provides, hookimpl

@hookimpl
def massgen_embedder():
    return Provides(
        "sound", "{package}.parts:Sound", settings="{package}.parts:Settings", summary="Hears."
    )
"""

PARTS = """\
from pydantic import BaseModel, Field

class Settings(BaseModel):
    volume: int = Field(default=3, description="How loud, 0 to 11.")

class Sound:
    pass
"""


@dataclass(frozen=True)
class Layout:
    """A distribution as it lies on disk after installation."""

    package: str
    metadata: str = METADATA
    points: str = "[massgen_core.plugins]\nsound = {package}.plugin\n"
    files: dict[str, str] = field(
        default_factory=lambda: {
            "__init__.py": "",
            "py.typed": "",
            "plugin.py": ENTRY,
            "parts.py": PARTS,
        }
    )

    def with_file(self, name: str, text: str) -> "Layout":
        return replace(self, files={**self.files, name: text})

    def write(self, folder: Path) -> None:
        info = folder / "massgen_sound-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(self.metadata, encoding="utf-8")
        points = self.points.replace("{package}", self.package)
        (info / "entry_points.txt").write_text(points, encoding="utf-8")
        (folder / self.package).mkdir()
        for name, text in self.files.items():
            path = folder / self.package / name
            path.write_text(text.replace("{package}", self.package), encoding="utf-8")


@pytest.fixture
def layout(tmp_path):
    return Layout(f"sound_{abs(hash(tmp_path))}")


@pytest.fixture
def failures(tmp_path, monkeypatch):
    """Installs a layout; gives the checks that fail, with their messages."""
    before = set(sys.modules)

    def run(layout: Layout, dist: str = "massgen-sound") -> dict[str, str]:
        layout.write(tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        suite = type("TestSound", (PackagingSuite,), {"dist": dist})()
        return dict(_failures(suite))

    yield run
    for name in set(sys.modules) - before:
        if name.startswith("sound_"):
            del sys.modules[name]


def _failures(suite: PackagingSuite):
    for name in CHECKS:
        try:
            getattr(suite, name)()
        except AssertionError as error:
            yield name, str(error)


def test_a_sound_distribution_passes_every_check(layout, failures):
    assert {} == failures(layout)
    assert 13 == len(CHECKS)


def test_what_is_not_installed_fails_every_check(layout, failures):
    found = failures(layout, dist="massgen-nowhere")
    assert CHECKS == list(found)
    assert {"massgen-nowhere is not installed; pip install -e ."} == set(found.values())


def test_a_suite_without_a_name_says_what_to_set(layout, failures):
    assert "set `dist`" in failures(layout, dist="")[CHECKS[0]]


META_FAULTS = {
    "no summary": ("Summary: A sound plugin.\n", "", "describes", "project.description"),
    "no readme": ("# massgen-sound\n\nIt hears.\n", "", "readme", "project.readme"),
    "no licence": ("License-Expression: Apache-2.0\n", "", "licence", "project.license"),
    "no core": ("massgen-core>=0.1,<0.2", "pluggy>=1", "bounds", "does not depend"),
    "core in an extra": ("<0.2\n", '<0.2; extra == "x"\n', "bounds", "does not depend"),
    "no upper bound": (">=0.1,<0.2", ">=0.1", "bounds", "no upper bound"),
    "no lower bound": (">=0.1,<0.2", "<0.2", "bounds", "no lower bound"),
}


@pytest.mark.parametrize("fault", META_FAULTS)
def test_a_fault_of_the_metadata_fails_its_check_alone(layout, failures, fault):
    old, new, check, message = META_FAULTS[fault]
    assert old in METADATA
    found = failures(replace(layout, metadata=METADATA.replace(old, new)))
    assert [True] == [check in name for name in found]
    assert message in next(iter(found.values()))


ENTRY_FAULTS = {
    "heavy": ("plugin.py", "import pydantic\n" + ENTRY, "nothing_heavy", "'pydantic'"),
    "heavy package": ("__init__.py", "import yaml\n", "nothing_heavy", "'yaml'"),
    "prints": ("plugin.py", "print('hi')\n" + ENTRY, "prints_nothing", "hi"),
    "no summary": ("plugin.py", ENTRY.replace("Hears.", ""), "summary_of_one_line", "sound"),
    "two lines": ("plugin.py", ENTRY.replace("Hears.", r"a\nb"), "summary_of_one_line", "sound"),
    "other name": ("plugin.py", ENTRY.replace('"sound"', '"other"'), "named_like", "other"),
    "factory": ("parts.py", PARTS.replace("class Sound:\n    pass", "Sound = 3"), "factory", ""),
    "required": ("parts.py", PARTS.replace("default=3, ", ""), "its_defaults", "['volume']"),
    "silent": (
        "parts.py",
        PARTS.replace(', description="How loud, 0 to 11."', ""),
        "schema",
        "['volume']",
    ),
}


@pytest.mark.parametrize("fault", ENTRY_FAULTS)
def test_a_fault_of_the_code_fails_its_check_alone(layout, failures, fault):
    file, text, check, message = ENTRY_FAULTS[fault]
    found = failures(layout.with_file(file, text))
    assert [True] == [check in name for name in found]
    assert message in next(iter(found.values()))


def test_a_hook_that_is_none_fails_the_hook_check(layout, failures):
    found = failures(layout.with_file("plugin.py", ENTRY.replace("massgen_embedder", "massgen_x")))
    assert ["test_it_has_an_entry_point_that_loads_with_valid_hooks"] == list(found)
    assert "is no hook" in next(iter(found.values()))


def test_a_settings_class_that_is_no_model_fails(layout, failures):
    found = failures(layout.with_file("parts.py", PARTS.replace("(BaseModel)", "")))
    assert 2 == len(found)
    assert all("no pydantic BaseModel" in message for message in found.values())


def test_a_missing_py_typed_fails(layout, failures):
    files = {name: text for name, text in layout.files.items() if name != "py.typed"}
    assert ["test_its_packages_ship_py_typed"] == list(failures(replace(layout, files=files)))


def test_a_distribution_without_entry_point_fails(layout, failures):
    found = failures(replace(layout, points="[console_scripts]\nx = y:z\n"))
    assert "has no entry point in the group" in next(iter(found.values()))
