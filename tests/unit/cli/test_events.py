"""Lines for people: every event of the union has its words, or none on purpose."""

from __future__ import annotations

from typing import get_args

import pytest

from massgen_core import events
from massgen_core.cli._events import lines
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
    Operation,
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
from massgen_core.messages import Reasoning, ToolCall, user

DROP = Operation("drop", "sliding_window", "oldest first", ("a", "b"), 1200, 0, "h1")
CALL = ToolCall("c", "dig", '{"deep":\n true}')
TOLD = {
    ContextFitted(9000, 5000, 8000, (DROP,)): [
        "fitted the context: 9,000 → 5,000 tokens of 8,000",
        "  drop 2 messages, 1,200 → 0 tokens (sliding_window: oldest first); restore: give h1",
    ],
    ContextFitted(9000, 5000, 8000, (), 4800): [
        "fitted the context: 9,000 → 5,000 tokens of 8,000; 4,800 of them not in the prompt cache",
    ],
    ContextMeasured(8192, 40, 210, 0, 0, 1984, 3700, 2048): [
        (
            "context: about 2,234 tokens used (system 40 + tools 210 + messages 1,984), "
            "3,700 free, 2,048 kept for the answer; window 8,192"
        )
    ],
    ContextMeasured(0, 0, 0, 30, 500, 0, 0, 0): [
        "context: about 530 tokens used (memory 30 + summary 500)"
    ],
    PlanRejected("greedy", 5, "drops the task"): [
        "rejected a plan of greedy: it breaks invariant 5: drops the task"
    ],
    StrategyFailed("greedy", "ValueError: no"): ["strategy greedy failed: ValueError: no"],
    StrategiesSuspended(("greedy", "digest"), 8, "made no room"): [
        "left out of the next 8 fits: greedy, digest, which made no room"
    ],
    BackgroundMissed("summarizer", "it was late"): [
        "a text of summarizer is not used: it was late"
    ],
    Waiting("openai", 12.4, "rate_limit", 1, "slow down"): [
        "openai: rate limited, waiting 12 s, then attempt 2: slow down"
    ],
    Waiting("openai", 0.42, "fault", 2, "502 Bad Gateway"): [
        "openai: a request failed, waiting 0.4 s, then attempt 3: 502 Bad Gateway"
    ],
    Waiting("openai", 59, "limit", 0, "60 requests a minute"): [
        "openai: a limit of the settings is reached, waiting 59 s: 60 requests a minute"
    ],
    CircuitOpened("openai", 10, 30): ["openai: failed 10 times in a row; not asked for 30 s"],
    FallbackUsed("openai", "gpt-4o", "Transient: down"): [
        "asking gpt-4o of openai instead: Transient: down"
    ],
    OverflowReported(8192, 9000, 1): [
        "the provider refused the request as too long (9,000 tokens, window 8,192); sending less"
    ],
    OverflowReported(None, 512, 1, "cut"): [
        "the window filled while the answer was written (512 tokens); going on with less"
    ],
    OverflowReported(8192, 9000, 1, "over"): [
        (
            "the request was longer than the window (9,000 tokens, window 8,192); "
            "the next one is smaller"
        )
    ],
    HistoryRepaired(("message m1: x", "message m2: y")): [
        "put the messages in order: message m1: x",
        "put the messages in order: message m2: y",
    ],
    OverflowReported(None, None, 2): ["the provider refused the request as too long; sending less"],
    SessionResumed("s", 1200): ["resumed session s with 1,200 entries"],
    SessionResumed("s", 3, ("c",)): [
        "resumed session s with 3 entries; closed 1 tool calls that a crash left open"
    ],
    JournalQuarantined("s", 7, 2, "torn"): [
        "session s: 2 damaged entries from number 7 on were set aside: torn"
    ],
    MemoryRecalled(("r1", "r2"), 80): ["reminded of 2 memories, 80 tokens"],
    MemoryDegraded("chroma", "rebuilt: asked for"): ["memory: chroma: rebuilt: asked for"],
    ToolStarted(CALL): ['tool dig {"deep": true}'],
    ToolFinished(CALL, "earth", is_error=False): ["tool dig answered: earth"],
    ToolFinished(CALL, "rock " * 99, is_error=True): [f"tool dig failed: {('rock ' * 99)[:71]}…"],
    PluginFailed("massgen-x", "x", "boom"): ["plugin x of massgen-x failed: boom"],
}
DETAILS = {
    MessageAppended(user("hi"), 3, 1200): ["entry 3: user, 1,200 tokens"],
    TurnFinished("done", 2, Usage(1, 1)): ["finished after 2 model calls"],
    TurnFinished("done", 1, Usage(1, 1, cost=1_234_567)): ["finished after 1 model call, $1.23"],
    ToolCalled(CALL): ['the model calls dig {"deep": true}'],
    Usage(1200, 5): ["used 1,200 prompt and 5 answer tokens"],
    Usage(1200, 5, cost=3050): ["used 1,200 prompt and 5 answer tokens, $0.003050"],
    Finished("stop"): ["the answer ended: stop"],
    TextDelta("x"): [],
    ReasoningDelta("x"): [],
    ReasoningBlock(Reasoning("x")): [],
}


@pytest.mark.parametrize(("event", "told"), TOLD.items(), ids=lambda value: type(value).__name__)
def test_what_everybody_is_told(event, told):
    assert told == lines(event, restore="give HANDLE")
    assert told == lines(event, restore="give HANDLE", verbose=True)


@pytest.mark.parametrize(("event", "told"), DETAILS.items(), ids=lambda value: type(value).__name__)
def test_what_only_the_curious_are_told(event, told):
    assert [] == lines(event)
    assert told == lines(event, verbose=True)


def test_no_event_is_forgotten():
    assert set(get_args(events.Event)) == {type(event) for event in (*TOLD, *DETAILS)}
