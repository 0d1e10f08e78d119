"""The app: settings, plugins, storage, sessions and agents, made when they are first asked for."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, Self, cast

from massgen_core._closing import Closing
from massgen_core.app._longterm import asks_of, longterm, memory_plugins
from massgen_core.backends import caps_of
from massgen_core.chain import strategy_chain
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.context import ContextEngine
from massgen_core.errors import UnknownModel
from massgen_core.events import MemoryDegraded
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.providers import Providers
from massgen_core.settings import load_settings, read_names
from massgen_core.tokens import ModelCatalogue, ModelInfo, counter_for

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from pydantic import BaseModel

    from massgen_core.agents import Agent, Fallback, Function, Tool, ToolProvider
    from massgen_core.backends import Backend
    from massgen_core.chain import Chosen
    from massgen_core.clock import Clock
    from massgen_core.context import TruncationStrategy
    from massgen_core.events import Event
    from massgen_core.memory import Asks, Embedder, Memory
    from massgen_core.messages import JSONValue
    from massgen_core.sessions import Session, SessionStore
    from massgen_core.settings import Loaded, Lookup, Names, Settings


class App(Closing):
    """Everything the settings describe, made when it is first asked for.

    Attributes:
        loaded: The settings and where each came from.
        host: The plugins.
        models: The catalogue of models, with the corrections of the settings.
        providers: The backends, and what was used of them.
        path: The database file, or its folder.
        degraded: What plugins of memory could not do so far.
    """

    def __init__(
        self, loaded: Loaded, host: PluginHost, *, path: Path | None = None, clock: Clock
    ) -> None:
        self.loaded = loaded
        self.host = host
        self.path = path or loaded.storage_path
        overrides = {name: model.given() for name, model in loaded.settings.models.items()}
        self.models = ModelCatalogue.shipped().with_overrides(overrides)
        self._clock = clock
        self._stack = AsyncExitStack()
        self.providers = Providers(
            host, lambda: self.context, self.settings.backend, self.models, self._stack
        )
        self._store: SessionStore | None = None
        self._embedder: Embedder | None = None
        self._provider: ToolProvider | None = None
        self._memory: Memory | None = None
        self.degraded: list[MemoryDegraded] = []

    @classmethod
    def load(
        cls,
        *,
        overrides: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        profile: str | None = None,
        file: Path | None = None,
        path: Path | None = None,
        host: PluginHost | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """The app of the settings that hold here.

        Args:
            overrides: ``key=value`` texts, stronger than all other sources.
            env: The environment; that of the process if omitted.
            cwd: Where the search for a project file starts; the current folder if omitted.
            profile: The profile to use.
            file: The project file, instead of searching for one.
            path: The database, over ``storage.path``.
            host: The plugins, over those that the settings allow.
            clock: Dates what is written.

        Raises:
            SettingsError: The settings cannot be used.
            PluginError: A selected plugin cannot be used.
        """
        if host is None:
            host = host_of(
                read_names(overrides=overrides, env=env, cwd=cwd, profile=profile, file=file)
            )
        loaded = load_settings(
            lookup=cast("Lookup", host.settings_class),
            overrides=overrides,
            env=env,
            cwd=cwd,
            profile=profile,
            file=file,
        )
        return cls(loaded, host, path=path, clock=clock)

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.loaded.settings

    @property
    def context(self) -> PluginContext:
        """What the factories of plugins may use."""
        return PluginContext(self._clock, None, self.models, self.backend_and_model, self.embedder)

    def strategies(self, names: Sequence[str] | None = None) -> tuple[TruncationStrategy, ...]:
        """The chain of the settings, or of `names`, each with the settings it has there.

        Raises:
            PluginError: A strategy is not installed, or broken.
        """
        configured = self._configured_strategies()
        if names is None:
            chosen: list[Chosen] | None = None if configured is None else list(configured)
        else:
            known = dict(configured or ())
            chosen = [(name, known.get(name)) for name in names]
        return strategy_chain(self.host, self.context, chosen)

    def engine(self, model: ModelInfo) -> ContextEngine:
        """Fits views for `model` as the settings say."""
        context = self.settings.context
        return ContextEngine(
            self.strategies(),
            counter_for(model),
            trigger=context.trigger_threshold,
            target=context.target_ratio,
            strategy_timeout=context.strategy_timeout,
            produce_timeout=context.produce_timeout,
            clip_system=context.clip_system,
        )

    async def store(self, *, read_only: bool = False) -> SessionStore:
        """The sessions; the same object at each call, closed with the app.

        Raises:
            StorageError: The database cannot be opened.
        """
        from massgen_core.sessions import SessionStore  # noqa: PLC0415 - loads sqlite3

        if self._store is None:
            opening = SessionStore.open(
                self.path,
                synchronous=self.settings.storage.synchronous,
                read_only=read_only,
                clock=self._clock,
            )
            self._store = await self._stack.enter_async_context(opening)
        return self._store

    async def memory(self, *, read_only: bool = False) -> Memory:
        """Long-term memory; the same object at each call, closed with the app.

        Raises:
            StorageError: The database cannot be opened.
            PluginError: An index or the embedder is not installed, or broken.
        """
        from massgen_core.memory import Memory  # noqa: PLC0415 - loads sqlite3
        from massgen_core.sessions import redact  # noqa: PLC0415
        from massgen_core.storage import database_path  # noqa: PLC0415

        if self._memory is None:
            file = database_path(self.path)
            opening = Memory.open(
                file,
                plugins=memory_plugins(self, file),
                synchronous=self.settings.storage.synchronous,
                read_only=read_only,
                clock=self._clock,
                told=self._told,
                journals=redact,
            )
            self._memory = await self._stack.enter_async_context(opening)
        return self._memory

    @property
    def asks(self) -> Asks:
        """A way to ask the model of ``memory.extraction``; it is made when it is first asked.

        Asking raises a `PluginError` if its backend cannot be used.
        """
        return asks_of(self)

    def _told(self, name: str, reason: str) -> None:
        """An event for what a plugin of memory could not do."""
        event = MemoryDegraded(name, reason)
        self.degraded.append(event)
        self.host.observe(event)

    def backend(self) -> Backend:
        """The backend; the same object at each call, closed with the app.

        Raises:
            PluginError: It is not installed, or broken.
        """
        return self.providers.main()

    def embedder(self) -> Embedder | None:
        """The embedder that the settings choose; None if they choose none.

        The same object at each call, closed with the app.

        Raises:
            PluginError: It is not installed, or broken.
        """
        chosen = self.settings.embedder
        if self._embedder is None and chosen is not None:
            made = self.host.create("embedder", chosen.name, chosen.settings, self.context)
            self._stack.push_async_callback(made.close)
            self._embedder = made
        return self._embedder

    def tool_provider(self) -> ToolProvider | None:
        """Where agents get tools from, as the settings choose; None if they choose none.

        The same object at each call, closed with the app.

        Raises:
            PluginError: It is not installed, or broken.
        """
        chosen = self.settings.tools
        if self._provider is None and chosen is not None:
            made = self.host.create("tools", chosen.name, chosen.settings, self.context)
            self._provider = cast("ToolProvider", made)  # the host has checked its methods
            self._stack.push_async_callback(self._provider.aclose)
        return self._provider

    def backend_and_model(self, section: Mapping[str, JSONValue] | None) -> tuple[Backend, str]:
        """The backend that a plugin asks for; the agent's where nothing else is said of it.

        Raises:
            PluginError: It is not installed, or broken.
            SettingsError: The section cannot be used.
        """
        return self.providers.of(section, self.model)

    @property
    def model(self) -> str:
        """The model the backend is asked for: that of the settings, else the backend's own."""
        chosen = self.settings.backend
        return (chosen and chosen.model) or self.backend().name

    async def model_info(self) -> ModelInfo:
        """What is known of the model: the catalogue's row, else what the backend says of it.

        Raises:
            UnknownModel: Neither knows it, or none is chosen.
        """
        return await self.info_of(self.backend(), self.model)

    async def info_of(self, backend: Backend, model: str) -> ModelInfo:
        """What is known of a model of a backend; see `model_info`."""
        caps = await caps_of(backend, model)
        try:
            return self.models.get(model)
        except UnknownModel:
            return ModelInfo(
                model,
                backend.name,
                caps.window,
                caps.max_output,
                tools=caps.tools,
                images=caps.images,
                source="backend",
            )

    async def _fallbacks(self) -> list[Fallback]:
        from massgen_core.agents import Fallback  # noqa: PLC0415 - see agent

        found = []
        for one in self.settings.agent.fallbacks:
            section = one.model_dump(exclude_none=True)
            backend, model = self.backend_and_model(section)
            found.append(Fallback(backend, model, await self.info_of(backend, model)))
        return found

    async def agent(
        self,
        *,
        tools: Sequence[Function | Tool] = (),
        instructions: str | None = None,
        max_steps: int | None = None,
        name: str = "agent",
    ) -> Agent:
        """A new agent on the backend.

        Args:
            tools: Functions the model may call, beside those of ``tools`` in the settings.
            instructions: The system message, over ``agent.instructions``.
            max_steps: Model calls in one turn, over ``agent.max_steps``.
            name: Signs the agent's messages.

        Raises:
            PluginError: The backend or a strategy cannot be used.
            UnknownModel: Nobody knows the model's window.
            ToolSourceError: The tools of the settings cannot be had.
        """
        from massgen_core.agents import Agent  # noqa: PLC0415 - few users of an app need it

        info = await self.model_info()
        settings = self.settings
        provider = self.tool_provider()
        provided = () if provider is None else await provider.tools()
        agent = Agent(
            self.backend(),
            model=self.model,
            info=info,
            tools=(*tools, *provided),
            instructions=settings.agent.instructions if instructions is None else instructions,
            engine=self.engine(info),
            name=name,
            max_steps=settings.agent.max_steps if max_steps is None else max_steps,
            output_reserve=settings.context.output_reserve,
            safety=settings.context.safety,
            notify=settings.context.notify_agent,
            memory=await longterm(self),
            fallbacks=await self._fallbacks(),
        )
        self._stack.push_async_callback(agent.aclose)
        return agent

    async def run(
        self, agent: Agent, session: Session, said: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """One turn, as `Agent.run`; the observers among the plugins get each event first."""
        async with aclosing(agent.run(session, said)) as events:
            async for event in events:
                self.host.observe(event)
                yield event

    async def aclose(self) -> None:
        """Close the store and the backend, if they were opened; more calls do nothing."""
        try:
            if self._memory is not None:  # the backend it asks is closed before it
                await self._memory.rest(self.settings.memory.extraction.finish)
        finally:
            await self._stack.aclose()

    def _configured_strategies(self) -> Sequence[tuple[str, BaseModel | None]] | None:
        """Names and own settings; None if the settings do not choose."""
        settings = self.settings
        chosen = settings.strategies if settings.strategy is None else (settings.strategy,)
        return None if chosen is None else [(one.name, one.settings) for one in chosen]


def host_of(names: Names) -> PluginHost:
    """The plugins that the ``plugins`` section lets take part."""
    section = names.plugins
    return PluginHost(
        allow=section.allow, deny=section.deny, prefer=section.prefer, strict=section.strict
    )
