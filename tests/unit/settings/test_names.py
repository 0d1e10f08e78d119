"""A source that selects another plugin voids what weaker sources said to the old one."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from massgen_core.errors import InvalidSetting
from massgen_core.settings import Patience, Settings, load_settings
from massgen_core.settings._choose import without_void_keys
from massgen_core.settings._tree import Layer, format_path, parse_path

SECTIONS = ("backend", "strategy", "memory_store", "embedder")
KEYS = st.sampled_from(["x", "y", "z"])
SECTION = st.dictionaries(KEYS, st.integers(), max_size=3)
NAMED = st.builds(
    lambda keys, name: keys | ({"name": name} if name else {}),
    SECTION,
    st.sampled_from(["", "a", "b"]),
)
TREE = st.fixed_dictionaries({}, optional=dict.fromkeys(SECTIONS, NAMED))


def expected(trees):
    """What is left of each section, by the rule as one would tell it."""
    out = {}
    for section in SECTIONS:
        name, kept = None, {}
        for tree in trees:
            said = tree.get(section, {})
            if "name" in said:
                if name is not None and said["name"] != name:
                    kept = {}
                name = said["name"]
            kept = kept | said
        if kept:
            out[section] = kept
    return out


def joined(layers):
    out = {}
    for layer in layers:
        for section, said in layer.tree.items():
            out[section] = out.get(section, {}) | said
    return {section: said for section, said in out.items() if said}


@given(st.lists(TREE, max_size=6))
def test_a_change_of_name_voids_weaker_keys(trees):
    layers = [Layer(str(index), tree) for index, tree in enumerate(trees)]
    assert expected(trees) == joined(without_void_keys(layers))


class AnyPlugin(BaseModel, extra="allow"):
    pass


def load(folder, user, project, env, overrides):
    """Loads four trees, each through the source it is for, as text."""
    (folder / "massgen").mkdir()
    (folder / "massgen" / "massgen.yaml").write_text(json.dumps(user))
    (folder / "massgen.yaml").write_text(json.dumps(project))
    flat = {
        f"MASSGEN_{section}__{key}".upper(): str(value)
        for section, said in env.items()
        for key, value in said.items()
    }
    given = [
        f"{section}.{key}={v}" for section, said in overrides.items() for key, v in said.items()
    ]
    return load_settings(
        lookup=lambda *_: AnyPlugin,
        env={"XDG_CONFIG_HOME": str(folder)} | flat,
        cwd=folder,
        overrides=given,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(TREE, min_size=4, max_size=4))
def test_the_rule_holds_through_files_variables_and_overrides(trees):
    wanted = expected(trees)
    if "backend" in wanted:
        wanted["backend"].setdefault("name", "local")
    with tempfile.TemporaryDirectory() as folder:
        if any("name" not in said for said in wanted.values()):
            with pytest.raises(InvalidSetting, match="is missing"):
                load(Path(folder), *trees)
            return
        shown = load(Path(folder), *trees).show()
    shown = {key: shown[key] for key in SECTIONS if shown[key] is not None}
    for key in ("model", *Patience.model_fields):
        shown.get("backend", {}).pop(key, None)
    assert wanted == shown


def test_the_first_name_keeps_keys_given_without_one(project):
    project.user("strategy: {max_tokens: 7}").write("strategy: sliding_window")
    assert 7 == project.load().settings.strategy.settings.max_tokens


def test_the_same_name_again_keeps_the_keys(project):
    project.write("strategy: {name: sliding_window, max_tokens: 7}")
    assert 7 == project.load("strategy=sliding_window").settings.strategy.settings.max_tokens


def test_keys_of_the_old_plugin_are_not_missed_by_the_new_one(project):
    project.write("strategy: {name: sliding_window, max_tokens: 7}")
    loaded = project.load("strategy.name=plain")
    assert "plain" == loaded.settings.strategy.name
    assert loaded.settings.strategy.settings is None


def test_a_profile_may_select_another_plugin(project):
    project.write(
        "backend: {name: cloud, base_url: u}\n"
        "profiles: {home: {backend: {name: local, threads: 2}}}"
    )
    loaded = project.load(profile="home")
    assert ("local", 2) == (loaded.names.backend, loaded.settings.backend.settings.threads)


@pytest.mark.parametrize(
    ("weaker", "stronger", "names"),
    [
        ("strategies: [plain, plain]", "strategies=[sliding_window]", ("sliding_window",)),
        ("strategy: plain", "strategies=[sliding_window]", ("sliding_window",)),
        ("strategies: [plain, plain]", "strategy=sliding_window", ("sliding_window",)),
        ("strategy: plain", "strategies=null", None),
        ("strategies: [plain]", "strategies=[]", ()),
        ("strategies: [plain]", "strategies=null", None),
    ],
)
def test_chain_and_single_strategy_void_each_other(project, weaker, stronger, names):
    loaded = project.write(weaker).load(stronger)
    assert names == loaded.names.strategies
    chain = loaded.settings.strategies
    single = loaded.settings.strategy
    found = chain if single is None else (single,)
    assert names == (None if found is None else tuple(item.name for item in found))


def test_keys_for_a_strategy_without_name_do_not_replace_a_chain(project):
    project.write("strategies: [plain]")
    with pytest.raises(InvalidSetting, match="exclude each other"):
        project.load("strategy.max_tokens=5")


def test_chains_are_replaced_whole(project):
    project.write("strategies: [{name: sliding_window, max_tokens: 7}, plain]")
    (only,) = project.load("strategies=[sliding_window]").settings.strategies
    assert only.settings.max_tokens is None


def test_a_selected_plugin_gets_exactly_its_own_class(project, classes):
    loaded = project.load(
        "backend.name=cloud", "backend.model=gpt-5", "backend.backoff={attempts: 9}"
    )
    backend = loaded.settings.backend
    assert ("cloud", "gpt-5") == (backend.name, backend.model)
    assert classes.cloud is type(backend.settings)
    assert 9 == backend.settings.backoff.attempts
    assert isinstance(loaded.settings, Settings)


def test_null_takes_the_backends_own_model(project):
    project.write("backend: {name: local, model: tiny}")
    backend = project.load("backend.model=null").settings.backend
    assert ("smollm2", "smollm2") == (backend.model, backend.settings.model)
    project.write("backend: {name: cloud, model: tiny}")
    assert project.load("backend.model=null").settings.backend.model is None


def test_the_model_is_also_given_to_a_backend_that_asks_for_it(project):
    backend = project.load("backend=local").settings.backend
    assert ("smollm2", "smollm2") == (backend.model, backend.settings.model)
    backend = project.load("backend=local", "backend.model=tiny").settings.backend
    assert ("tiny", "tiny") == (backend.model, backend.settings.model)


KEY = st.text(st.characters(exclude_characters="\"'", codec="utf-8"), min_size=1, max_size=8)


@given(st.lists(KEY, min_size=1, max_size=4))
def test_a_written_path_is_read_back(path):
    assert tuple(path) == parse_path(format_path(tuple(path)))
