"""A model that an agent can ask: where it runs, how it counts, and its side of each session."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from massgen_core.agents._conversation import Conversation
from massgen_core.agents._journal import Source
from massgen_core.agents._notice import largest_notice
from massgen_core.agents._recall import SPEC
from massgen_core.agents._turn import Budget, Speaker
from massgen_core.errors import InvalidRequest
from massgen_core.tokens import Calibration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from massgen_core.agents._tools import Tool
    from massgen_core.backends import Backend, Caps
    from massgen_core.context import ContextEngine
    from massgen_core.messages import Message
    from massgen_core.sessions import Session
    from massgen_core.tokens import ModelInfo


class Needs(NamedTuple):
    """What an agent wants of any model it asks.

    Attributes:
        name: The agent's name.
        head: What precedes the view in every request.
        tools: By name.
        reserve: Tokens kept free for the answer; None leaves it to the model's sizes.
        safety: Share of the window kept free besides.
        recall: Whether to offer what left.
        notify: Whether to say, with that offer, how many messages left.
    """

    name: str
    head: Sequence[Message]
    tools: Mapping[str, Tool]
    reserve: int | None
    safety: float
    recall: bool
    notify: bool


class Seat:
    """One model, and its conversations.

    Args:
        backend: Where the model runs.
        model: Its name there.
        info: What is known of it.
        engine: Fits views, by its tokenizer.
        needs: What the agent wants of it.
    """

    def __init__(
        self, backend: Backend, model: str, info: ModelInfo, engine: ContextEngine, needs: Needs
    ) -> None:
        self.backend = backend
        self.model = model
        self.info = info
        self.engine = engine
        self._needs = needs
        self._source = Source(needs.name, model, engine.counter.name)
        self._conversations: WeakKeyDictionary[Session, Conversation] = WeakKeyDictionary()

    def knows(self, session: Session) -> bool:
        """Whether the session was used here since it was opened."""
        return session in self._conversations

    async def conversation(self, session: Session) -> Conversation:
        """This model's side of the session, with all that is in the journal by now.

        Raises:
            JournalCorrupt: What others appended is damaged.
        """
        found = self._conversations.get(session)
        if found is None or found.torn:
            if found is None:
                session.at_close(lambda: self._leave(session))
            else:
                await found.aclose()
            exact = self.engine.counter.count_text("").exact
            calibration = Calibration(self.info.ratio, exact=exact)
            found = Conversation(session, self.engine, calibration, self._source)
            self._conversations[session] = found
        await found.catch_up()
        return found

    async def speaker(self, session: Session) -> Speaker:
        """The model, ready to answer in the session.

        Raises:
            InvalidRequest: The agent has tools and the model cannot be given any.
            MassgenError: The backend does not serve the model, or cannot start.
        """
        caps = await self._caps()
        conversation = await self.conversation(session)
        conversation.order.keep_to(caps.rules)
        return Speaker(self.backend, self.model, conversation, self._budget(caps))

    async def _caps(self) -> Caps:
        caps = await self.backend.caps(self.model)
        if self._needs.tools and not caps.tools:
            backend = f"the backend {self.backend.name!r}"
            named = self.model != self.backend.name
            raise InvalidRequest(
                f"{f'the model {self.model!r} of ' if named else ''}{backend} takes no tools, "
                f"the agent {self._needs.name!r} has {', '.join(self._needs.tools)}",
                backend=self.backend.name,
                hint="Make the agent without tools, or choose a model that calls tools.",
            )
        return caps

    async def aclose(self) -> None:
        """Stops what is made in the background; the seat can be used further."""
        for conversation in list(self._conversations.values()):
            await conversation.aclose()

    async def _leave(self, session: Session) -> None:
        conversation = self._conversations.pop(session, None)
        if conversation is not None:
            await conversation.aclose()

    def _budget(self, caps: Caps) -> Budget:
        needs = self._needs
        window = min(self.info.window, caps.window)
        longest = min(self.info.max_output, caps.max_output)
        count = self.engine.counter.count
        specs = [tool.spec for tool in needs.tools.values()]
        return Budget(
            window=window,
            longest_prompt=self.info.max_input,
            reserve=needs.reserve or max(1, min(longest, window // 4)),
            safety=needs.safety,
            instructions=sum(count(message).tokens for message in needs.head),
            tools=count(specs).tokens,
            recall=count([SPEC]).tokens if needs.recall and caps.tools else 0,
            notice=count(largest_notice()).tokens if needs.notify else 0,
        )
