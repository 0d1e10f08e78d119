import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.errors import (
    InvalidArgument,
    PluginBroken,
    PluginConflict,
    PluginDisabled,
    PluginError,
)
from massgen_core.plugin import Candidate, PluginHost, PluginReport, Provided, Provides
from massgen_core.plugin._loader import Plugin
from massgen_core.plugin._registry import Policy, settle


def states(host: PluginHost) -> dict[str, str]:
    return {report.dist: report.state for report in host.plugins()}


# Allow and deny


@pytest.mark.parametrize("entry", ["massgen-a", "Massgen_A", "massgen.a", "one"])
def test_a_denied_plugin_is_disabled_and_its_module_is_never_imported(workshop, host, entry):
    made = host(workshop.provider("massgen-a", "one"), deny=[entry])
    assert {"massgen-a": "disabled"} == states(made)
    assert "massgen_a_one" not in sys.modules
    with pytest.raises(PluginDisabled, match="massgen-a") as caught:
        made.get("embedder", "one")
    assert "plugins.deny" in caught.value.hint


@pytest.mark.parametrize("entry", ["massgen-a", "Massgen_A", "one"])
def test_with_an_allow_list_only_what_it_names_is_imported(workshop, host, entry):
    made = host(
        workshop.provider("massgen-a", "one"),
        workshop.provider("massgen-b", "two"),
        allow=[entry],
    )
    assert {"massgen-a": "active", "massgen-b": "disabled"} == states(made)
    assert "massgen_b_two" not in sys.modules
    with pytest.raises(PluginDisabled) as caught:
        made.get("embedder", "two")
    assert "plugins.allow" in caught.value.hint


def test_deny_wins_over_allow(workshop, host):
    made = host(workshop.provider("massgen-a", "one"), allow=["massgen-a"], deny=["one"])
    assert {"massgen-a": "disabled"} == states(made)


def test_a_denied_registered_name_leaves_the_rest_of_its_plugin(workshop, host):
    made = host(workshop.provider("massgen-a", "one", "two"), deny=["two"])
    assert {"massgen-a": "active"} == states(made)
    assert made.names("embedder") == ("one",)
    with pytest.raises(PluginDisabled, match=r"'two' of massgen-a is switched off"):
        made.get("embedder", "two")


def test_a_plugin_whose_every_name_is_denied_is_disabled(workshop, host):
    candidate = workshop.provider("massgen-a", "one")
    other = Candidate(candidate.dist, "elsewhere", candidate.value)
    assert {"massgen-a": "disabled"} == states(host(other, deny=["one"]))


def test_allow_and_deny_do_not_touch_the_core(host):
    made = host(builtins=True, allow=["massgen-a"], deny=["massgen-core", "estimate"])
    assert "estimate" in made.names("token_counter")


def test_a_string_is_not_taken_for_a_list_of_letters():
    with pytest.raises(InvalidArgument, match="deny must be a list"):
        PluginHost(deny="massgen-a")


def test_an_entry_that_names_nothing_installed_is_a_warning_with_the_near_miss(workshop, host):
    made = host(
        workshop.provider("massgen-window", "one"), deny=["masgen-window"], prefer=["zzz", "one"]
    )
    assert (
        "plugins.deny: 'masgen-window' is not installed; did you mean 'massgen-window'?",
        "plugins.prefer: 'zzz' is not installed",
    ) == made.warnings()


# Conflicts


def two(workshop):
    return workshop.provider("massgen-a", "same", "own"), workshop.provider("massgen-b", "same")


def test_a_name_of_two_distributions_is_a_conflict_that_names_both(workshop, host):
    made = host(*two(workshop))
    assert {"massgen-a": "conflict", "massgen-b": "conflict"} == states(made)
    for report in made.plugins():
        assert "embedder 'same' is provided by massgen-a and massgen-b" == report.error
        assert "plugins.prefer: [massgen-a] or [massgen-b]" in report.hint
    with pytest.raises(PluginConflict, match="massgen-a and massgen-b") as caught:
        made.get("embedder", "same")
    assert "plugins.prefer" in caught.value.hint


def test_a_conflict_leaves_the_other_names_of_its_plugins(workshop, host):
    assert host(*two(workshop)).names("embedder") == ("own",)


def test_the_same_name_of_two_kinds_is_no_conflict(workshop, host):
    made = host(
        workshop.provider("massgen-a", "same"),
        workshop.provider("massgen-b", "same", kind="memory_store"),
    )
    assert {"massgen-a": "active", "massgen-b": "active"} == states(made)


@pytest.mark.parametrize(
    ("prefer", "winner"),
    [
        (["massgen-b"], "massgen-b"),
        (["Massgen_A"], "massgen-a"),
        (["other", "massgen-b", "massgen-a"], "massgen-b"),
    ],
)
def test_the_first_preferred_distribution_gets_the_name(workshop, host, prefer, winner):
    made = host(*two(workshop), prefer=prefer)
    assert made.get("embedder", "same").dist == winner
    assert "conflict" not in states(made).values()


def test_who_lost_all_names_to_the_preferred_one_is_disabled_and_says_why(workshop, host):
    made = host(*two(workshop), prefer=["massgen-a"])
    assert "disabled" == made.plugins()[1].state
    assert "plugins.prefer gives embedder 'same' to massgen-a." == made.plugins()[1].hint


def test_denying_one_of_the_two_ends_the_conflict(workshop, host):
    assert host(*two(workshop), deny=["massgen-a"]).get("embedder", "same").dist == "massgen-b"


def test_two_entry_points_of_one_distribution_conflict_whatever_is_preferred(workshop, host):
    first = workshop.provider("massgen-a", "same")
    again = Candidate("massgen-a", "again", first.value)
    made = host(first, again, prefer=["massgen-a"])
    assert made.names("embedder") == ()
    with pytest.raises(PluginConflict, match="two entry points of massgen-a"):
        made.get("embedder", "same")


def test_the_core_keeps_its_name_until_the_other_is_preferred(workshop, host):
    usurper = workshop.provider("massgen-a", "estimate", kind="token_counter")
    made = host(usurper, builtins=True)
    assert {"massgen-core": "active", "massgen-a": "conflict"} == states(made)
    assert made.get("token_counter", "estimate").dist == "massgen-core"
    preferring = host(usurper, builtins=True, prefer=["massgen-a"])
    assert preferring.get("token_counter", "estimate").dist == "massgen-a"


# Strict


def test_strict_raises_the_first_fault_and_notes_the_others(workshop, host):
    bad = workshop.plugin("massgen-bad", "1 / 0")
    with pytest.raises(PluginBroken, match="massgen-bad") as caught:
        host(*two(workshop), bad, strict=True, prefer=["massgen-a"])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(PluginConflict) as caught:
        host(*two(workshop), bad, strict=True)
    assert "massgen-bad" in "".join(caught.value.__notes__)


def test_strict_does_not_mind_what_is_switched_off(workshop, host):
    bad = workshop.plugin("massgen-bad", "1 / 0")
    assert {"massgen-bad": "disabled"} == states(host(bad, strict=True, deny=["massgen-bad"]))


def test_strict_raises_for_another_plugin_api(workshop, host):
    with pytest.raises(PluginError, match="plugin API 7"):
        host(workshop.plugin("massgen-x", "MASSGEN_PLUGIN_API = 7"), strict=True)


# Whatever is installed

NAMES = st.sampled_from(["a", "b", "c"])
PLUGINS = st.lists(
    st.tuples(st.sampled_from(["d1", "d2", "d3"]), st.lists(NAMES, unique=True)), max_size=6
)


def claim(dist: str, names: list[str]) -> Plugin:
    provides = tuple(Provided("embedder", Provides(name, "x:Y"), dist) for name in names)
    return Plugin(PluginReport(dist, "1", "e", "active", provides))


@given(PLUGINS, st.lists(st.sampled_from(["d1", "d2", "d3"])), st.lists(NAMES))
def test_a_name_has_one_owner_or_a_conflict_or_is_denied(plugins, prefer, deny):
    settled = settle([claim(*each) for each in plugins], Policy((), tuple(deny), tuple(prefer)))
    for name in "abc":
        found = [i.state for p in settled for i in p.report.provides if i.name == name]
        if name in deny:
            assert set(found) <= {"disabled"}
        elif "conflict" in found:
            assert len(found) > 1
            assert set(found) == {"conflict"}
        else:
            assert found.count("active") == min(1, len(found))
