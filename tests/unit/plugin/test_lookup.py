import pytest

from massgen_core.errors import InvalidArgument, PluginBroken, PluginNotFound
from massgen_core.plugin import Candidate, PluginHost
from massgen_core.plugin._known import KNOWN

EMPTY = "@hookimpl\ndef massgen_observe(event): ...\n"


def hint(host: PluginHost, kind: str, name: str) -> str:
    with pytest.raises(PluginNotFound) as caught:
        host.get(kind, name)
    return caught.value.hint


@pytest.mark.parametrize(("kind", "name"), KNOWN)
def test_a_known_plugin_that_is_not_installed_comes_with_its_command(host, kind, name):
    dist = KNOWN[kind, name]
    assert hint(host(), kind, name).startswith(f"Install it: pip install {dist}.")
    with pytest.raises(PluginNotFound) as caught:
        host().get(kind, name)
    assert caught.value.dist == dist


@pytest.mark.parametrize("typed", ["slidng_window", "sliding-window", "Sliding_Window"])
def test_a_near_miss_of_a_known_name_comes_with_its_command(host, typed):
    expected = "Did you mean 'sliding_window' (pip install massgen-sliding-window)?"
    assert hint(host(), "strategy", typed).startswith(expected)


def test_a_near_miss_of_an_installed_name_comes_without_command(workshop, host):
    made = host(workshop.provider("massgen-sliding-window", "sliding_window", kind="strategy"))
    expected = "Did you mean 'sliding_window'? Installed: sliding_window."
    assert expected == hint(made, "strategy", "sliding_windo")


def test_a_name_that_is_only_a_little_like_another_is_not_taken_for_it(workshop, host):
    made = host(workshop.provider("massgen-a", "openai", kind="backend"))
    assert "Installed: openai." == hint(made, "backend", "nope")
    assert "Did you mean 'xai'" in hint(made, "backend", "xia")


def test_what_gives_tools_is_called_a_source_of_them(host):
    with pytest.raises(PluginNotFound, match="no source of tools 'zzzzzz' is installed"):
        host().get("tools", "zzzzzz")
    assert "No source of tools is installed." == hint(host(), "tools", "zzzzzz")


def test_a_name_of_another_kind_says_which(workshop, host):
    made = host(workshop.provider("massgen-a", "one"))
    assert "'one' is a embedder" not in hint(made, "strategy", "one")
    assert "'one' is registered as embedder." in hint(made, "strategy", "one")


def test_nothing_like_it_lists_what_is_installed(workshop, host):
    made = host(workshop.provider("massgen-a", "two", "one"))
    assert "Installed: one, two." == hint(made, "embedder", "zzzzzz")
    assert "No backend is installed." == hint(made, "backend", "zzzzzz")


def test_a_broken_plugin_that_might_provide_it_is_named(workshop, host):
    made = host(workshop.plugin("massgen-bad", "1/0"))
    assert "Broken, may provide it: massgen-bad" in hint(made, "embedder", "zzzzzz")


def test_the_broken_first_party_plugin_is_found_by_its_known_name(workshop, host):
    made = host(workshop.plugin("massgen-local", "1/0", entry_point="other"))
    with pytest.raises(PluginBroken, match="massgen-local") as caught:
        made.get("backend", "local")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(("kind", "expected"), [("stratgy", "'strategy'"), ("x", "token_counter")])
def test_an_unknown_kind_is_a_bad_argument(host, kind, expected):
    for ask in (host().names, lambda kind: host().get(kind, "a")):
        with pytest.raises(InvalidArgument, match="no plugin kind") as caught:
            ask(kind)
        assert expected in caught.value.hint


def test_the_answers_do_not_depend_on_the_order_of_metadata(workshop, host):
    candidates = [
        workshop.provider("massgen-b", "x", "b"),
        workshop.provider("massgen-a", "x", "a"),
        workshop.plugin("massgen-c", EMPTY),
        Candidate("massgen-d", "d", "no_such_module_anywhere"),
    ]
    forwards, backwards = host(*candidates), host(*reversed(candidates))
    assert forwards.plugins() == backwards.plugins()
    assert ("a", "b") == forwards.names("embedder") == backwards.names("embedder")
