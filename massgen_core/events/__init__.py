"""What the engine tells while it works: a closed union of frozen dataclasses.

Observers (the ``massgen_observe`` hook), the CLI and `Agent.run` all receive these. Match on the
type:

    match event:
        case TextDelta(text): ...
        case ContextFitted(): ...
"""

from __future__ import annotations

from typing import TypeAlias

from massgen_core.events._agent import (
    AgentEvent,
    FallbackUsed,
    MessageAppended,
    ToolFinished,
    ToolStarted,
    TurnFinished,
)
from massgen_core.events._backend import (
    BackendEvent,
    CircuitOpened,
    Finished,
    FinishReason,
    Notice,
    ReasoningBlock,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
    Usage,
    Waiting,
)
from massgen_core.events._context import (
    BackgroundMissed,
    ContextEvent,
    ContextFitted,
    ContextMeasured,
    FitEvent,
    HistoryRepaired,
    Operation,
    OverflowReported,
    PlanRejected,
    StrategiesSuspended,
    StrategyFailed,
)
from massgen_core.events._memory import (
    JournalQuarantined,
    MemoryDegraded,
    MemoryEvent,
    MemoryRecalled,
    SessionResumed,
)
from massgen_core.events._plugin import PluginEvent, PluginFailed

__all__ = [
    "AgentEvent",
    "BackendEvent",
    "BackgroundMissed",
    "CircuitOpened",
    "ContextEvent",
    "ContextFitted",
    "ContextMeasured",
    "Event",
    "FallbackUsed",
    "FinishReason",
    "Finished",
    "FitEvent",
    "HistoryRepaired",
    "JournalQuarantined",
    "MemoryDegraded",
    "MemoryEvent",
    "MemoryRecalled",
    "MessageAppended",
    "Notice",
    "Operation",
    "OverflowReported",
    "PlanRejected",
    "PluginEvent",
    "PluginFailed",
    "ReasoningBlock",
    "ReasoningDelta",
    "SessionResumed",
    "StrategiesSuspended",
    "StrategyFailed",
    "TextDelta",
    "ToolCalled",
    "ToolFinished",
    "ToolStarted",
    "TurnFinished",
    "Usage",
    "Waiting",
]

Event: TypeAlias = ContextEvent | MemoryEvent | BackendEvent | AgentEvent | PluginEvent
