"""Where settings come from, and which source wins."""

from pathlib import Path

import pytest

from massgen_core.errors import InvalidSetting, SettingsFileError
from massgen_core.settings import load_settings, read_names


def test_without_any_source_everything_is_the_default(project):
    loaded = project.load()
    assert {"default"} == {row.source for row in loaded.explain()}
    assert loaded.settings.backend is None
    assert loaded.settings.strategies is None
    assert 1.0 == loaded.settings.context.trigger_threshold


def test_each_source_wins_over_the_weaker_ones(project):
    project.user("log: {level: debug, format: human}\nagent: {instructions: user, max_steps: 1}")
    project.write("agent: {instructions: project, max_steps: 2}\nstorage: {path: a.db}")
    project.write("MASSGEN_AGENT__MAX_STEPS=3\nMASSGEN_STORAGE__PATH=b.db\n", ".env")
    loaded = project.load("log.format=json", env={"MASSGEN_STORAGE__PATH": "c.db"})
    settings = loaded.settings
    assert "debug" == settings.log.level
    assert "project" == settings.agent.instructions
    assert 3 == settings.agent.max_steps
    assert Path("c.db") == settings.storage.path
    assert "json" == settings.log.format


def test_explain_names_file_line_variable_and_override(project):
    project.user("log:\n  level: debug\n")
    project.write("agent:\n  max_steps: 2\ncontext:\n  safety: 0.1\n")
    project.write("# mine\nMASSGEN_AGENT__INSTRUCTIONS=hi\n", ".env")
    sources = project.sources("context.safety=0.2", env={"MASSGEN_STORAGE__PATH": "c.db"})
    file = project.home / ".config/massgen/massgen.yaml"
    assert f"user file {file}:2" == sources["log.level"]
    assert "massgen.yaml:2" == sources["agent.max_steps"]
    assert ".env:2 MASSGEN_AGENT__INSTRUCTIONS" == sources["agent.instructions"]
    assert "environment MASSGEN_STORAGE__PATH" == sources["storage.path"]
    assert "-c" == sources["context.safety"]
    assert "default" == sources["context.target_ratio"]


def test_the_project_file_is_found_from_a_folder_below(project):
    project.write("log: {level: error}")
    below = project.dir / "a" / "b"
    below.mkdir(parents=True)
    loaded = project.load(cwd=below)
    assert "error" == loaded.settings.log.level
    assert project.dir == loaded.project_dir
    assert project.dir / ".massgen/massgen.db" == loaded.storage_path
    assert str(Path("../../massgen.yaml")) + ":1" == next(
        row.source for row in loaded.explain() if row.path == "log.level"
    )


def test_a_named_file_is_read_instead_of_the_one_in_the_project(project):
    project.write("log: {level: error}")
    project.write("log: {level: debug}", "other.yaml")
    assert "debug" == project.load(file=project.dir / "other.yaml").settings.log.level


def test_pyproject_is_a_project_file(project):
    project.write('[tool.massgen.log]\nlevel = "debug"\n', "pyproject.toml")
    assert "debug" == project.load().settings.log.level
    assert "pyproject.toml [tool.massgen]" == project.sources()["log.level"]


def test_a_pyproject_of_somebody_else_is_passed_by(project):
    project.write("log: {level: debug}")
    below = project.dir / "lib"
    below.mkdir()
    (below / "pyproject.toml").write_text("[tool.other]\nx = 1\n[broken")
    assert "debug" == project.load(cwd=below).settings.log.level


def test_settings_in_two_files_of_one_folder_are_refused(project):
    project.write("log: {level: debug}").write("[tool.massgen]\n", "pyproject.toml")
    with pytest.raises(SettingsFileError, match="in two files"):
        project.load()


def test_a_misnamed_file_is_not_passed_over_in_silence(project):
    project.write("log: {level: debug}", "massgen.yml")
    with pytest.raises(SettingsFileError, match="massgen.yml is not read"):
        project.load()


def test_xdg_config_home_moves_the_user_file(project, tmp_path):
    file = tmp_path / "xdg" / "massgen" / "massgen.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("log: {level: debug}")
    project.user("log: {level: error}")
    env = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert "debug" == project.load(env=env).settings.log.level
    assert "error" == project.load(env={"XDG_CONFIG_HOME": "xdg"}).settings.log.level


def test_the_environment_of_the_process_is_the_default(project, monkeypatch):
    monkeypatch.setenv("MASSGEN_LOG__LEVEL", "debug")
    assert "debug" == load_settings(**(project.arguments() | {"env": None})).settings.log.level


@pytest.mark.parametrize(
    "name", ["MASSGEN_PROFILING", "MASSGEN_CRASH_SEED", "MASSGEN_", "MASSGENX__A", "massgen_log__x"]
)
def test_variables_of_others_are_left_alone(project, name):
    loaded = project.load(env={name: "x"})
    assert ((name,) if name.startswith("MASSGEN_") else ()) == loaded.ignored


def test_a_section_can_be_one_variable(project):
    env = {"MASSGEN_LOG": "{level: debug}", "MASSGEN_LOG__FORMAT": "json"}
    settings = project.load(env=env).settings
    assert ("debug", "json") == (settings.log.level, settings.log.format)


def test_models_with_dots_in_their_names_can_be_overridden(project):
    loaded = project.load('models."gpt-4.1".window=9', 'models={"qwen-3.5": {window: 8}}')
    assert {"qwen-3.5": 8} == {k: v.window for k, v in loaded.settings.models.items()}
    loaded = project.load('models={"qwen-3.5": {window: 8}}', 'models."gpt-4.1".window=9')
    assert {"qwen-3.5": {"window": 8}, "gpt-4.1": {"window": 9}} == {
        name: model.given() for name, model in loaded.settings.models.items()
    }
    assert "-c" == project.sources('models."gpt-4.1".window=9')['models."gpt-4.1".window']


@pytest.mark.parametrize("bad", ["", "log.level", "=debug", "log..level=x", "'log=x"])
def test_an_override_without_key_or_value_is_refused(project, bad):
    with pytest.raises(InvalidSetting, match="argument 1 is not key=value"):
        project.load(bad)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes: no", "yes: no"),
        ("0123", "0123"),
        ("null", "null"),
        ("'a # b'", "a # b"),
        ('"a\\nb"', "a\nb"),
        ("a # b", "a # b"),
        ("[1, 2", "[1, 2"),
        ("", ""),
    ],
)
def test_text_fields_take_the_text_as_it_is(project, text, expected):
    assert expected == project.load(f"agent.instructions={text}").settings.agent.instructions


def test_the_environment_never_strips_quotes(project):
    env = {"MASSGEN_AGENT__INSTRUCTIONS": "'a'"}
    assert "'a'" == project.load(env=env).settings.agent.instructions


def test_lists_and_null_are_yaml(project):
    settings = project.load(
        "plugins.allow=[a, b]", 'plugins.deny=["c"]', "context.output_reserve=null"
    ).settings
    assert ("a", "b") == settings.plugins.allow
    assert ("c",) == settings.plugins.deny
    assert settings.context.output_reserve is None


def test_profiles_overlay_the_file_they_are_in(project):
    project.user("agent: {max_steps: 1}\nprofiles: {ci: {agent: {max_steps: 2}}}")
    project.write("log: {level: info}\nprofiles:\n  ci:\n    log:\n      level: debug\n  dev: {}\n")
    loaded = project.load(profile="ci")
    assert ("debug", 2) == (loaded.settings.log.level, loaded.settings.agent.max_steps)
    assert "ci" == loaded.settings.profile == loaded.names.profile
    sources = project.sources(env={"MASSGEN_PROFILE": "ci"})
    assert "massgen.yaml:5 (profile ci)" == sources["log.level"]
    assert "environment MASSGEN_PROFILE" == sources["profile"]
    assert "info" == project.load(env={"MASSGEN_PROFILE": "ci"}, profile="dev").settings.log.level


def test_a_stronger_file_wins_over_the_profile_of_a_weaker_one(project):
    project.user("profiles: {ci: {agent: {max_steps: 2}}}").write("agent: {max_steps: 7}")
    assert 7 == project.load(profile="ci").settings.agent.max_steps


def test_the_profile_key_of_a_file_chooses_one(project):
    project.write("profile: ci\nprofiles: {ci: {log: {level: debug}}}")
    assert "debug" == project.load().settings.log.level


def test_an_unknown_profile_is_refused_with_a_suggestion(project):
    project.write("profiles: {release: {}}")
    with pytest.raises(InvalidSetting, match="did you mean 'release'") as caught:
        project.load(profile="relase")
    assert "profile" == caught.value.path


def test_profiles_must_be_mappings(project):
    project.write("profiles: {ci: 5}")
    with pytest.raises(InvalidSetting, match=r"massgen.yaml:1: 'profiles.ci' should be a mapping"):
        project.load()


def test_names_need_no_plugin_and_no_valid_rest(project):
    project.write(
        "plugins: {deny: [evil]}\nbackend: {modle: x}\nstrategies: [a, {name: b, x: 1}]\n"
        "log: {level: shout}\nembedder: minilm\n"
    )
    names = read_names(env={}, cwd=project.dir)
    assert ("evil",) == names.plugins.deny
    assert ("local", ("a", "b"), None, "minilm") == (
        names.backend,
        names.strategies,
        names.memory_store,
        names.embedder,
    )
