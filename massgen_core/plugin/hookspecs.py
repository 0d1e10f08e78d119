"""The hooks a plugin can implement, each with a complete example.

A hook takes no arguments, is called once per `PluginHost`, and only declares: it returns `Provides`
records with import strings. The module that holds the hooks must import nothing heavy, because it
is imported whenever plugins are listed; what the records name is imported when it is first used.

The module may say which plugin API it was written for (``MASSGEN_PLUGIN_API = 1``); without, 1 is
meant. A plugin for another API is reported as incompatible and left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.plugin._markers import hookspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_core.events import Event
    from massgen_core.plugin._provides import Provides


@hookspec
def massgen_backend() -> Provides | Sequence[Provides]:  # type: ignore[empty-body]  # a spec
    '''Model providers; the factory returns a `massgen_core.backends.Backend`.

    Examples:
        >>> from massgen_core.plugin import Provides, hookimpl
        >>> @hookimpl
        ... def massgen_backend():
        ...     return Provides(name="echo", factory="massgen_echo.backend:make")
        >>> # massgen_echo/backend.py
        >>> from massgen_core.events import Finished, TextDelta
        >>> from massgen_core.backends import Caps
        >>> from massgen_core.errors import Fatal
        >>> class Echo:
        ...     """Answers with the last thing it was told."""
        ...     name = "echo"
        ...     async def stream(self, request, /):
        ...         yield TextDelta(request.messages[-1].text)
        ...         yield Finished("stop", model=request.model)
        ...     async def caps(self, model, /):
        ...         return Caps(
        ...             window=8192, max_output=1024, tools=False, images=False, reasoning=False
        ...         )
        ...     def classify(self, error, /):
        ...         return Fatal(str(error), backend=self.name)
        ...     async def aclose(self):
        ...         return None
        >>> def make(settings, ctx):
        ...     return Echo()
    '''


@hookspec
def massgen_strategy() -> Provides | Sequence[Provides]:  # type: ignore[empty-body]  # a spec
    '''Truncation strategies; the factory returns a `massgen_core.context.TruncationStrategy`.

    Examples:
        >>> from massgen_core.plugin import Provides, hookimpl
        >>> @hookimpl
        ... def massgen_strategy():
        ...     return Provides(
        ...         name="never",
        ...         factory="massgen_never.strategy:Never",
        ...         settings="massgen_never.settings:Settings",
        ...         summary="Leaves all decisions to the strategies after it.",
        ...     )
        >>> # massgen_never/settings.py
        >>> from pydantic import BaseModel, Field
        >>> class Settings(BaseModel):
        ...     """Settings of `never`."""
        ...     verbose: bool = Field(default=False, description="Say so each time.")
        >>> # massgen_never/strategy.py
        >>> class Never:
        ...     """Plans nothing."""
        ...     name = "never"
        ...     def __init__(self, settings, ctx):
        ...         self.verbose = settings.verbose
        ...     def plan(self, view, goal, ctx):
        ...         return None
    '''


@hookspec
def massgen_memory_store() -> Provides | Sequence[Provides]:  # type: ignore[empty-body]  # a spec
    '''Indexes over long-term memory; the factory returns a `massgen_core.memory.MemoryStore`.

    Examples:
        >>> from massgen_core.plugin import Provides, hookimpl
        >>> @hookimpl
        ... def massgen_memory_store():
        ...     return Provides(name="empty", factory="massgen_empty.store:Empty")
        >>> # massgen_empty/store.py
        >>> from massgen_core.memory import Health
        >>> class Empty:
        ...     """Finds nothing; the ledger still has everything."""
        ...     identity = "empty/1"
        ...     def __init__(self, settings, ctx):
        ...         self._seq = 0
        ...     async def apply(self, batch, /):
        ...         self._seq = max([self._seq, *[change.seq for change in batch]])
        ...     async def search(self, query, vector, scope, k):
        ...         return ()
        ...     async def watermark(self):
        ...         return self._seq
        ...     async def health(self):
        ...         return Health(ok=True)
        ...     async def rebuild(self):
        ...         self._seq = 0
        ...     async def close(self):
        ...         return None
    '''


@hookspec
def massgen_embedder() -> Provides | Sequence[Provides]:  # type: ignore[empty-body]  # a spec
    '''Embedding models; the factory returns a `massgen_core.memory.Embedder`.

    Examples:
        >>> from massgen_core.plugin import Provides, hookimpl
        >>> @hookimpl
        ... def massgen_embedder():
        ...     return Provides(name="letters", factory="massgen_letters.embedder:Letters")
        >>> # massgen_letters/embedder.py
        >>> class Letters:
        ...     """Counts letters: enough to tell English from digits."""
        ...     identity = "letters/az/1/26/sum"
        ...     dimensions = 26
        ...     def __init__(self, settings, ctx):
        ...         pass
        ...     async def embed(self, texts, /, *, purpose):
        ...         alphabet = "abcdefghijklmnopqrstuvwxyz"
        ...         return [[float(t.lower().count(x)) for x in alphabet] for t in texts]
        ...     async def close(self):
        ...         return None
    '''


@hookspec
def massgen_reranker() -> Provides | Sequence[Provides]:  # type: ignore[empty-body]  # a spec
    '''Models that judge recalled texts; the factory returns a `massgen_core.memory.Reranker`.

    Examples:
        >>> from massgen_core.plugin import Provides, hookimpl
        >>> @hookimpl
        ... def massgen_reranker():
        ...     return Provides(name="shortest", factory="massgen_shortest.reranker:Shortest")
        >>> # massgen_shortest/reranker.py
        >>> class Shortest:
        ...     """Prefers short texts."""
        ...     def __init__(self, settings, ctx):
        ...         pass
        ...     async def rerank(self, query, texts, /):
        ...         return [1 / (1 + len(text)) for text in texts]
        ...     async def close(self):
        ...         return None
    '''


@hookspec
def massgen_query_expander() -> Provides | Sequence[Provides]:  # type: ignore[empty-body]  # a spec
    '''Other wordings of a query; the factory returns a `massgen_core.memory.QueryExpander`.

    Examples:
        >>> from massgen_core.plugin import Provides, hookimpl
        >>> @hookimpl
        ... def massgen_query_expander():
        ...     return Provides(name="cars", factory="massgen_cars.expander:Cars")
        >>> # massgen_cars/expander.py
        >>> class Cars:
        ...     """Knows that a car is an automobile."""
        ...     def __init__(self, settings, ctx):
        ...         pass
        ...     async def expand(self, query, /):
        ...         return [query.replace("car", "automobile")] if "car" in query else []
        ...     async def close(self):
        ...         return None
    '''


@hookspec
def massgen_token_counter() -> Provides | Sequence[Provides]:  # type: ignore[empty-body]  # a spec
    '''Token counters; the factory returns a `massgen_core.tokens.TokenCounter`.

    Examples:
        >>> from massgen_core.plugin import Provides, hookimpl
        >>> @hookimpl
        ... def massgen_token_counter():
        ...     return Provides(name="utf8_bytes", factory="massgen_bytes.counter:Bytes")
        >>> # massgen_bytes/counter.py
        >>> import json
        >>> from massgen_core.messages import Message, message_to_json
        >>> from massgen_core.tokens import Count
        >>> class Bytes:
        ...     """One token per byte, as byte-level models count."""
        ...     name = "utf8_bytes"
        ...     def __init__(self, settings, ctx):
        ...         pass
        ...     def count(self, item, /):
        ...         plain = message_to_json(item) if isinstance(item, Message) else repr(item)
        ...         return self.count_text(json.dumps(plain))
        ...     def count_text(self, text, /):
        ...         return Count(len(text.encode("utf-8", "surrogatepass")), True)
    '''


@hookspec
def massgen_tools() -> Provides | Sequence[Provides]:  # type: ignore[empty-body]  # a spec
    '''Sources of tools for agents; the factory returns a `massgen_core.agents.ToolProvider`.

    Examples:
        >>> from massgen_core.plugin import Provides, hookimpl
        >>> @hookimpl
        ... def massgen_tools():
        ...     return Provides(name="dice", factory="massgen_dice.provider:Dice")
        >>> # massgen_dice/provider.py
        >>> import random
        >>> from massgen_core.agents import Tool
        >>> def roll(sides: int = 6) -> int:
        ...     """Roll a die."""
        ...     return random.randint(1, sides)
        >>> class Dice:
        ...     """One tool."""
        ...     def __init__(self, settings, ctx):
        ...         pass
        ...     async def tools(self):
        ...         return [Tool.of(roll)]
        ...     async def aclose(self):
        ...         return None
    '''


@hookspec
def massgen_observe(event: Event) -> None:
    """Told of every event, after it happened; what it returns is ignored.

    An observer runs in the middle of the agent's work, so it must be quick and must not block. What
    it raises is logged and reaches neither the run nor another observer; after three failures in a
    row it is no longer called.

    Examples:
        >>> from massgen_core.events import ContextFitted
        >>> from massgen_core.plugin import hookimpl
        >>> saved = []
        >>> @hookimpl
        ... def massgen_observe(event):
        ...     match event:
        ...         case ContextFitted(tokens_before=before, tokens_after=after):
        ...             saved.append(before - after)
        >>> massgen_observe(ContextFitted(9000, 5000, 8000, operations=()))
        >>> saved
        [4000]
    """
