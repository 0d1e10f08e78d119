"""The published schema says of a file what loading says of it."""

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from massgen_core.errors import PluginBroken, SettingsError
from massgen_core.settings import json_schema, load_settings, template

INSTALLED = {"backend": ["cloud", "local"], "strategy": ["plain", "sliding_window"]}


@pytest.fixture
def schema(classes):
    return json_schema(lookup=classes.lookup, installed=INSTALLED)


def accepts(schema, text):
    return jsonschema.Draft202012Validator(schema).is_valid(yaml.safe_load(text))


def test_it_is_a_schema(schema):
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "log: {level: debug}",
        "log:",
        "backend: cloud",
        "backend: {name: cloud, model: gpt-5, api_key: k, backoff: {attempts: 2}}",
        "backend: {name: local, threads: 4, gguf: null}",
        "strategy: {name: sliding_window, max_tokens: 5, pin: [system]}",
        "strategy:",
        "strategies: [plain, {name: sliding_window, keep_last_turns: 2}]",
        "backend: {name: cloud, model: gpt-5, api_key: k, retry: {attempts: 2}, limits: {}}",
        "strategies: []",
        "strategies:",
        "models: {gpt-5: {window: 9, tools: true}}",
        "context: {trigger_threshold: 0.9, target_ratio: 0.5, output_reserve: null}",
        "plugins: {allow: [a], strict: true}",
        "profile: ci\nprofiles: {ci: {strategy: plain, log: {level: error}}, dev: null}",
        "memory_store: chroma",
    ],
)
def test_what_loads_is_valid(schema, project, classes, text):
    def lookup(kind, name):
        return None if kind == "memory_store" else classes.lookup(kind, name)

    load_settings(**(project.write(text).arguments() | {"lookup": lookup}))
    assert accepts(schema, text)


@pytest.mark.parametrize(
    "text",
    [
        "lgo: {}",
        "log: {levl: debug}",
        "log: {level: loud}",
        "log: 5",
        "[]",
        "backend: claud",
        "backend: {name: cloud, threads: 4}",
        "backend: {name: local, backoff: {}}",
        "backend: {name: cloud, backoff: {attemps: 2}}",
        "backend: {name: cloud, breaker: {attemps: 2}}",
        "strategy: {name: sliding_window, max_tokens: 0}",
        "strategy: {name: plain, x: 1}",
        "strategies: [claud]",
        "strategies: [{max_tokens: 5}]",
        "strategies: [{name: sliding_window, x: 1}]",
        "strategies: plain",
        "strategy: plain\nstrategies: [plain]",
        "context: {safety: 1}",
        "models: {gpt-5: {windw: 9}}",
        "profiles: {ci: {lgo: {}}}",
        "profiles: {ci: {profile: x}}",
        "profiles: {ci: {strategy: {name: plain, x: 1}}}",
    ],
)
def test_what_is_invalid_does_not_load(schema, project, text):
    profile = "ci" if "profiles" in text else None
    assert project.write(text).check(profile=profile)
    assert not accepts(schema, text)


def test_a_key_a_plugin_requires_may_come_from_another_source(project):
    class Needy(BaseModel):
        api_key: str

    schema = json_schema(lookup=lambda *_: Needy, installed={"backend": ["needy"]})
    assert accepts(schema, "backend: {name: needy}")
    assert not accepts(schema, "backend: {name: needy, api_kee: x}")
    with pytest.raises(SettingsError, match="api_key' is missing"):
        load_settings(**(project.arguments("backend=needy") | {"lookup": lambda *_: Needy}))


def test_a_plugin_that_cannot_be_loaded_takes_any_key():
    def lookup(kind, name):
        raise PluginBroken("broken", kind=kind, name=name)

    schema = json_schema(lookup=lookup, installed={"strategy": ["bad"]})
    assert accepts(schema, "strategy: {name: bad, x: 1}")
    assert not accepts(schema, "strategy: {name: worse}")


def test_classes_of_one_name_in_two_plugins_do_not_mix():
    def one():
        class Inner(BaseModel):
            a: int = 1

        class Outer(BaseModel):
            inner: Inner = Inner()

        return Outer

    def two():
        class Inner(BaseModel):
            b: int = 1

        class Outer(BaseModel):
            inner: Inner = Inner()

        return Outer

    found = {"one": one(), "two": two()}
    schema = json_schema(lookup=lambda _, name: found[name], installed={"strategy": ["one", "two"]})
    assert accepts(schema, "strategy: {name: one, inner: {a: 1}}")
    assert accepts(schema, "strategy: {name: two, inner: {b: 1}}")
    assert not accepts(schema, "strategy: {name: two, inner: {a: 1}}")


def test_the_starting_file_is_valid(schema, classes):
    assert accepts(schema, template(lookup=classes.lookup, installed=INSTALLED))
