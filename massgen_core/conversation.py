"""Fitting plain OpenAI chat messages: no disk, no event loop, no settings.

`fit` fits one list of messages; `Conversation` keeps one while it grows and fits it turn by turn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from massgen_core._quick import quick
from massgen_core.chain import strategy_chain
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.context import ContextEngine, ContextWindow, FitReport, invalid_budget
from massgen_core.errors import InvalidMessages
from massgen_core.messages import from_openai, to_openai
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.tokens import Calibration, ModelCatalogue, ModelInfo, counter_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_core.context import TruncationStrategy
    from massgen_core.messages import Message

ChatMessage: TypeAlias = dict[str, Any]
"""An OpenAI chat message: role, content, tool_calls, tool_call_id."""


@quick
@dataclass(frozen=True, slots=True)
class Fitted:
    """Messages that fit.

    Attributes:
        messages: OpenAI chat messages; those that were not changed are the very objects passed in.
        report: What was done. Its tokens are the engine's upper estimate.
    """

    messages: list[ChatMessage]
    report: FitReport


def fit(
    messages: Iterable[Mapping[str, Any]],
    *,
    budget: int,
    model: str | ModelInfo = "gpt-4o",
    strategies: Sequence[str | TruncationStrategy] | None = None,
    clip_system: bool = True,
) -> Fitted:
    """The messages, made to fit `budget` tokens; unchanged if they do already.

    Args:
        messages: OpenAI chat messages, oldest first.
        budget: Tokens they may have.
        model: Whose tokenizer counts.
        strategies: Registered names or strategies, asked in order; the recommended ones that are
            installed if omitted. With an empty list only the built-in floor is left.
        clip_system: Whether a system prompt that leaves no room for the question is cut, with a
            mark and a warning in the report; if not, that is a `ContextOverflowError`.

    Raises:
        InvalidArgument: `budget` is not a positive whole number.
        InvalidMessages: A message has no known role, a field of the wrong type, or is a tool result
            without its call.
        ContextOverflowError: Whatever may be cut, it does not fit `budget`.
        UnknownModel: The model is in no catalogue.
        PluginError: A strategy is not installed, or broken.

    Examples:
        >>> story = [{"role": "user", "content": "word " * 50} for _ in range(100)]
        >>> fit(story, budget=1000).report.tokens_after <= 1000
        True
    """
    conversation = Conversation(
        model=model, budget=budget, strategies=strategies, target=1.0, clip_system=clip_system
    )
    conversation.extend(messages)
    return conversation.fit()


class Conversation:
    """A conversation that is fitted before each request.

    Appending is O(1). While it fits, `fit` returns all of it; when it does not, it is fitted down
    to `target`, and the beginning of the request then stays the same for many turns, so that the
    provider's prompt cache keeps hitting.

    Args:
        model: Whose tokenizer counts.
        budget: Tokens a request may have.
        strategies: Registered names or strategies, asked in order; the recommended ones that are
            installed if omitted.
        target: Share of the budget that a fit aims for, 0 < target <= 1.
        clip_system: Whether a system prompt that leaves no room is cut; see `fit`.

    Raises:
        InvalidArgument: `budget` or `target` is out of range.
        UnknownModel: The model is in no catalogue.
        PluginError: A strategy is not installed, or broken.

    Examples:
        >>> chat = Conversation(model="gpt-4o", budget=8000)
        >>> chat.append({"role": "user", "content": "Hello"})
        >>> chat.fit().messages
        [{'role': 'user', 'content': 'Hello'}]
    """

    def __init__(
        self,
        *,
        model: str | ModelInfo = "gpt-4o",
        budget: int,
        strategies: Sequence[str | TruncationStrategy] | None = None,
        target: float = 0.6,
        clip_system: bool = True,
    ) -> None:
        if type(budget) is not int or budget <= 0:
            raise invalid_budget(budget)
        info = model if isinstance(model, ModelInfo) else _models().get(model)
        counter = counter_for(info)
        self._calibration = Calibration(info.ratio, exact=False)
        exact = counter.count_text("").exact
        self._limit = budget if exact else max(1, self._calibration.budget(budget))
        self._budget = budget
        engine = ContextEngine(_chain(strategies), counter, target=target, clip_system=clip_system)
        self._window = ContextWindow(engine)
        self._originals: dict[int, ChatMessage] = {}  # by id() of messages the history holds
        self._messages: list[ChatMessage] = []
        self._stale = False

    def append(self, message: Mapping[str, Any]) -> None:
        """Adds one OpenAI chat message. It is kept as it is: do not change it afterwards.

        Raises:
            InvalidMessages: Its role is unknown, a field has the wrong type, or it is a tool result
                without its call.
        """
        index = len(self._originals)
        parsed = from_openai(message, index=index, message_id=f"m{index}")
        last = self._window.view.last
        try:
            self._window.append(parsed)
        except InvalidMessages as exc:
            exc.index = index
            exc.args = (f"message {index}: {exc.message}",)
            raise
        original = message if isinstance(message, dict) else dict(message)
        self._originals[id(parsed)] = original
        self._messages.append(original)
        if parsed.role == "tool":  # a late one takes its place further up
            self._stale |= last is None or message["tool_call_id"] not in last.open
        elif last is not None and last.open:  # stand-ins for missing results were put in
            self._stale = True

    def extend(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """Adds several; see `append`."""
        if isinstance(messages, (str, bytes, dict)):
            raise InvalidMessages(
                f"messages is {type(messages).__name__}, expected a list of OpenAI chat messages"
            )
        for message in messages:
            self.append(message)

    def fit(self) -> Fitted:
        """The messages of the next request; see `massgen_core.fit`.

        Raises:
            ContextOverflowError: Whatever may be cut, it does not fit the budget.
        """
        report = self._window.fit(self._limit)
        if self._stale or report.operations:
            original = self._originals.get
            self._messages = [
                original(id(message)) or to_openai(message)
                for message in self._window.view.messages
            ]
            self._stale = False
        if self._limit != self._budget:
            report = self._in_budget_units(report)
        return Fitted(self._messages.copy(), report)

    def restore(self, handle: str) -> list[ChatMessage]:
        """The untouched messages behind a handle that a report or a marker names.

        Raises:
            HandleNotFound: Nothing has this handle.
        """
        return [self._wire(message) for message in self._window.restore(handle)]

    def _wire(self, message: Message) -> ChatMessage:
        original = self._originals.get(id(message))
        return to_openai(message) if original is None else original

    def _in_budget_units(self, report: FitReport) -> FitReport:
        upper = self._calibration.upper
        return replace(
            report,
            limit=self._budget,
            tokens_before=upper(report.tokens_before),
            tokens_after=upper(report.tokens_after),
            cache_cost=upper(report.cache_cost) if report.operations else 0,
        )


@lru_cache(maxsize=1)
def _models() -> ModelCatalogue:
    return ModelCatalogue.shipped()


@lru_cache(maxsize=1)
def _host() -> PluginHost:
    return PluginHost()


def _chain(
    strategies: Sequence[str | TruncationStrategy] | None,
) -> tuple[TruncationStrategy, ...]:
    ready = [one for one in strategies or () if not isinstance(one, str)]
    if strategies is not None and len(ready) == len(strategies):
        return tuple(ready)  # no plugin is touched for these
    ctx = PluginContext(clock=SYSTEM_CLOCK, data_dir=None, models=_models())
    return strategy_chain(_host(), ctx, strategies)
