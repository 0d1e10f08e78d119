"""Plugins' settings classes as tests need them, and a project folder to put files in."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import BaseModel, Field, SecretStr

from massgen_core.errors import PluginNotFound
from massgen_core.settings import check_settings, load_settings


class Retry(BaseModel):
    attempts: int = Field(3, description="Attempts.")


class CloudSettings(BaseModel):
    api_key: SecretStr | None = Field(None, description="The key of the account.")
    base_url: str = Field("https://example.invalid", description="Where the service is.")
    headers: dict[str, str] = Field({}, description="Headers of every request.")
    keys: list[SecretStr] = Field([], description="Keys to rotate through.")
    backoff: Retry = Field(default_factory=Retry, description="How often to try.")
    temperature: float | None = Field(None, description="Sampling temperature.")


class LocalSettings(BaseModel):
    threads: int = Field(1, description="Threads.", ge=1)
    gguf: Path | None = Field(None, description="Weights.")
    model: str = Field("smollm2", description="Model.")


class WindowSettings(BaseModel):
    max_tokens: int | None = Field(None, description="Tokens kept.", gt=0)
    keep_last_turns: int = Field(3, description="Turns kept.")
    pin: tuple[str, ...] = Field((), description="Roles never dropped.")


CLASSES = {
    ("backend", "cloud"): CloudSettings,
    ("backend", "local"): LocalSettings,
    ("strategy", "sliding_window"): WindowSettings,
    ("strategy", "plain"): None,
}


def lookup(kind, name):
    if (kind, name) not in CLASSES:
        raise PluginNotFound(f"no {kind} {name!r}", kind=kind, name=name)
    return CLASSES[kind, name]


class Project:
    """A folder with settings files, and the loading of them in an empty environment."""

    def __init__(self, root):
        self.home = root / "home"
        self.dir = root / "project"
        self.dir.mkdir(parents=True)
        self.env = {"HOME": str(self.home)}

    def write(self, text, name="massgen.yaml"):
        (self.dir / name).write_text(text, encoding="utf-8")
        return self

    def user(self, text):
        file = self.home / ".config" / "massgen" / "massgen.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
        return self

    def arguments(self, *overrides, env=None, **more):
        return {
            "lookup": lookup,
            "overrides": overrides,
            "env": {**self.env, **(env or {})},
            "cwd": self.dir,
            **more,
        }

    def load(self, *overrides, **more):
        return load_settings(**self.arguments(*overrides, **more))

    def check(self, *overrides, **more):
        return check_settings(**self.arguments(*overrides, **more))

    def sources(self, *overrides, **more):
        return {row.path: row.source for row in self.load(*overrides, **more).explain()}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture(scope="session")
def classes():
    """The plugins' classes by a short name, and their lookup."""
    return SimpleNamespace(
        cloud=CloudSettings, local=LocalSettings, window=WindowSettings, lookup=lookup
    )
