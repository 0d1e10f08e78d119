"""The frame of every command: help, version, usage errors, completion, what is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import typer.main

import massgen_core
from massgen_core.cli import app, main

LOADED = """
import json, sys
before = set(sys.modules)  # coverage has loaded its own
from massgen_core.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(set(sys.modules) - before)]), file=sys.stderr)
"""
HEAVY = {
    "asyncio",
    "chromadb",
    "httpx",
    "mem0",
    "openai",
    "pluggy",
    "pydantic",
    "pydantic_settings",
    "rich",
    "sqlite3",
    "structlog",
    "tiktoken",
    "xllamacpp",
    "yaml",
}


def commands(command, path=()):
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


COMMANDS = list(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help(mgc, path):
    done = mgc(*path, "--help")

    assert 0 == done.code
    assert f"Usage: {' '.join(('mgc', *path))} " in done.out
    assert "" == done.err


@pytest.mark.parametrize("words", [(), ("session",), ("context",)])
def test_no_command_shows_the_help_as_a_usage_error(mgc, words):
    done = mgc(*words)

    assert 2 == done.code
    assert "Usage: mgc" in done.out + done.err


FRAME = {"massgen_core", "typer", "annotated_doc", "click", "shellingham", "typing_extensions"}
"""The core, typer and what it requires; neither rich nor another package."""
LIBRARIES = {"anthropic", "google.genai", "httpx", "httpx2", "mcp", "openai"} | {
    *("chromadb", "mem0", "onnxruntime", "tokenizers", "xllamacpp")
}
"""What plugins are made for, or with."""


def loaded(*words):
    """The modules that a command imports, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=True
    )
    code, modules = json.loads(done.stderr)
    assert 0 == code
    return set(modules)


def test_help_loads_nothing_that_is_not_needed_for_it():
    modules = loaded("--help")

    assert set() == HEAVY & modules
    assert {name.partition(".")[0] for name in modules} - sys.stdlib_module_names <= FRAME


@pytest.mark.parametrize(
    "words", [("plugins", "list"), ("backend", "list"), ("models", "list"), ("config", "show")]
)
def test_what_is_installed_is_listed_without_its_libraries(folder, words):
    assert set() == LIBRARIES & loaded(*words)


def test_the_version_is_printed(mgc):
    done = mgc("--version")

    assert (0, f"mgc {massgen_core.__version__}\n") == (done.code, done.out)
    assert {"version": massgen_core.__version__} == mgc("--version", "--json").envelope["data"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sesion", "list"), "No such command 'sesion'"),
        (("session", "lst"), "No such command 'lst'"),
        (("run", "x", "--sesion", "s"), "--sesion"),
        (("context", "fit"), "Missing argument"),
        (("context", "fit", "x.json"), "--budget"),
    ],
)
def test_a_wrong_command_line_ends_with_2(mgc, words, told):
    done = mgc(*words)
    envelope = mgc(*words, "--json").envelope

    assert (2, "") == (done.code, done.out)
    assert told in done.err
    assert (False, "usage") == (envelope["ok"], envelope["error"]["code"])
    assert told in envelope["error"]["message"]


def test_json_after_two_dashes_is_a_task_and_no_option(mgc, scripted):
    assert "You said: --json\n" == mgc("run", "--", "--json").out


def test_completion_names_the_commands():
    env = os.environ | {"_MGC_COMPLETE": "complete_bash", "COMP_WORDS": "mgc se", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "massgen_core"], env=env, capture_output=True, text=True, check=False
    )

    assert (0, "session") == (done.returncode, done.stdout.strip())


def test_without_the_extra_the_command_that_installs_it_is_named(monkeypatch, capsys):
    monkeypatch.setattr("massgen_core.cli.find_spec", lambda name: None)

    assert 1 == main(["--help"])
    assert 'pip install "massgen-core[cli]"' in capsys.readouterr().err


def test_ctrl_c_ends_with_130_and_one_line(mgc, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("massgen_core.cli._state.Cli.plugins", interrupted)

    done = mgc("plugins", "list", "--json")

    assert (130, "error: interrupted\n") == (done.code, done.err)
    assert "interrupted" == done.envelope["error"]["code"]


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    import massgen_core.cli

    with pytest.raises(AttributeError, match="no attribute 'application'"):
        _ = massgen_core.cli.application
