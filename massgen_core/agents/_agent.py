"""The agent: a model, its tools, and a session that outgrows the model's window."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from massgen_core.agents._recall import NAME as RECALL
from massgen_core.agents._seat import Needs, Seat
from massgen_core.agents._tools import tool_table
from massgen_core.agents._turn import Turn
from massgen_core.context import ContextEngine
from massgen_core.errors import ContextOverflowError, InvalidArgument
from massgen_core.events import TurnFinished
from massgen_core.messages import system
from massgen_core.tokens import ModelCatalogue, counter_for

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from massgen_core.agents._conversation import Conversation
    from massgen_core.agents._longterm import LongTerm
    from massgen_core.agents._tools import Function, Tool
    from massgen_core.agents._turn import Speaker
    from massgen_core.backends import Backend
    from massgen_core.events import Event
    from massgen_core.messages import Message
    from massgen_core.sessions import Session
    from massgen_core.tokens import ModelInfo


class Fallback(NamedTuple):
    """A model that is asked when those before it cannot answer.

    Attributes:
        backend: Where it runs.
        model: Its name there.
        info: What is known of it; looked up in the shipped catalogue if omitted.
    """

    backend: Backend
    model: str
    info: ModelInfo | None = None


class Agent:
    """Answers what a user says, with tools, over any number of turns.

    Every request is fitted into the model's window first, and every step is on disk before it is
    acted on, so that a killed process can go on where it was.

    Args:
        backend: Where the model runs.
        model: Its name as the backend knows it.
        info: What is known of the model; looked up in the shipped catalogue if omitted.
        tools: Functions the model may call; see `Tool.of`.
        instructions: The system message of each request. It is not part of the journal.
        engine: Fits the view; if omitted, one without strategies, which clips and drops by itself.
        name: Signs the agent's messages, and what it learns about sizes.
        max_steps: Model calls in one turn.
        output_reserve: Tokens kept free for the answer, and the longest one asked for; the smaller
            of the model's longest answer and a quarter of the window if omitted.
        safety: Share of the window kept free besides.
        recall: Whether the model may fetch what left its window with a tool. It is told of the tool
            once something left, if the backend takes tools and the window has room for it.
        notify: Whether requests that offer that tool also say how many messages left. The note is
            no part of the journal, and changes only when a fit was made.
        fallbacks: Who is asked, in order, when a request does not fit whatever is cut, is refused
            as too long after all retries, fails for a passing reason (`Transient`), or is more than
            the account allows (`RateLimited`, `QuotaExceeded`). The view is fitted for its window,
            by its tokenizer and rules. It answers for the rest of the turn.
        memory: Where the agent remembers what is said, and is reminded of it in other sessions.

    Raises:
        UnknownModel: `info` is omitted and the catalogue does not have the model.
        InvalidArgument: Another argument cannot be used.

    Examples:
        >>> import asyncio, tempfile
        >>> from massgen_core.events import TurnFinished
        >>> from massgen_core.sessions import SessionStore
        >>> from massgen_core.testing import ScriptedBackend
        >>> async def main(folder: str) -> None:
        ...     agent = Agent(ScriptedBackend(["Good morning."]), model="gpt-4o")
        ...     async with SessionStore.open(folder) as store, store.create() as session:
        ...         async for event in agent.run(session, "Hi"):
        ...             if isinstance(event, TurnFinished):
        ...                 print(event.text)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        Good morning.
    """

    def __init__(  # noqa: PLR0913 - each is a decision of its own
        self,
        backend: Backend,
        *,
        model: str,
        info: ModelInfo | None = None,
        tools: Sequence[Function | Tool] = (),
        instructions: str = "",
        engine: ContextEngine | None = None,
        name: str = "agent",
        max_steps: int = 50,
        output_reserve: int | None = None,
        safety: float = 0.02,
        recall: bool = True,
        notify: bool = False,
        fallbacks: Sequence[Fallback | tuple[Backend, str]] = (),
        memory: LongTerm | None = None,
    ) -> None:
        _check(max_steps, output_reserve, safety)
        self.backend = backend
        self.model = model
        self.info = info or ModelCatalogue.shipped().get(model)
        self.engine = engine or ContextEngine((), counter_for(self.info))
        self.name = name
        self.max_steps = max_steps
        self._tools = tool_table(tools)
        self._head = (system(instructions),) if instructions else ()
        needs = Needs(
            name,
            self._head,
            self._tools,
            output_reserve,
            safety,
            recall and RECALL not in self._tools,
            notify,
        )
        self._memory = memory
        self._seat = Seat(backend, model, self.info, self.engine, needs)
        self._fallbacks = self._others([Fallback(*one) for one in fallbacks], needs)

    async def run(
        self,
        session: Session,
        input: str | Message | None = None,  # noqa: A002 - the contract's name for it
    ) -> AsyncGenerator[Event, None]:
        """One turn, as it happens; the last event is `TurnFinished`.

        If the turn is ended early (by cancelling the task, closing the generator, or an error of
        the backend), the text that had come is kept: it becomes part of the conversation if the
        user says something next, and is asked for again if `input` is None.

        Args:
            session: Where it is written. While the agent uses it nobody else may append to it.
            input: What the user says; None goes on after a crash, a cancellation or an error.

        Raises:
            InvalidArgument: `input` is None and the session is empty.
            InvalidRequest: The agent has tools and the model cannot be given any.
            ContextOverflowError: What must be sent does not fit the window, whatever is cut.
            BackendError: The provider failed; a `ContextOverflow` only after three smaller retries.
                Of several models that failed the first one's error, with a note on each other.
            AgentError: A turn of this agent on this session has not ended.
            TooManySteps: The model called tools in each of `max_steps` answers.
        """
        openings = () if self._seat.knows(session) else _openings(session)
        speaker = await self._seat.speaker(session)
        conversation = speaker.conversation
        with conversation.alone():
            for opening in openings:
                yield opening
            for event in await conversation.begin(input):
                yield event
            told = await self._take_in(conversation)
            for event in told:
                yield event
            if self._memory is not None:
                for event in await self._memory.remind(conversation, _room(speaker)):
                    yield event
            others = [partial(seat.speaker, session) for seat in self._fallbacks]
            turn = Turn(speaker, others, self._head, self._tools, self.max_steps)
            async with aclosing(turn.run()) as events:
                async for event in events:
                    if isinstance(event, TurnFinished):
                        for taken in await self._take_in(turn.conversation, learn=True):
                            if taken not in told:
                                yield taken
                    yield event

    async def _take_in(self, conversation: Conversation, *, learn: bool = False) -> Sequence[Event]:
        """Remembers what was said since the last time, an earlier process's turns among it.

        Once before the model is asked: a kill during the answer must not lose what the user said.
        """
        if self._memory is None:
            return ()
        taken = await self._memory.take_in(conversation)
        if learn:
            self._memory.learn()
        return taken

    async def aclose(self) -> None:
        """Stop what is made in the background; the backends stay open, and so does the agent.

        Closing a session does the same for that session.
        """
        for seat in (self._seat, *self._fallbacks):
            await seat.aclose()

    def _others(self, fallbacks: Sequence[Fallback], needs: Needs) -> list[Seat]:
        seats: list[Seat] = []
        asked = [(self.backend, self.model)]
        for backend, model, info in fallbacks:
            if any(backend is one and model == name for one, name in asked):
                raise InvalidArgument(
                    f"the fallback {model!r} of {backend.name!r} is asked before already",
                    hint="A fallback is another model, or another backend.",
                )
            asked.append((backend, model))
            known = info or ModelCatalogue.shipped().get(model)
            engine = self.engine.with_counter(counter_for(known))
            seats.append(Seat(backend, model, known, engine, needs))
        return seats


def _openings(session: Session) -> tuple[Event, ...]:
    """What happened when the session was opened."""
    both = (session.quarantined, session.resumed)
    return tuple(event for event in both if event is not None)


def _room(speaker: Speaker) -> int:
    """Counted tokens that messages may have without a reminder; 0 if there is no room."""
    speaker.conversation.remind(None)
    try:
        return speaker.budget.room(speaker.conversation)
    except ContextOverflowError:
        return 0


def _check(max_steps: int, output_reserve: int | None, safety: float) -> None:
    if max_steps < 1:
        raise InvalidArgument(f"max_steps is {max_steps!r}, expected at least 1")
    if output_reserve is not None and output_reserve < 1:
        raise InvalidArgument(f"output_reserve is {output_reserve!r}, expected at least 1 token")
    if not 0 <= safety < 1:
        raise InvalidArgument(f"safety is {safety!r}, expected a share of the window below 1")
