"""Backends of an application: each made once, patient as the settings say, limits shared."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel, SecretStr

from massgen_core.app import App
from massgen_core.backends import Policy, Request, endpoint_of
from massgen_core.errors import InvalidSetting, RateLimited, Transient
from massgen_core.events import TextDelta, Waiting
from massgen_core.messages import user
from massgen_core.plugin import Candidate, PluginHost, Provides, hookimpl
from massgen_core.providers import policy_of
from massgen_core.settings import Patience
from massgen_core.testing import ScriptedBackend

SCRIPTS = {}


class Settings(BaseModel):
    api_key: SecretStr = SecretStr("")
    heat: float = 0


@hookimpl
def massgen_backend():
    own = {"factory": f"{__name__}:make", "settings": f"{__name__}:Settings"}
    return [Provides(name=name, **own) for name in ("one", "two")]


def make(settings, ctx):
    return ScriptedBackend(SCRIPTS.pop("next", ["Hello."] * 9))


@pytest.fixture
def load(tmp_path):
    host = PluginHost(entry_points=[Candidate("massgen-t", "t", __name__, "1")])

    def load(*overrides):
        given = ("backend.name=one", "backend.model=m", *overrides)
        return App.load(overrides=given, env={}, cwd=tmp_path, host=host)

    return load


async def ask(backend):
    return [event async for event in backend.stream(Request("m", (user("Hi"),)))]


def test_the_settings_say_the_policy():
    assert Policy() == policy_of(Patience())


def test_a_fault_is_retried_by_default(load):
    SCRIPTS["next"] = [RateLimited("busy", retry_after=0.001), "Hello."]

    async def main():
        async with load() as app:
            return await ask(app.providers.main())

    first, second, *_ = asyncio.run(main())
    assert isinstance(first, Waiting)
    assert TextDelta("Hello.") == second


def test_it_is_not_if_the_settings_say_so(load):
    SCRIPTS["next"] = [Transient("down"), "Hello."]

    async def main():
        async with load("backend.retry.attempts=1") as app:
            with pytest.raises(Transient):
                await ask(app.providers.main())

    asyncio.run(main())


@pytest.mark.parametrize(
    ("section", "shared"),
    [
        ({"heat": 1}, True),
        ({"model": "small"}, True),
        ({"api_key": "b"}, False),
        ({"name": "two"}, False),
    ],
)
def test_limits_are_shared_by_all_who_use_one_account(load, section, shared):
    given = ("backend.api_key=a", "backend.limits.requests_per_minute=1")

    async def main():
        async with load(*given, "backend.retry.deadline=1") as app:
            same = section if "api_key" in section or "name" in section else {"api_key": "a"}
            other, _ = app.providers.of({**same, **section}, "m")
            await ask(app.providers.main())
            try:
                await ask(other)
            except RateLimited:
                return True
            return False

    assert shared == asyncio.run(main())


def test_a_section_can_be_more_patient_than_the_agents_backend(load):
    async def main():
        async with load("backend.retry.attempts=1") as app:
            SCRIPTS["next"] = [RateLimited("busy", retry_after=0.001), "Hello."]
            patient, _ = app.providers.of({"heat": 1, "retry": {"attempts": 2}}, "m")
            return len(await ask(patient))

    assert 4 == asyncio.run(main())


def test_a_section_that_asks_for_the_impossible_is_a_typed_error(load):
    async def main():
        async with load() as app:
            with pytest.raises(InvalidSetting, match="retry.attempts"):
                app.providers.of({"heat": 1, "retry": {"attempts": 0}}, "m")

    asyncio.run(main())


def test_no_secret_can_be_read_in_an_endpoint():
    named = endpoint_of("one", dict(Settings(api_key=SecretStr("hunter2"))))
    assert "hunter2" not in named
    assert named != endpoint_of("one", dict(Settings(api_key=SecretStr("hunter3"))))
    assert named == endpoint_of("one", dict(Settings(api_key=SecretStr("hunter2"), heat=2)))
