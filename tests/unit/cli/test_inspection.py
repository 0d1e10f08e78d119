"""`mgc plugins`, `config`, `models` and `doctor`."""

from __future__ import annotations

import json

import pytest
import yaml

from massgen_core.settings import template


def broken(site):
    """Adds a plugin whose module cannot be imported."""
    (site / "mgc_broken.py").write_text("import a_module_that_is_not_there\n")
    info = site / "mgc_broken-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mgc-broken\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[massgen_core.plugins]\nbroken = mgc_broken\n")


def test_plugins_are_listed_with_their_state(mgc):
    reports = {
        report["dist"]: report for report in mgc("plugins", "list", "--json").envelope["data"]
    }

    assert "active" == reports["massgen-sliding-window"]["state"]
    assert True is reports["massgen-core"]["builtin"]
    assert "sliding_window" in mgc("plugins", "list").out


def test_a_broken_plugin_is_listed_and_the_rest_works(mgc, scripted):
    broken(scripted)

    done = mgc("plugins", "list")

    assert 0 == done.code
    assert "mgc-broken is broken: " in done.err
    assert 0 == mgc("run", "hello").code


def test_strict_settings_do_not_keep_the_list_from_telling(mgc, scripted):
    broken(scripted)

    assert 0 == mgc("plugins", "list", "-c", "plugins.strict=true").code
    assert 3 == mgc("run", "hello", "-c", "plugins.strict=true").code


def test_a_plugin_is_shown_with_its_settings(mgc):
    data = mgc("plugins", "show", "sliding_window", "--json").envelope["data"]

    assert "keep_last_turns" in data["settings"]["strategy.sliding_window"]
    assert "strategy.keep_last_turns" in mgc("plugins", "show", "massgen-sliding-window").out


def test_a_plugin_that_is_not_there_is_met_with_a_near_miss(mgc):
    done = mgc("plugins", "show", "sliding_windo")

    assert 3 == done.code
    assert "Did you mean 'sliding_window'?" in done.err


def test_the_doctor_of_plugins_finds_nothing_wrong(mgc, scripted):
    done = mgc("plugins", "doctor", "--json")

    assert 0 == done.code
    assert {""} == {finding["problem"] for finding in done.envelope["data"]}


def test_the_doctor_of_plugins_says_what_is_broken(mgc, scripted):
    broken(scripted)

    done = mgc("plugins", "doctor", "--json")

    assert 1 == done.code
    [finding] = [one for one in done.envelope["data"] if one["problem"]]
    assert ("mgc-broken", "2.0", "broken") == (
        finding["dist"],
        finding["version"],
        finding["state"],
    )
    assert "a_module_that_is_not_there" in finding["problem"]


def test_the_doctor_of_plugins_tries_their_factories(mgc, scripted):
    module = scripted / "mgc_scripted.py"
    module.write_text(module.read_text().replace("mgc_scripted:make", "mgc_scripted:missing"))

    done = mgc("plugins", "doctor")

    assert 1 == done.code
    assert "missing" in done.out


def test_settings_are_shown_as_the_file_would_say_them(mgc):
    words = ("config", "show", "-c", "context.target_ratio=0.5")

    tree = yaml.safe_load(mgc(*words).out)

    assert 0.5 == tree["context"]["target_ratio"]
    assert tree == mgc(*words, "--json").envelope["data"]


def test_every_value_is_explained_by_its_source(mgc, folder):
    (folder / "massgen.yaml").write_text("context:\n  safety: 0.1\n")

    [found] = mgc("config", "explain", "context.safety", "--json").envelope["data"]

    assert {"path": "context.safety", "value": "0.1", "source": "massgen.yaml:2"} == found
    assert 8 == len(mgc("config", "explain", "context", "--json").envelope["data"])
    assert 2 == mgc("config", "explain", "contxt").code


def test_the_schema_knows_the_keys_of_plugins(mgc):
    text = mgc("config", "schema").out

    assert "keep_last_turns" in text
    assert json.loads(text) == mgc("config", "schema", "--json").envelope["data"]


def test_valid_settings_are_valid(mgc):
    assert (0, []) == (
        mgc("config", "validate").code,
        mgc("config", "validate", "--json").envelope["data"],
    )


def test_everything_that_is_wrong_is_named_at_once(mgc, folder):
    (folder / "massgen.yaml").write_text("contxt: {}\ncontext:\n  safety: 7\nplugins: {alow: []}\n")

    done = mgc("config", "validate", "--json")

    assert 3 == done.code
    assert {"contxt", "context.safety", "plugins.alow"} == {
        problem["path"] for problem in done.envelope["data"]
    }
    assert "settings" == done.envelope["error"]["code"]


def test_init_writes_a_file_that_is_valid(mgc, folder):
    assert 0 == mgc("config", "init").code
    assert 0 == mgc("config", "validate").code
    assert "sliding_window" in (folder / "massgen.yaml").read_text()
    assert template().splitlines()[0] in (folder / "massgen.yaml").read_text()


def test_init_replaces_no_file_unasked(mgc, folder):
    (folder / "massgen.yaml").write_text("context: {safety: 0.1}\n")

    refused = mgc("config", "init")

    assert 2 == refused.code
    assert "context: {safety: 0.1}\n" == (folder / "massgen.yaml").read_text()
    assert 0 == mgc("config", "init", "--yes").code


def test_a_settings_file_can_be_named(mgc, folder):
    (folder / "other.yaml").write_text("context: {safety: 0.1}\n")

    shown = mgc("config", "show", "--config", "other.yaml", "--json").envelope["data"]

    assert 0.1 == shown["context"]["safety"]
    assert 3 == mgc("config", "show", "--config", "gone.yaml").code


def test_a_profile_can_be_chosen(mgc, folder):
    (folder / "massgen.yaml").write_text("profiles: {small: {context: {safety: 0.3}}}\n")

    shown = mgc("--profile", "small", "config", "show", "--json").envelope["data"]

    assert 0.3 == shown["context"]["safety"]


@pytest.mark.parametrize("words", [("config", "show"), ("run", "hello"), ("models", "list")])
def test_wrong_settings_end_with_3(mgc, words):
    done = mgc(*words, "-c", "contxt.safety=1")

    assert 3 == done.code
    assert "did you mean" in done.err


def test_models_are_listed_and_shown(mgc):
    listed = mgc("models", "list", "--json").envelope["data"]
    shown = mgc("models", "show", "gpt-4o", "--json").envelope["data"]

    assert shown in listed
    assert 128_000 == shown["window"]
    assert {"openai"} == {
        model["provider"]
        for model in mgc("models", "list", "--provider", "openai", "--json").envelope["data"]
    }
    assert 3 == mgc("models", "show", "gpt-4oo").code


def test_a_model_is_shown_without_what_is_not_known_of_it(mgc):
    given = ("-c", "models.m.window=1000", "-c", "models.m.input_price=0")
    shown = mgc(*given, "models", "show", "m").out
    names = {line.split("  ")[0] for line in shown.splitlines()}
    assert {"window", "max output", "tools", "input price"} <= names
    assert names.isdisjoint({"max input", "long prompt", "output price", "provider"})


def test_a_provider_that_there_is_not_is_an_error(mgc):
    done = mgc("models", "list", "--provider", "nope")
    assert (2, "") == (done.code, done.out)
    assert "no provider 'nope'" in done.err
    assert "openai" in done.err


def test_no_name_is_no_reason_to_set_a_window(mgc):
    done = mgc("models", "show", "")
    assert 3 == done.code
    assert "'' names no model" in done.err
    assert "models..window" not in done.err


@pytest.mark.usefixtures("scripted")
def test_the_doctor_finds_everything_in_place(mgc):
    done = mgc("doctor", "--json")

    states = {finding["what"]: finding["state"] for finding in done.envelope["data"]}
    assert 0 == done.code
    assert {
        "python",
        "sqlite",
        "tokenizer o200k_base",
        "plugin massgen-core 0.1.0",
        "settings",
        "backend",
        "strategies",
        "storage",
        "terminal",
    } <= set(states)
    assert "problem" not in states.values()


@pytest.mark.usefixtures("scripted")
def test_the_doctor_leaves_nothing_behind(mgc, folder):
    mgc("doctor")

    assert [] == list(folder.iterdir())


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("backend.name=nobody", "settings"),
        ("contxt=1", "settings"),
        ("backend.window=0", "backend"),
        ("storage.path=/proc/nowhere/x.db", "storage"),
    ],
)
def test_the_doctor_says_what_is_wrong(mgc, setting, what):
    done = mgc("doctor", "-c", setting, "--json")

    [finding] = [one for one in done.envelope["data"] if one["state"] == "problem"]
    assert (1, what) == (done.code, finding["what"])
    assert what in done.envelope["error"]["message"]
