"""`mgc` in this process, in an empty folder."""

from __future__ import annotations

import io
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from massgen_core.cli import main

STORY = [
    {"role": "system", "content": "Answer in one sentence."},
    *(
        {"role": role, "content": f"{role} says {number}: " + "it was a dark night. " * 10}
        for number in range(30)
        for role in ("user", "assistant")
    ),
    {"role": "user", "content": "How was the night?"},
]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def envelope(self):
        assert 1 == self.out.count("\n"), self.out
        return json.loads(self.out)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


@pytest.fixture
def mgc(folder, capfd, monkeypatch):
    def run(*words, stdin=""):
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8"))
        code = main([str(word) for word in words])
        return Done(code, *capfd.readouterr())

    return run


@pytest.fixture
def scripted(tmp_path_factory, monkeypatch):
    """Installs the backend ``scripted`` and selects it; gives the folder it lies in."""
    site = tmp_path_factory.mktemp("site")
    shutil.copy(Path(__file__).with_name("mgc_scripted.py"), site)
    info = site / "mgc_scripted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mgc-scripted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[massgen_core.plugins]\nscripted = mgc_scripted\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "mgc_scripted", raising=False)
    monkeypatch.setenv("MASSGEN_BACKEND__NAME", "scripted")
    return site


@pytest.fixture
def messages():
    return [message.copy() for message in STORY]


@pytest.fixture
def story(folder, messages):
    path = folder / "story.json"
    path.write_text(json.dumps(messages), "utf-8")
    return path
