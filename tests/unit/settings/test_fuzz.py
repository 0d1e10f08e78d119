"""Whatever stands in the sources, the answer is settings or one of our errors."""

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_core.errors import PluginError, SettingsError
from massgen_core.settings import check_settings, load_settings, read_names

WORDS = [
    "profile",
    "profiles",
    "plugins",
    "log",
    "storage",
    "models",
    "context",
    "agent",
    "backend",
    "strategy",
    "strategies",
    "memory_store",
    "embedder",
    "name",
    "level",
    "path",
    "allow",
    "safety",
    "target_ratio",
    "model",
    "api_key",
    "headers",
    "backoff",
    "attempts",
    "max_tokens",
    "pin",
    "threads",
    "cloud",
    "local",
    "plain",
    "sliding_window",
    "settings",
    "ci",
    "null",
    "5",
    "x.y",
    "''",
]
WORD = st.sampled_from(WORDS) | st.text(max_size=4)
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | WORD
JUNK = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=4),
    max_leaves=8,
)
TREE = st.dictionaries(WORD, JUNK, max_size=5)
PATH = st.lists(WORD, min_size=1, max_size=4)
TEXT = WORD | JUNK.map(json.dumps) | st.text(alphabet="[]{}:,'\"-*&!@%\n #a1", max_size=12)


def answer(function, arguments):
    try:
        return function(**arguments)
    except (SettingsError, PluginError):
        return None


@settings(max_examples=80, deadline=None)
@given(
    user=TREE,
    project=TREE.map(json.dumps) | TEXT,
    env=st.dictionaries(PATH.map("__".join), TEXT, max_size=3),
    overrides=st.lists(st.tuples(PATH.map(".".join), TEXT).map("=".join) | TEXT, max_size=3),
)
def test_nothing_else_comes_out(user, project, env, overrides, classes):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "massgen").mkdir()
        (folder / "massgen" / "massgen.yaml").write_text(json.dumps(user), encoding="utf-8")
        (folder / "massgen.yaml").write_text(project, encoding="utf-8", errors="replace")
        arguments = {
            "env": {"XDG_CONFIG_HOME": name} | {f"MASSGEN_{k}".upper(): v for k, v in env.items()},
            "overrides": overrides,
            "cwd": folder,
        }
        answer(read_names, arguments)
        arguments["lookup"] = classes.lookup
        loaded = answer(load_settings, arguments)
        problems = check_settings(**arguments)
        assert (loaded is None) == bool(problems)
        if loaded is not None:
            json.dumps(loaded.show())
            assert all(row.source for row in loaded.explain())
