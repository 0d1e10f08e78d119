"""A real agent over thousands of turns: what it did, and what must hold at the end.

The agent's tokenizer lies: it finds half of the tokens. What it believes of the window is wrong as
well, and each phase of a run asks a model it has never asked, so both must be learned again.
Between phases everything is closed, and the session resumed from disk.

An *overflow* is a request the provider refused as too long: `OverflowReported` with the cause
``refused``. A *re-calibration* is an answer that met one: what was known of the model, its window
or the ratio of its tokenizer, was wrong and had to be learned. One overflow must be enough to learn
it: there may be 1.05 of them, or fewer, a re-calibration. And few answers may meet one at all: one
for each model, whose window nobody knows before, and five in a thousand requests.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_core.agents import Agent, Tool
from massgen_core.backends import Backend
from massgen_core.context import ContextEngine, TruncationStrategy
from massgen_core.errors import MassgenError
from massgen_core.events import (
    ContextFitted,
    HistoryRepaired,
    MessageAppended,
    OverflowReported,
    PlanRejected,
    StrategyFailed,
    ToolFinished,
    TurnFinished,
)
from massgen_core.sessions import SessionStore
from massgen_core.tokens import Count, ModelInfo, TokenCounter

if TYPE_CHECKING:
    from massgen_core.events import Event
    from massgen_core.messages import Message
    from massgen_core.sessions import Session

SESSION = "soak"
MOST_OVERFLOWS = 1.05
"""A re-calibration."""
MOST_SURPRISES = 0.005
"""Re-calibrations a request, beside one for each model."""
MOST_PER_MESSAGE = 12_000
"""Bytes of memory a message may cost beside its text, which is held by design."""
MOST_BEND = 1.5
"""Growth in the later half against the first: what is held for each message is all that grows."""
SAMPLES = 20
"""How often memory is looked at."""
ENOUGH_MESSAGES = 3_000
"""In fewer, what is loaded once and kept weighs more than what grows."""


class Liar:
    """A counter that finds only a share of the tokens."""

    def __init__(self, counter: TokenCounter, share: float = 0.5) -> None:
        self._counter = counter
        self._share = share
        self.name = f"{counter.name} times {share}"

    def count(self, item: Any, /) -> Count:
        return self._less(self._counter.count(item))

    def count_text(self, text: str, /) -> Count:
        return self._less(self._counter.count_text(text))

    def _less(self, count: Count) -> Count:
        return Count(int(count.tokens * self._share), count.exact)


@dataclass(slots=True)
class Ran:
    """What happened in a run.

    Attributes:
        turns: Turns that were answered.
        models: How many models were asked, each for the first time.
        requests: Sent to the provider.
        messages: In the journal.
        text_bytes: Of all messages.
        fits: How often the view was made smaller.
        refused: Requests that were too long for the provider.
        learned: Re-calibrations: answers that met such a refusal.
        cut: Answers that the window ended, and that went on.
        over: Answers to requests that were longer than the window.
        repaired: How often the order was put right.
        rejected: Plans of strategies that were not applied.
        tool_calls: Tools that ran.
        errors: What reached the user.
        memory: Resident bytes, and messages in the journal, from time to time.
        faults: What else is wrong: the journal, or a resumed view.
    """

    turns: int = 0
    models: int = 0
    requests: int = 0
    messages: int = 0
    text_bytes: int = 0
    fits: int = 0
    refused: int = 0
    learned: int = 0
    cut: int = 0
    over: int = 0
    repaired: int = 0
    rejected: int = 0
    tool_calls: int = 0
    errors: list[str] = field(default_factory=list)
    memory: list[tuple[int, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def per_message(self) -> float:
        """Bytes that memory grew by for each message since the first tenth."""
        if len(self.memory) < SAMPLES // 2:
            return 0.0
        (before, early), (after, late) = self.early, self.memory[-1]
        return (after - before) / max(1, late - early)

    @property
    def bends(self) -> float:
        """How much faster memory grows in the later half, a message."""
        (one, few), (two, some), (three, all_) = (
            self.early,
            self.memory[len(self.memory) // 2],
            self.memory[-1],
        )
        first, second = (two - one) / (some - few), (three - two) / (all_ - some)
        return second / max(1.0, first)

    @property
    def early(self) -> tuple[int, int]:
        """Bytes and messages after a tenth of the turns."""
        return self.memory[(len(self.memory) - 1) // 10]

    def take(self, event: Event) -> None:
        """Counts an event."""
        match event:
            case MessageAppended(message):
                self.messages += 1
                self.text_bytes += _size(message)
            case ContextFitted():
                self.fits += 1
            case OverflowReported(cause="refused", attempt=attempt):
                self.refused += 1
                self.learned += attempt == 1
            case OverflowReported(cause="cut"):
                self.cut += 1
            case OverflowReported(cause="over"):
                self.over += 1
            case HistoryRepaired():
                self.repaired += 1
            case PlanRejected() | StrategyFailed():
                self.rejected += 1
            case ToolFinished():
                self.tool_calls += 1
            case TurnFinished():
                self.turns += 1

    def problems(self) -> list[str]:
        """What was promised and did not hold."""
        found = [f"an error reached the user: {error}" for error in self.errors] + self.faults
        if self.refused > MOST_OVERFLOWS * self.learned:
            found.append(f"{self.refused} overflows in {self.learned} re-calibrations")
        if self.learned > self.models + MOST_SURPRISES * self.requests:
            found.append(f"{self.learned} re-calibrations in {self.requests} requests")
        text = self.text_bytes / max(1, self.messages)
        if self.messages > ENOUGH_MESSAGES and self.per_message > MOST_PER_MESSAGE + 2 * text:
            found.append(f"memory grows by {self.per_message:.0f} bytes a message of {text:.0f}")
        if self.messages > ENOUGH_MESSAGES and self.bends > MOST_BEND:
            found.append(f"memory grows {self.bends:.1f} times as fast in the later half")
        return found


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run is made of.

    Attributes:
        folder: Where the session is.
        backend: Where the models run.
        model: What is known of the model of a phase, by its number.
        strategies: The chain.
        counter: Counts for the agent.
        ask: What the user says in a turn.
        tools: What the agent may call.
        reserve: Tokens of an answer at most; None for the agent's own choice.
        sample: Turns after which memory is looked at again; 0 for never.
    """

    folder: Path
    backend: Backend
    model: Callable[[int], ModelInfo]
    strategies: Sequence[TruncationStrategy]
    counter: TokenCounter
    ask: Callable[[int], str]
    tools: Sequence[Tool] = ()
    reserve: int | None = None
    sample: int = 0

    def agent(self, phase: int) -> Agent:
        info = self.model(phase)
        engine = ContextEngine(self.strategies, self.counter, target=0.6)
        return Agent(
            self.backend,
            model=info.name,
            info=info,
            tools=self.tools,
            instructions="You help with orders. Be brief.",
            engine=engine,
            output_reserve=self.reserve,
        )


async def run(setting: Setting, phases: Sequence[int], enough: Callable[[], bool]) -> Ran:
    """Runs phases of so many turns each, fewer if it is `enough` before; then checks the disk."""
    ran = Ran()
    shown: list[Message] = []
    async with SessionStore.open(setting.folder) as store, store.create(SESSION):
        pass
    for phase, turns in enumerate(phases):
        if enough():
            break
        ran.models += 1
        agent = setting.agent(phase)
        async with (
            SessionStore.open(setting.folder) as store,
            store.open_session(SESSION) as session,
        ):
            view = (await agent._seat.conversation(session)).window.view.messages
            if phase and view != shown:
                ran.faults.append(f"phase {phase} does not resume the view that was left")
            for _ in range(turns):
                if enough():
                    break
                await _turn(setting, agent, session, ran)
                if setting.sample and ran.turns % setting.sample == 0:
                    gc.collect()
                    ran.memory.append((resident(), ran.messages))
            shown = (await agent._seat.conversation(session)).window.view.messages
        del agent, session, view
    ran.requests = getattr(setting.backend, "requests", 0)
    await _check_disk(setting, ran)
    return ran


async def _turn(setting: Setting, agent: Agent, session: Session, ran: Ran) -> None:
    try:
        async with aclosing(agent.run(session, setting.ask(ran.turns))) as events:
            async for event in events:
                ran.take(event)
    except MassgenError as exc:
        ran.errors.append(f"turn {ran.turns}: {type(exc).__name__}: {exc}")


async def _check_disk(setting: Setting, ran: Ran) -> None:
    """The journal is whole, and everything the user said is in it, in order."""
    async with SessionStore.open(setting.folder) as store:
        report = await store.verify(SESSION)
        ran.faults += map(str, report.problems)
        async with store.open_session(SESSION) as session:
            messages = [entry.message for entry in session.entries if entry.kind == "message"]
    said = [message.text.partition(":")[0] for message in messages if message.role == "user"]
    expected = [setting.ask(number).partition(":")[0] for number in range(ran.turns)]
    if said != expected:
        ran.faults.append("the journal does not hold what the user said")
    if len(messages) != ran.messages:
        ran.faults.append(f"{len(messages)} messages in the journal, {ran.messages} were told")


def resident() -> int:
    """Bytes of memory this process has now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096


def _size(message: Message) -> int:
    texts = [message.text, *(result.text for result in message.results)]
    return sum(len(text.encode()) for text in texts)
