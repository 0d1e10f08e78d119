"""What is said of each event, in lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from massgen_core.events import (
    BackgroundMissed,
    CircuitOpened,
    ContextFitted,
    ContextMeasured,
    FallbackUsed,
    Finished,
    HistoryRepaired,
    JournalQuarantined,
    MemoryDegraded,
    MemoryRecalled,
    MessageAppended,
    OverflowReported,
    PlanRejected,
    PluginFailed,
    ReasoningBlock,
    ReasoningDelta,
    SessionResumed,
    StrategiesSuspended,
    StrategyFailed,
    TextDelta,
    ToolCalled,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    Usage,
    Waiting,
)

if TYPE_CHECKING:
    from massgen_core.events import (
        AgentEvent,
        BackendEvent,
        ContextEvent,
        Event,
        FitEvent,
        MemoryEvent,
        Notice,
        Operation,
    )

HANDLE: Final = "HANDLE"
_SHORT: Final = 72
_CENT: Final = 0.01
_WHOLE: Final = 10
"""Seconds from which on fractions do not matter."""
_CAUSES: Final = {
    "rate_limit": "rate limited",
    "fault": "a request failed",
    "limit": "a limit of the settings is reached",
}
_OVERFLOWS: Final = {
    "refused": "the provider refused the request as too long{}; sending less",
    "cut": "the window filled while the answer was written{}; going on with less",
    "over": "the request was longer than the window{}; the next one is smaller",
}


def lines(event: Event, *, restore: str = HANDLE, verbose: bool = False) -> list[str]:
    """The lines that tell of an event; most events of a stream are not worth one.

    Args:
        event: What happened.
        restore: The command that gives back what left, with `HANDLE` in it.
        verbose: Whether to tell of everything but the text itself.
    """
    match event:
        case (
            ContextFitted()
            | ContextMeasured()
            | PlanRejected()
            | StrategyFailed()
            | StrategiesSuspended()
            | BackgroundMissed()
            | OverflowReported()
            | HistoryRepaired()
        ):
            return _context(event, restore)
        case SessionResumed() | JournalQuarantined() | MemoryRecalled() | MemoryDegraded():
            return [_memory(event)]
        case PluginFailed():
            return [f"plugin {event.name} of {event.dist} failed: {event.error}"]
        case ToolStarted() | ToolFinished() | MessageAppended() | FallbackUsed() | TurnFinished():
            return _agent(event, verbose=verbose)
        case Waiting() | CircuitOpened():
            return [_notice(event)]
        case (
            TextDelta() | ReasoningDelta() | ReasoningBlock() | ToolCalled() | Usage() | Finished()
        ):
            return _backend(event) if verbose else []
        case _:
            assert_never(event)


def operation_line(operation: Operation, restore: str = HANDLE) -> str:
    """What one operation of a fit did, and how to get back what left."""
    number = len(operation.message_ids)
    command = restore.replace(HANDLE, operation.handle)
    size = f"{operation.tokens_before:,} → {operation.tokens_after:,} tokens"
    return (
        f"  {operation.kind} {number:,} {'message' if number == 1 else 'messages'}, {size} "
        f"({operation.strategy}: {operation.reason}); restore: {command}"
    )


def cache_words(tokens: int) -> str:
    """What a fit costs the provider's prompt cache."""
    return f"; {tokens:,} of them not in the prompt cache" if tokens else ""


def gauge(measured: ContextMeasured) -> str:
    """What the window is used for, on one line; a part that takes nothing is left out."""
    parts = {
        "system": measured.system,
        "tools": measured.tools,
        "memory": measured.memory,
        "summary": measured.summary,
        "messages": measured.messages,
    }
    used = " + ".join(f"{name} {tokens:,}" for name, tokens in parts.items() if tokens)
    line = f"context: about {measured.used:,} tokens used ({used or 'nothing'})"
    if not measured.window:
        return line
    return (
        f"{line}, {measured.free:,} free, {measured.reserve:,} kept for the answer; "
        f"window {measured.window:,}"
    )


def dollars(millionths: int) -> str:
    """An amount of money, to at least two digits that are not zero."""
    amount = millionths / 1_000_000
    digits = 2 if not millionths or amount >= 1 else 4 if amount >= _CENT else 6
    return f"${amount:,.{digits}f}"


def short(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 4 * _SHORT].split())
    return line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"


def _context(event: ContextEvent, restore: str) -> list[str]:
    match event:
        case ContextFitted():
            head = (
                f"fitted the context: {event.tokens_before:,} → {event.tokens_after:,} tokens "
                f"of {event.limit:,}{cache_words(event.cache_cost)}"
            )
            return [head, *[operation_line(one, restore) for one in event.operations]]
        case ContextMeasured():
            return [gauge(event)]
        case PlanRejected() | StrategyFailed() | StrategiesSuspended() | BackgroundMissed():
            return [_fit(event)]
        case OverflowReported():
            sizes = [f"{event.used:,} tokens"] if event.used is not None else []
            sizes += [f"window {event.limit:,}"] if event.limit is not None else []
            known = f" ({', '.join(sizes)})" if sizes else ""
            return [_OVERFLOWS[event.cause].format(known)]
        case HistoryRepaired():
            return [f"put the messages in order: {problem}" for problem in event.problems]
        case _:
            assert_never(event)


def _fit(event: FitEvent) -> str:
    match event:
        case PlanRejected():
            broken = f"it breaks invariant {event.invariant}: {event.reason}"
            return f"rejected a plan of {event.strategy}: {broken}"
        case StrategyFailed():
            return f"strategy {event.strategy} failed: {event.error}"
        case StrategiesSuspended():
            names = ", ".join(event.strategies)
            return f"left out of the next {event.fits} fits: {names}, which {event.reason}"
        case BackgroundMissed():
            return f"a text of {event.strategy} is not used: {event.reason}"
        case _:
            assert_never(event)


def _memory(event: MemoryEvent) -> str:
    match event:
        case SessionResumed():
            number = len(event.closed_calls)
            closed = f"; closed {number} tool calls that a crash left open" if number else ""
            return f"resumed session {event.session_id} with {event.entries:,} entries{closed}"
        case JournalQuarantined():
            return (
                f"session {event.session_id}: {event.entries:,} damaged entries from number "
                f"{event.seq} on were set aside: {event.reason}"
            )
        case MemoryRecalled():
            number = len(event.records)
            memories = "memory" if number == 1 else "memories"
            return f"reminded of {number:,} {memories}, {event.tokens:,} tokens"
        case MemoryDegraded():
            return f"memory: {event.name}: {event.reason}"
        case _:
            assert_never(event)


def _agent(event: AgentEvent, *, verbose: bool) -> list[str]:
    match event:
        case ToolStarted():
            return [f"tool {event.call.name} {short(event.call.arguments)}"]
        case ToolFinished():
            outcome = "failed" if event.is_error else "answered"
            return [f"tool {event.call.name} {outcome}: {short(event.text)}"]
        case MessageAppended():
            size = f"{event.tokens:,} tokens"
            return [f"entry {event.seq}: {event.message.role}, {size}"] if verbose else []
        case FallbackUsed():
            return [f"asking {event.model} of {event.backend} instead: {event.error}"]
        case TurnFinished():
            calls = "model call" if event.steps == 1 else "model calls"
            cost = "" if event.usage.cost is None else f", {dollars(event.usage.cost)}"
            return [f"finished after {event.steps} {calls}{cost}"] if verbose else []
        case _:
            assert_never(event)


def _notice(event: Notice) -> str:
    match event:
        case Waiting():
            again = f", then attempt {event.attempt + 1}" if event.attempt else ""
            why = f"{event.backend}: {_CAUSES[event.cause]}, waiting {_seconds(event.seconds)}"
            return f"{why}{again}: {short(event.reason)}"
        case CircuitOpened():
            return (
                f"{event.backend}: failed {event.failures} times in a row; "
                f"not asked for {_seconds(event.seconds)}"
            )
        case _:
            assert_never(event)


def _seconds(number: float) -> str:
    return f"{number:.0f} s" if number >= _WHOLE else f"{number:.1f} s"


def _backend(event: BackendEvent) -> list[str]:
    match event:
        case ToolCalled():
            return [f"the model calls {event.call.name} {short(event.call.arguments)}"]
        case Usage():
            cost = "" if event.cost is None else f", {dollars(event.cost)}"
            return [f"used {event.prompt:,} prompt and {event.completion:,} answer tokens{cost}"]
        case Finished():
            return [f"the answer ended: {event.reason}"]
        case TextDelta() | ReasoningDelta() | ReasoningBlock() | Waiting() | CircuitOpened():
            return []
        case _:
            assert_never(event)
