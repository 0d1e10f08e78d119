import importlib.metadata
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.plugin import Candidate, PluginHost
from massgen_core.plugin._discovery import in_order, installed, normalise


def found(dist: str) -> list[Candidate]:
    return [each for each in installed() if normalise(each.dist) == dist]


def test_a_distribution_with_the_entry_point_is_found_without_importing_it(workshop):
    workshop.distribution("massgen-one", version="2.1", value="massgen_one_entry")
    expected = [Candidate("massgen-one", "massgen-one", "massgen_one_entry", "2.1")]
    assert expected == found("massgen-one")
    assert "massgen_one_entry" not in sys.modules


def test_a_distribution_without_the_entry_point_is_not_a_plugin(workshop):
    workshop.distribution("massgen-none")
    assert found("massgen-none") == []


def test_of_two_of_one_name_the_first_on_the_path_counts(workshop, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path / "late")
    monkeypatch.syspath_prepend(tmp_path / "early")
    workshop.distribution("massgen-two", version="1", value="old", folder=tmp_path / "late")
    workshop.distribution("Massgen.Two", version="2", value="new", folder=tmp_path / "early")
    assert [("2", "new")] == [(each.version, each.value) for each in found("massgen-two")]


def test_a_first_one_without_the_entry_point_hides_a_later_one_with_it(
    workshop, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path / "late")
    monkeypatch.syspath_prepend(tmp_path / "early")
    workshop.distribution("massgen-two", version="1", value="plugin", folder=tmp_path / "late")
    workshop.distribution("massgen-two", version="0.9", folder=tmp_path / "early")
    assert found("massgen-two") == []


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("entry_points.txt", b"[massgen_core.plugins]\nno equals sign\n"),
        ("entry_points.txt", b"[massgen_core.plugins]\nx = \xff\xfe\n"),
        ("METADATA", None),
        ("METADATA", b"no header at all"),
    ],
)
def test_damaged_metadata_is_a_broken_plugin_with_a_name(workshop, file, content):
    info = workshop.distribution("massgen-damaged", value="massgen_damaged_entry")
    path = info / file
    path.unlink() if content is None else path.write_bytes(content)
    reports = [r for r in PluginHost().plugins() if normalise(r.dist) == "massgen-damaged"]
    assert [("broken", True)] == [(each.state, bool(each.error)) for each in reports]


def test_a_finder_that_fails_leaves_the_core_usable(monkeypatch):
    def fail(**_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(importlib.metadata, "distributions", fail)
    host = PluginHost()
    assert "estimate" in host.names("token_counter")
    assert ["broken"] == [each.state for each in host.plugins() if not each.builtin]
    assert "the disk is gone" in host.plugins()[-1].error


@pytest.mark.parametrize("name", ["Massgen_Two", "massgen.two", "massgen--two", "MASSGEN-TWO"])
def test_distribution_names_are_compared_as_pep_503_says(name):
    assert normalise(name) == "massgen-two"


candidates = st.builds(Candidate, st.text("ab-_"), st.text("ab"), st.text("ab"))


@given(
    st.lists(candidates, unique=True).flatmap(lambda c: st.tuples(st.just(c), st.permutations(c)))
)
def test_the_order_does_not_depend_on_the_order_of_metadata(case):
    given_order, other_order = case
    key = [(normalise(c.dist), c.name, c.value) for c in in_order(given_order)]
    assert key == [(normalise(c.dist), c.name, c.value) for c in in_order(other_order)]
