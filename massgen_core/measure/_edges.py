"""Histories that break trimmers: huge items in any place, many calls, a call that waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from massgen_core.errors import ContextOverflowError
from massgen_core.measure._subject import said, unpaired
from massgen_core.measure._transcripts import Transcript
from massgen_core.messages import ToolCall, assistant, system, tool, user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_core.measure._subject import Fitter
    from massgen_core.messages import Message

BUDGET: Final = 8_000
_HUGE: Final = "x7 " * 30_000
_PROMPT: Final = "You are helpful."


@dataclass(frozen=True, slots=True)
class Edge:
    """What became of one history.

    Attributes:
        case: What is special about it.
        survived: Whether a fitted context came out, within the budget, with calls and results in
            pairs and the beginning of the newest user message; or the typed error, where a system
            prompt alone is larger than the budget.
        tokens: The size of the fitted context; 0 after an error.
        budget: Tokens it may have.
        messages: How many messages it has.
        over: Whether it is over the budget by a recount.
        unpaired: Calls without result and results without call.
        question: Whether the beginning of the newest user message is in it.
        error: The error, if there was one.
    """

    case: str
    survived: bool
    tokens: int
    budget: int
    messages: int
    over: bool
    unpaired: int
    question: bool
    error: str = ""


def edges(fitter: Fitter, budget: int = BUDGET) -> tuple[Edge, ...]:
    """What becomes of each history when it is made to fit."""
    return tuple(_tried(fitter, case, messages, budget) for case, messages in _cases())


def _tried(fitter: Fitter, case: str, messages: list[Message], budget: int) -> Edge:
    counts = tuple(fitter.tokens((message,)) for message in messages)
    try:
        view = fitter.fitted(Transcript(case, tuple(messages), counts), len(messages), budget)
    except ContextOverflowError as exc:
        unavoidable = fitter.tokens(m for m in messages if m.role == "system") > budget
        name = type(exc).__name__
        return Edge(
            case, unavoidable, 0, budget, 0, over=False, unpaired=0, question=False, error=name
        )
    tokens, alone = fitter.tokens(view), unpaired(view)
    newest = next(said(message) for message in reversed(messages) if message.role == "user")
    question = any(newest[:60] in said(message) for message in view)
    survived = tokens <= budget and not alone and question
    return Edge(case, survived, tokens, budget, len(view), tokens > budget, alone, question)


def _cases() -> Iterator[tuple[str, list[Message]]]:
    """The six cases of the comparison with peers."""
    head = system(_PROMPT)
    yield (
        "one huge newest user message",
        [head, user("first task"), assistant("ok"), user("NOW DO THIS: " + _HUGE)],
    )
    yield (
        "one huge newest tool result",
        [head, user("read the file and tell me the total please now"), *_step(1, _HUGE)],
    )
    yield (
        "a system prompt larger than the budget",
        [
            system(_HUGE),
            user("what is the plan for today?"),
            assistant("hi"),
            user("again, please"),
        ],
    )
    yield (
        "one user turn with 200 tool calls",
        [head, user("fix all failing tests in this repository please"), *_steps(200)],
    )
    yield "one answer with 30 parallel calls", [head, user("read all thirty files"), *_parallel(30)]
    yield (
        "a call that waits for its result",
        [*_talk(50), user("next, please search the logs for timeouts"), _call(999)],
    )


def _call(number: int) -> Message:
    return assistant("", ToolCall(f"c{number}", "read", f'{{"path": "f{number}.py"}}'))


def _step(number: int, result: str) -> list[Message]:
    return [_call(number), tool(f"c{number}", result)]


def _steps(count: int) -> list[Message]:
    return [m for number in range(count) for m in _step(number, "line of output " * 60)]


def _parallel(count: int) -> list[Message]:
    calls = [ToolCall(f"p{number}", "read", "{}") for number in range(count)]
    results = [tool(f"p{number}", "data " * 400) for number in range(count)]
    return [assistant("", *calls), *results]


def _talk(turns: int) -> list[Message]:
    out = [system(_PROMPT)]
    for number in range(turns):
        out.append(user(f"Task {number}: look at the payment gateway " + "and its retries " * 30))
        out.extend(_step(number, "retry policy of region eu-1 " * 60))
        out.append(assistant("The budget of errors is spent. " * 20))
    return out
