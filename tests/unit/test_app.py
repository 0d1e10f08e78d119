"""The composition root: what the settings describe is what is built, and closed at the end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from massgen_core.agents import Tool
from massgen_core.app import App
from massgen_core.chain import strategy_chain
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import InvalidArgument, PluginNotFound, SettingsError, UnknownModel
from massgen_core.events import TurnFinished
from massgen_core.plugin import Candidate, PluginContext, PluginHost, Provides, hookimpl
from massgen_core.testing import ScriptedBackend
from massgen_core.tokens import ModelCatalogue

MADE = []
SEEN = []


class Keep:
    """A strategy that keeps everything."""

    name = "keep"

    def plan(self, view, goal, ctx):
        return None


@hookimpl
def massgen_backend():
    return [Provides(name=name, factory=f"{__name__}:make") for name in ("scripted", "other")]


@hookimpl
def massgen_strategy():
    return Provides(name="keep", factory=f"{__name__}:make_keep")


@hookimpl
def massgen_embedder():
    return Provides(name="vowels", factory=f"{__name__}:Vowels")


@hookimpl
def massgen_tools():
    return Provides(name="dice", factory=f"{__name__}:Dice")


class Dice:
    """One tool that is always the same."""

    def __init__(self, settings, ctx):
        self.closed = 0

    async def tools(self):
        return [Tool.of(lambda: 4, name="roll", description="Rolls a die.")]

    async def aclose(self):
        self.closed += 1


class Vowels:
    """Counts vowels."""

    identity = "vowels"
    dimensions = 5

    def __init__(self, settings, ctx):
        self.closed = 0

    async def embed(self, texts, /, *, purpose):
        return [[float(text.count(vowel)) for vowel in "aeiou"] for text in texts]

    async def close(self):
        self.closed += 1


@hookimpl
def massgen_observe(event):
    SEEN.append(event)


def make(settings, ctx):
    MADE.append(ScriptedBackend(["Good morning."], window=4000))
    return MADE[-1]


def make_keep(settings, ctx):
    return Keep()


@pytest.fixture
def host():
    MADE.clear()
    SEEN.clear()
    return PluginHost(entry_points=[Candidate("massgen-t", "t", __name__, "1")])


@pytest.fixture
def load(tmp_path, host):
    def load(*overrides, **more):
        given = ("backend.name=scripted", *overrides)
        return App.load(overrides=given, env={}, cwd=tmp_path, host=host, **more)

    return load


def test_an_agent_of_the_settings_answers_and_observers_see_it(load, tmp_path):
    async def main():
        async with load() as app:
            store, agent = await app.store(), await app.agent()
            async with store.create("s") as session:
                return [event async for event in app.run(agent, session, "Hi")]

    events = asyncio.run(main())

    assert isinstance(events[-1], TurnFinished)
    assert "Good morning." == events[-1].text
    assert events == SEEN
    assert (tmp_path / ".massgen" / "massgen.db").is_file()


def test_what_was_opened_is_closed_and_made_once(load):
    async def main():
        async with load() as app:
            assert await app.store() is await app.store()
            assert app.backend() is app.backend()
        await app.aclose()

    asyncio.run(main())

    assert [True] == [backend.closed for backend in MADE]


def test_what_was_not_asked_for_is_not_made(load, tmp_path):
    async def main():
        async with load():
            pass

    asyncio.run(main())

    assert [] == MADE
    assert [] == list(tmp_path.iterdir())


def test_a_model_the_catalogue_lacks_is_what_the_backend_says_it_is(load):
    async def main():
        async with load() as app:
            return await app.model_info()

    info = asyncio.run(main())

    assert ("scripted", 4000, "estimate") == (info.name, info.window, info.tokenizer)


def test_the_catalogue_goes_before_the_backend(load):
    async def main():
        async with load("backend.model=house-1", "models.house-1.window=900") as app:
            return await app.model_info()

    assert 900 == asyncio.run(main()).window


def test_the_agent_follows_the_settings(load):
    async def main():
        settings = ("agent.max_steps=3", "context.target_ratio=0.5", "backend.model=gpt-4o")
        async with load(*settings) as app:
            return await app.agent(), await app.agent(max_steps=7)

    agent, other = asyncio.run(main())

    assert (3, 7) == (agent.max_steps, other.max_steps)
    assert (1.0, 0.5) == (agent.engine.trigger, agent.engine.target)
    assert "o200k_base" == agent.engine.counter.name


def test_the_database_is_where_the_settings_or_the_caller_say(load, tmp_path):
    assert tmp_path / "a" / "b.db" == load("storage.path=a/b.db").path
    assert Path("c.db") == load("storage.path=a/b.db", path=Path("c.db")).path


def names(chain):
    return [strategy.name for strategy in chain]


def test_the_chain_is_that_of_the_settings_or_of_names(load):
    assert [] == names(load().strategies())  # nothing recommended is installed here
    assert ["keep"] == names(load("strategy.name=keep").strategies())
    assert ["keep", "keep"] == names(load("strategies=[keep, keep]").strategies())
    assert ["keep"] == names(load().strategies(["keep"]))


def test_wrong_settings_and_names_are_errors(load):
    with pytest.raises(SettingsError):
        load("contxt=1")
    with pytest.raises(PluginNotFound):
        load("strategy.name=nobody")
    with pytest.raises(PluginNotFound):
        load().strategies(["nobody"])
    with pytest.raises(UnknownModel):
        load().models.get("nobody-1")


def test_a_host_of_the_settings_obeys_their_plugins_section(tmp_path):
    app = App.load(overrides=["plugins.deny=[sliding_window]"], env={}, cwd=tmp_path)

    assert "sliding_window" not in app.host.names("strategy")


def test_a_chain_takes_strategies_as_they_are(host):
    keep = Keep()
    ctx = PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped())

    assert (keep,) == strategy_chain(host, ctx, [keep])
    assert ["keep"] == names(strategy_chain(host, ctx, [("keep", None)]))
    with pytest.raises(InvalidArgument, match="expected a list of names"):
        strategy_chain(host, ctx, "keep")


def test_a_plugin_is_given_the_agents_backend(load):
    app = load("backend.model=m")
    give = app.context.backend

    assert (app.backend(), "m") == give(None)
    assert (app.backend(), "small") == give({"model": "small"})
    assert (app.backend(), "m") == give({"name": "scripted"})
    assert 1 == len(MADE)


def test_a_plugin_is_given_another_backend_once_and_it_is_closed(load):
    app = load()
    give = app.context.backend
    backend, model = give({"name": "other"})

    assert (backend, "small") == give({"name": "other", "model": "small"})
    assert "scripted" == model, "the backend's own name, for want of another"
    assert backend is not app.backend()
    asyncio.run(app.aclose())
    assert [True, True] == [made.closed for made in MADE]


def test_a_backend_that_a_plugin_cannot_have_is_a_typed_error(load):
    give = load().context.backend

    with pytest.raises(PluginNotFound, match="nobody"):
        give({"name": "nobody"})
    with pytest.raises(SettingsError, match="window"):
        give({"name": "other", "window": 3})


def test_agents_get_the_tools_of_the_settings_whose_source_the_app_closes(host, tmp_path):
    async def main():
        overrides = ["tools.name=dice", "backend.name=scripted"]
        async with App.load(host=host, cwd=tmp_path, env={}, overrides=overrides) as app:
            agent = await app.agent(
                tools=[Tool.of(lambda: "Yes.", name="say", description="Says it.")]
            )
            assert app.tool_provider() is app.tool_provider()
            return sorted(agent._tools), app.tool_provider()

    names, provider = asyncio.run(main())
    assert ["roll", "say"] == names
    assert 1 == provider.closed
    assert App.load(host=host, cwd=tmp_path, env={}).tool_provider() is None


def test_plugins_get_the_embedder_of_the_settings_which_the_app_closes(host, tmp_path):
    async def main():
        overrides = ["embedder.name=vowels"]
        async with App.load(host=host, cwd=tmp_path, env={}, overrides=overrides) as app:
            embedder = app.context.embedder()
            assert embedder is app.embedder() is app.context.embedder()
            return embedder

    assert 1 == asyncio.run(main()).closed


def test_without_one_in_the_settings_plugins_get_none(host, tmp_path):
    assert App.load(host=host, cwd=tmp_path, env={}).context.embedder() is None
