import sys

import pytest

from massgen_core.errors import PluginBroken, PluginIncompatible

GOOD = """
    @hookimpl
    def massgen_embedder():
        return Provides("good", "nowhere_at_all:Good", summary="Good.")
"""


def the_report(host):
    (report,) = host.plugins()
    return report


def test_a_good_plugin_is_active_and_nothing_it_names_is_imported(workshop, host):
    made = host(workshop.plugin("massgen-good", GOOD))
    report = the_report(made)
    assert ("massgen-good", "1.0", "active", "") == (
        report.dist,
        report.version,
        report.state,
        report.error,
    )
    assert made.names("embedder") == ("good",)
    assert made.get("embedder", "good").dist == "massgen-good"
    assert "nowhere_at_all" not in sys.modules


def test_an_object_with_methods_can_be_the_entry_point(workshop, host):
    source = """
        class Hooks:
            MASSGEN_PLUGIN_API = 1
            @hookimpl
            def massgen_embedder(self):
                return Provides("good", "a:b")
        hooks = Hooks()
    """
    workshop.module("entry_object", source)
    candidate = workshop.plugin("massgen-object", "")
    made = host(type(candidate)("massgen-object", "good", "entry_object:hooks"))
    assert made.names("embedder") == ("good",)


def test_one_hook_may_return_several_and_they_are_reported_in_order_of_name(workshop, host):
    made = host(workshop.provider("massgen-many", "zebra", "ant", "mole"))
    assert ["ant", "mole", "zebra"] == [item.name for item in the_report(made).provides]


def test_a_hook_may_have_another_function_name(workshop, host):
    source = """
        @hookimpl(specname="massgen_embedder")
        def first():
            return Provides("first", "a:b")
        @hookimpl(specname="massgen_embedder")
        def second():
            return []
    """
    assert host(workshop.plugin("massgen-spec", source)).names("embedder") == ("first",)


BROKEN = {
    "import error": ("import there_is_no_such_module", "ModuleNotFoundError"),
    "syntax error": ("def (:", "SyntaxError"),
    "exit at import": ("raise SystemExit(3)", "SystemExit: 3"),
    "rust panic": ("class PanicException(BaseException): ...\nraise PanicException('p')", "p"),
    "no hooks": ("x = 1", "no functions decorated with @hookimpl"),
    "decorator forgotten": ("def massgen_embedder(): ...", "'massgen_embedder' has no decorator"),
    "unknown hook": ("@hookimpl\ndef massgen_stratgy(): ...", "did you mean 'massgen_strategy'?"),
    "far from any hook": ("@hookimpl\ndef zzz(): ...", "the hooks are massgen_backend, "),
    "wrong signature": ("@hookimpl\ndef massgen_embedder(config): ...", "config"),
    "async hook": ("@hookimpl\nasync def massgen_embedder(): ...", "is async"),
    "wrapper": ("@hookimpl(wrapper=True)\ndef massgen_embedder():\n  return (yield)", "wrapper"),
    "hook raises": ("@hookimpl\ndef massgen_embedder():\n  1/0", "ZeroDivisionError"),
    "hook exits": ("@hookimpl\ndef massgen_embedder():\n  raise SystemExit", "SystemExit"),
    "return forgotten": ("@hookimpl\ndef massgen_embedder(): ...", "returned None"),
    "returns a class": ("@hookimpl\ndef massgen_embedder(): return dict", "returned <class"),
    "returns names": ("@hookimpl\ndef massgen_embedder(): return ['a']", "returned ['a']"),
    "generator": ("@hookimpl\ndef massgen_embedder(): yield 1", "returned <generator"),
    "bad name": ("@hookimpl\ndef massgen_embedder(): return Provides('A b', 'a:b')", "'A b'"),
    "bad factory": ("@hookimpl\ndef massgen_embedder(): return Provides('a', 'a.b')", "'a.b'"),
    "same name twice": (
        "@hookimpl\ndef massgen_embedder(): return [Provides('a', 'a:b'), Provides('a', 'a:c')]",
        "provides 'a' twice",
    ),
    "api no integer": ("MASSGEN_PLUGIN_API = '1'" + "\n" + "x = 1", "must be an integer"),
    "api a flag": ("MASSGEN_PLUGIN_API = True", "must be an integer"),
    "lazy module fails": ("def __getattr__(name): raise RuntimeError(name)", "RuntimeError"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_faulty_plugin_is_broken_and_its_neighbour_works(workshop, host, case):
    source, expected = BROKEN[case]
    bad = workshop.plugin("massgen-bad", source, entry_point="bad")
    made = host(bad, workshop.plugin("massgen-good", GOOD))
    report = made.plugins()[0]
    assert ("massgen-bad", "broken") == (report.dist, report.state)
    assert expected in report.error
    assert report.hint
    assert made.names("embedder") == ("good",)


@pytest.mark.parametrize("case", BROKEN)
def test_selecting_a_broken_plugin_raises_with_its_cause(workshop, host, case):
    source, expected = BROKEN[case]
    made = host(workshop.plugin("massgen-bad", source, entry_point="bad"))
    with pytest.raises(PluginBroken, match="massgen-bad 1") as caught:
        made.get("embedder", "bad")
    assert isinstance(caught.value.__cause__, BaseException)
    assert expected in caught.value.message
    assert ("embedder", "bad", "massgen-bad") == (
        caught.value.kind,
        caught.value.name,
        caught.value.dist,
    )


def test_the_error_names_the_place_in_the_plugin(workshop, host):
    made = host(workshop.plugin("massgen-bad", "x = 1\ny = x / 0\n", entry_point="bad"))
    assert "massgen_bad_bad.py:3)" in the_report(made).error


def test_a_module_of_massgen_core_that_is_missing_points_to_the_version(workshop, host):
    made = host(workshop.plugin("massgen-new", "import massgen_core.of_the_future"))
    assert "was written for another massgen-core" in the_report(made).hint


def test_a_missing_dependency_points_to_the_installer(workshop, host):
    made = host(workshop.plugin("massgen-bad", "import there_is_no_such_module"))
    assert "pip install --force-reinstall massgen-bad" in the_report(made).hint


@pytest.mark.parametrize("value", ["", "a b", "a:b:c", "1:2:3", ":x"])
def test_a_malformed_entry_point_is_broken(workshop, host, value):
    candidate = type(workshop.plugin("massgen-x", ""))("massgen-x", "x", value)
    assert the_report(host(candidate)).state == "broken"


@pytest.mark.parametrize(("api", "upgrade"), [(2, "massgen-core"), (0, "massgen-later")])
def test_another_plugin_api_is_incompatible_and_says_what_to_upgrade(workshop, host, api, upgrade):
    source = f"MASSGEN_PLUGIN_API = {api}\n@hookimpl\ndef massgen_hook_of_another_time(): ...\n"
    made = host(workshop.plugin("massgen-later", source, entry_point="later"))
    report = the_report(made)
    assert "incompatible" == report.state
    assert f"written for plugin API {api}; this massgen-core has 1" == report.error
    assert report.hint.startswith(f"Upgrade {upgrade},")
    with pytest.raises(PluginIncompatible, match="plugin API") as caught:
        made.get("strategy", "later")
    assert caught.value.__cause__ is not None


def test_ctrl_c_during_an_import_passes(workshop, host):
    candidate = workshop.plugin("massgen-slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        host(candidate)


def test_a_report_is_plain_data_with_every_field(workshop, host):
    made = host(workshop.plugin("massgen-good", GOOD, entry_point="good"))
    assert {
        "dist": "massgen-good",
        "version": "1.0",
        "entry_point": "good",
        "state": "active",
        "builtin": False,
        "observes": False,
        "provides": [
            {
                "kind": "embedder",
                "name": "good",
                "state": "active",
                "rivals": [],
                "summary": "Good.",
                "capabilities": [],
                "factory": "nowhere_at_all:Good",
                "settings": None,
            }
        ],
        "error": "",
        "hint": "",
    } == the_report(made).to_json()
