"""The agent: a model, its tools, and a session that outgrows the model's window."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from massgen_core.agents._conversation import Conversation
from massgen_core.agents._journal import Source
from massgen_core.agents._notice import largest_notice
from massgen_core.agents._recall import NAME as RECALL
from massgen_core.agents._recall import SPEC
from massgen_core.agents._tools import tool_table
from massgen_core.agents._turn import Budget, Turn
from massgen_core.context import ContextEngine
from massgen_core.errors import InvalidArgument, InvalidRequest
from massgen_core.messages import system
from massgen_core.tokens import Calibration, ModelCatalogue, counter_for

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from massgen_core.agents._tools import Function, Tool
    from massgen_core.backends import Backend, Caps
    from massgen_core.events import Event
    from massgen_core.messages import Message
    from massgen_core.sessions import Session
    from massgen_core.tokens import ModelInfo


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

    Raises:
        UnknownModel: `info` is omitted and the catalogue does not have the model.
        InvalidArgument: Another argument cannot be used.

    Example:
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
    ) -> None:
        self.backend = backend
        self.model = model
        self.info = info or ModelCatalogue.shipped().get(model)
        self.engine = engine or ContextEngine((), counter_for(self.info))
        self.name = name
        self.max_steps = max_steps
        self._tools = tool_table(tools)
        self._head = (system(instructions),) if instructions else ()
        self._reserve = output_reserve
        self._safety = safety
        self._recall = recall and RECALL not in self._tools
        self._notify = notify
        self._conversations: WeakKeyDictionary[Session, Conversation] = WeakKeyDictionary()
        _check(max_steps, output_reserve, safety)

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
            AgentError: A turn of this agent on this session has not ended.
            TooManySteps: The model called tools in each of `max_steps` answers.
        """
        caps = await self._caps()
        first = session not in self._conversations
        conversation = self._conversation(session)
        with conversation.alone():
            conversation.order.keep_to(caps.rules)
            for opening in (session.quarantined, session.resumed) if first else ():
                if opening is not None:
                    yield opening
            for event in await conversation.begin(input):
                yield event
            async with aclosing(self._turn(conversation, caps).run()) as events:
                async for event in events:
                    yield event

    def _turn(self, conversation: Conversation, caps: Caps) -> Turn:
        return Turn(
            self.backend,
            conversation,
            self.model,
            self._head,
            self._tools,
            self._budget(caps),
            self.max_steps,
        )

    async def _caps(self) -> Caps:
        caps = await self.backend.caps(self.model)
        if self._tools and not caps.tools:
            raise InvalidRequest(
                f"the backend {self.backend.name!r} cannot give {self.model!r} tools, "
                f"the agent {self.name!r} has {', '.join(self._tools)}",
                backend=self.backend.name,
                hint="Make the agent without tools, or choose a model that calls tools.",
            )
        return caps

    def _conversation(self, session: Session) -> Conversation:
        found = self._conversations.get(session)
        if found is None:
            counter = self.engine.counter
            source = Source(self.name, self.model, counter.name)
            calibration = Calibration(self.info.ratio, exact=counter.count_text("").exact)
            found = Conversation(session, self.engine, calibration, source)
            self._conversations[session] = found
        return found

    def _budget(self, caps: Caps) -> Budget:
        window = min(self.info.window, caps.window)
        longest = min(self.info.max_output, caps.max_output)
        count = self.engine.counter.count
        specs = [tool.spec for tool in self._tools.values()]
        return Budget(
            window=window,
            longest_prompt=self.info.max_input,
            reserve=self._reserve or max(1, min(longest, window // 4)),
            safety=self._safety,
            instructions=sum(count(message).tokens for message in self._head),
            tools=count(specs).tokens,
            recall=count([SPEC]).tokens if self._recall and caps.tools else 0,
            notice=count(largest_notice()).tokens if self._notify else 0,
        )


def _check(max_steps: int, output_reserve: int | None, safety: float) -> None:
    if max_steps < 1:
        raise InvalidArgument(f"max_steps is {max_steps!r}, expected at least 1")
    if output_reserve is not None and output_reserve < 1:
        raise InvalidArgument(f"output_reserve is {output_reserve!r}, expected at least 1 token")
    if not 0 <= safety < 1:
        raise InvalidArgument(f"safety is {safety!r}, expected a share of the window below 1")
