"""Keys nobody knows, values nobody can use, files nobody can read."""

import os
import pickle

import pytest
from pydantic import BaseModel, create_model, field_validator, model_validator

from massgen_core.errors import (
    InvalidSetting,
    PluginNotFound,
    SettingsError,
    SettingsFileError,
    UnknownSetting,
)
from massgen_core.settings import load_settings, read_names


def problem(project, *overrides, **more):
    (found,) = project.check(*overrides, **more)
    return found


def test_an_unknown_key_is_named_with_path_line_and_suggestion(project):
    project.write("strategy:\n  name: sliding_window\n  max_token: 5\n")
    with pytest.raises(UnknownSetting) as caught:
        project.load()
    assert "strategy.max_token" == caught.value.path
    assert "massgen.yaml:3" == caught.value.source
    assert ("strategy.max_tokens",) == caught.value.suggestions
    assert (
        "massgen.yaml:3: unknown setting 'strategy.max_token'; did you mean 'strategy.max_tokens'?"
        == caught.value.message
    )


@pytest.mark.parametrize(
    ("override", "suggestion"),
    [
        ("contxt.safety=1", "context"),
        ("context.saftey=1", "context.safety"),
        ("safety=0.1", "context.safety"),
        ("log.max_steps=1", "agent.max_steps"),
        ("storage.sync-hronous=full", "storage.synchronous"),
        ("models.gpt-5.windw=5", "models.gpt-5.window"),
        ("backend.backoff.attemps=1", "backend.backoff.attempts"),
        ("memory.scope.usr=ada", "memory.scope.user"),
        ("memory.also=[{usr: ada}]", "memory.also[0].user"),
    ],
)
def test_the_nearest_known_key_is_suggested(project, override, suggestion):
    project.write("backend: cloud")
    found = problem(project, override)
    assert ("unknown", "-c") == (found.kind, found.source)
    assert suggestion in found.suggestions


def test_a_setting_that_no_longer_exists_is_named_with_its_line(project):
    project.write("models:\n  gpt-4o:\n    system_role: false\n")
    with pytest.raises(UnknownSetting, match="massgen.yaml:3: unknown setting") as caught:
        project.load()
    assert "models.gpt-4o.system_role" == caught.value.path


def test_a_key_like_no_other_has_no_suggestion(project):
    assert "-c: unknown setting 'zzz'" == problem(project, "zzz=1").message


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("MASSGEN_STRATGY__MAX_TOKENS", "MASSGEN_STRATEGY__MAX_TOKENS"),
        ("MASSGEN_LOG__LEVL", "MASSGEN_LOG__LEVEL"),
        ("MASSGEN_LOG__MAX_STEPS", "MASSGEN_AGENT__MAX_STEPS"),
    ],
)
@pytest.mark.parametrize("dotenv", [False, True])
def test_a_misspelt_variable_is_an_error_that_names_the_right_one(project, variable, meant, dotenv):
    project.write("strategy: sliding_window")
    if dotenv:
        project.write(f"\n{variable}=5", ".env")
    found = problem(project, env={} if dotenv else {variable: "5"})
    assert "unknown" == found.kind
    assert (f".env:2 {variable}" if dotenv else f"environment {variable}") == found.source
    assert f"did you mean {meant}?" in found.message


def test_a_plugin_that_does_not_forbid_keys_still_gets_none_it_does_not_know(project):
    project.write("strategy: {name: plain, x: 1}")
    assert "strategy.x" == problem(project).path


def test_keys_of_a_class_that_takes_any_are_kept(project):
    class Open(BaseModel, extra="allow"):
        depth: int = 1

    arguments = project.arguments("strategy.name=open", "strategy.extra=[1]")
    loaded = load_settings(**(arguments | {"lookup": lambda *_: Open}))
    assert [1] == loaded.settings.strategy.settings.model_extra["extra"]
    assert "-c" == next(row.source for row in loaded.explain() if row.path == "strategy.extra")


def test_profiles_that_are_not_in_use_are_checked_too(project):
    project.write("profiles:\n  ci:\n    log:\n      levl: debug\n")
    found = problem(project)
    assert ("log.levl", "massgen.yaml:4 (profile ci)") == (found.path, found.source)


def test_all_problems_are_told_at_once_and_the_attributes_tell_of_the_first(project):
    project.write("log:\n  levl: debug\nagent:\n  max_steps: many\n")
    with pytest.raises(UnknownSetting) as caught:
        project.load("context.target_ratio=2", "context.safety=-1")
    assert "log.levl" == caught.value.path
    assert 4 == len(caught.value.problems)
    for part in ("levl", "agent.max_steps", "context.target_ratio", "context.safety", "many"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("override", "path", "expected", "given"),
    [
        ("agent.max_steps=0", "agent.max_steps", "greater than or equal to 1", "0"),
        ("agent.max_steps=true", "agent.max_steps", "a number", "true"),
        ("agent.max_steps=1.5", "agent.max_steps", "a valid integer", "1.5"),
        ("agent.max_steps=", "agent.max_steps", "a valid integer", "''"),
        ("context.safety=nan", "context.safety", "a finite number", "nan"),
        ("context.safety=NaN", "context.safety", "a finite number", "nan"),
        ("context.target_ratio=0", "context.target_ratio", "greater than 0", "0"),
        ("context.target_ratio=inf", "context.target_ratio", "a finite number", "inf"),
        ("context.trigger_threshold=1.5", "context.trigger_threshold", "less than or equal", "1.5"),
        (
            "context.trigger_threshold=0.5",
            "context.target_ratio",
            "context.trigger_threshold",
            "0.6",
        ),
        ("context.output_reserve=0", "context.output_reserve", "greater than 0", "0"),
        ("log.level=loud", "log.level", "'info'", "loud"),
        ("log=5", "log", "a mapping", "5"),
        ("plugins.allow=a", "plugins.allow", "a valid tuple", "text"),
        ("strategies=5", "strategies", "a list", "text"),
        ("strategies=[{max_tokens: 1}]", "strategies[0]", "a `name`", ""),
        ("strategy.max_tokens=5", "strategy.name", "is missing", ""),
        ("strategy.name=", "strategy.name", "the name of a plugin", "''"),
        (
            "strategies=[{name: sliding_window, max_tokens: x}]",
            "strategies[0].max_tokens",
            "int",
            "x",
        ),
        ("strategies=[{name: sliding_window, x: 1}]", "strategies[0].x", "unknown", ""),
        ("backend.threads=x", "backend.threads", "integer", "x"),
        ("models.gpt-5.window=0", "models.gpt-5.window", "greater than 0", "0"),
        ("models=[1]", "models", "a mapping", "a list"),
        ("plugins.allow=[a", "plugins.allow", "YAML or JSON", "*"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_what_is_expected(
    project, override, path, expected, given
):
    found = project.check(override)[0]
    assert path == found.path
    assert expected in found.message
    assert given in found.given


def test_an_invalid_setting_has_path_source_expected_and_given(project):
    project.write("agent:\n  max_steps: many\n")
    with pytest.raises(InvalidSetting) as caught:
        project.load()
    error = pickle.loads(pickle.dumps(caught.value))
    assert ("agent.max_steps", "massgen.yaml:2", "'many'") == (
        error.path,
        error.source,
        error.given,
    )
    assert error.expected.startswith("a valid integer")


def test_one_strategy_and_a_chain_in_one_source_exclude_each_other(project):
    project.write("strategies: [plain]\nstrategy: sliding_window\n")
    with pytest.raises(InvalidSetting, match=r"massgen.yaml:2: .*exclude each other"):
        project.load()


def test_a_plugin_that_is_not_there_is_told_with_where_it_was_selected(project):
    project.write("log: {}\nstrategy: slidng\n")
    with pytest.raises(PluginNotFound) as caught:
        project.load()
    assert ["The settings select strategy 'slidng' (massgen.yaml:2)."] == caught.value.__notes__
    found = problem(project)
    assert "plugin" == found.kind
    assert "massgen.yaml:2" in found.message


@pytest.mark.parametrize("key", ["name", "settings"])
def test_a_plugin_cannot_claim_a_key_of_the_core(project, key):
    bad = create_model("Bad", **{key: (str, "x")})
    with pytest.raises(SettingsError, match=f"has a field '{key}'"):
        load_settings(**(project.arguments("strategy=bad") | {"lookup": lambda *_: bad}))


@pytest.mark.parametrize("key", ["retry", "timeouts", "limits", "breaker"])
def test_a_backend_cannot_claim_how_patient_its_callers_are(project, key):
    bad = create_model("Bad", **{key: (str, "x")})
    with pytest.raises(SettingsError, match=f"has a field '{key}'"):
        load_settings(**(project.arguments("backend=bad") | {"lookup": lambda *_: bad}))


def test_what_a_plugins_own_validators_say_is_told(project):
    class Picky(BaseModel):
        low: int = 1
        high: int = 2

        @field_validator("low")
        @classmethod
        def _low(cls, value):
            if value == 13:
                raise ValueError("should not be 13")
            return value

        @model_validator(mode="after")
        def _both(self):
            if self.low > self.high:
                raise ValueError("low is over high")
            return self

    def check(*overrides):
        arguments = project.arguments("strategy=picky", *overrides)
        return load_settings(**(arguments | {"lookup": lambda *_: Picky}))

    with pytest.raises(InvalidSetting, match="'strategy.low' should not be 13; it is 13"):
        check("strategy.low=13")
    with pytest.raises(InvalidSetting, match=r"'strategy': low is over high\n"):
        check("strategy.low=5")


def test_a_key_a_plugin_requires_is_missed(project):
    class Needy(BaseModel):
        url: str

    arguments = project.arguments("backend=needy") | {"lookup": lambda *_: Needy}
    with pytest.raises(InvalidSetting, match="'backend.url' is missing"):
        load_settings(**arguments)
    arguments["overrides"] = ("backend=needy", "backend.url=u")
    assert "u" == load_settings(**arguments).settings.backend.settings.url


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("log: {level: info\n", 2, "expected"),
        ("log:\n  level: a\n  level: b\n", 3, "'level' is given twice"),
        ("log: {}\nyes: 1\n", 2, "a key that is no text"),
        ("log: !!python/object:os.system {}\n", 1, "type that settings cannot have"),
        ("log: {}\n---\nlog: {}\n", 2, "single document"),
        ("a: &a\n  b: *a\n", 1, "alias"),
        ("a: {<<: {b: 1}}\n", 1, "merge keys"),
        ("- a\n", 1, "no mapping"),
        ("text", 1, "no mapping"),
        ("a: 1\nb: \x00\n", 2, "does not allow"),
        ("a: 1\nb: 2026-13-45\n", 2, "does not exist"),
        ("a: " + "[" * 1500, None, "nested too deeply"),
        ("a: *missing\n", 1, "undefined alias"),
        ("\ta: 1", 1, "cannot start"),
    ],
)
def test_a_malformed_file_is_told_with_its_line(project, text, line, what):
    project.write(text)
    with pytest.raises(SettingsFileError) as caught:
        project.load()
    assert str(project.dir / "massgen.yaml") == caught.value.file
    assert line == caught.value.line
    assert what in caught.value.message


def test_an_explosion_of_aliases_is_refused(project):
    levels = [f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]" for i in range(1, 9)]
    project.write("\n".join(["x0: &x0 [1]", *levels]))
    with pytest.raises(SettingsFileError, match="more than 100000 values"):
        project.load()


@pytest.mark.parametrize("empty", ["", "\n", "# nothing\n", "---\n", "log:\nagent: {}\nbackend:\n"])
def test_empty_files_and_sections_say_nothing(project, empty):
    project.write(empty)
    assert {"default"} == set(project.sources().values())


def test_bytes_that_are_no_text_are_told(project):
    (project.dir / "massgen.yaml").write_bytes(b"log:\n  level: \xff\n")
    with pytest.raises(SettingsFileError, match=r"massgen.yaml:2: bytes that are no UTF-8"):
        project.load()


def test_a_byte_order_mark_is_no_problem(project):
    (project.dir / "massgen.yaml").write_bytes(b"\xef\xbb\xbflog: {level: debug}\n")
    assert "debug" == project.load().settings.log.level


def test_a_broken_pyproject_with_our_table_is_told(project):
    project.write("[tool.massgen]\nlog = {\n", "pyproject.toml")
    with pytest.raises(SettingsFileError) as caught:
        project.load()
    assert 2 == caught.value.line


def test_a_missing_named_file_is_told(project):
    with pytest.raises(SettingsFileError, match="No such file"):
        project.load(file=project.dir / "no.yaml")


def test_a_folder_in_place_of_a_file_is_told(project):
    (project.dir / "massgen.yaml").mkdir()
    with pytest.raises(SettingsFileError, match="Is a directory"):
        project.load()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_told(project):
    project.write("log: {}")
    (project.dir / "massgen.yaml").chmod(0)
    with pytest.raises(SettingsFileError, match="Permission denied"):
        project.load()


@pytest.mark.parametrize("text", ["MASSGEN_LOG__LEVEL", "A=1\nexport MASSGEN_LOG__LEVEL='x"])
def test_a_malformed_line_of_ours_in_dotenv_is_told(project, text):
    project.write(text, ".env")
    with pytest.raises(SettingsFileError, match="not NAME=value") as caught:
        project.load()
    assert len(text.splitlines()) == caught.value.line


def test_malformed_lines_of_others_in_dotenv_are_passed_by(project):
    project.write("what is this\nOTHER='x\nMASSGEN_LOG__LEVEL=debug\n", ".env")
    assert "debug" == project.load().settings.log.level


def test_names_are_told_what_is_wrong_with_the_plugins_section(project):
    project.write("plugins:\n  alow: [a]\n")
    with pytest.raises(UnknownSetting, match="plugins.allow"):
        read_names(env={}, cwd=project.dir)


def test_without_a_lookup_the_keys_of_plugins_are_left_alone(project):
    project.write("backend: {name: nowhere, whatever: 1}\nstorage: {path: x.db}")
    loaded = project.load(lookup=None)
    assert "nowhere" == loaded.settings.backend.name
    assert loaded.settings.backend.settings is None
    assert "x.db" == loaded.storage_path.name


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("memory.scope.user=", "memory.scope.user"),
        ("memory.scope.team=''", "memory.scope.team"),
        ("memory.also=[{team: red, user: ''}]", "memory.also[0].user"),
    ],
)
def test_an_empty_name_in_a_scope_does_not_mean_everybody(project, override, path):
    found = problem(project, override)
    assert ("invalid", path) == (found.kind, found.path)
    assert "would mean everybody; say a name, or leave it out" in found.message


@pytest.mark.parametrize(
    ("override", "kind", "path"),
    [
        ("agent.fallbacks=[{model: m}, {name: nope}]", "backend", "agent.fallbacks[1].name"),
        ("memory.indexes=[nope]", "memory_store", "memory.indexes[0]"),
        ("memory.extraction.backend.name=nope", "backend", "memory.extraction.backend.name"),
    ],
)
def test_a_plugin_that_is_needed_only_later_is_looked_for(project, override, kind, path):
    found = problem(project, override)
    assert ("plugin", kind) == (found.kind, found.path)
    assert f"no {kind} 'nope'" in found.message
    assert path in found.message


def test_a_fallback_that_is_installed_is_no_problem(project):
    assert () == project.check("agent.fallbacks=[{name: cloud, model: m}, {model: n}]")
