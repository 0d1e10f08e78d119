"""What leaves: a view in an order the provider takes, checked before anything is paid for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from massgen_core.context import View
from massgen_core.errors import MalformedHistory
from massgen_core.messages import Message, OrderChecker, check_order, repair_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from massgen_core.agents._notice import Notice
    from massgen_core.messages import OrderProblem, Rules
    from massgen_core.tokens import TokenCounter

_STRICTEST: Final[tuple[Rules, ...]] = ("anthropic", "openai")
"""Together they refuse whatever one provider refuses."""
_SEALS: Final = re.compile(r"thinking|reasoning|signature", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The messages of a request.

    Attributes:
        messages: In an order the provider takes.
        more: Counted tokens they have beyond the view's, if something was put right.
        news: What was put right for the first time, a line each.
    """

    messages: tuple[Message, ...]
    more: int = 0
    news: tuple[str, ...] = ()


class Order:
    """Makes the requests of a conversation; one that only grew costs what is new, and a copy.

    Args:
        rules: Whose rules the backend's provider has.
        counter: Counts what was put right.

    Attributes:
        distrusted: What a provider said that refused an order these rules take; empty if none did.
    """

    def __init__(self, rules: Rules, counter: TokenCounter) -> None:
        self.rules: Rules = rules
        self.distrusted = ""
        self.told: set[str] = set()
        self._counter = counter
        self._notices: tuple[Notice, ...] = ()
        self.changed()

    def keep_to(self, rules: Rules) -> None:
        """The rules from now on."""
        if rules != self.rules:
            self.rules = rules
            self.changed()

    def changed(self) -> None:
        """What was checked has to be checked again."""
        self._checker: OrderChecker | None = None
        self._view = View()
        self._settled: list[Message] = []  # of all groups of that view but the last
        self._found: list[OrderProblem] = []

    def outgoing(
        self,
        head: Sequence[Message],
        view: View,
        tail: Sequence[Message] = (),
        notices: tuple[Notice, ...] = (),
    ) -> Outgoing:
        """The messages of the next request.

        Args:
            head: What precedes the view.
            view: What was said, as it fits.
            tail: What follows the view.
            notices: What is put between its groups, in order of their places.

        Raises:
            MalformedHistory: They cannot be put right.
        """
        if notices != self._notices:
            self._notices = notices
            self.changed()
        newest = self._said(view, len(view) - 1) if len(view) else ()
        problems = self._problems(head, view, (*newest, *tail))
        messages = (*head, *self._settled, *newest, *tail)
        if not problems and not self.distrusted:
            return Outgoing(messages)
        repaired = self._repaired(messages)
        if left := check_order(repaired, self.rules):
            raise MalformedHistory(f"the request cannot be put in order: {left[0]}")
        lines = [self._line(messages, problem) for problem in problems]
        if self.distrusted and repaired != messages:
            lines.append(f"the provider refused the order: {self.distrusted}")
        news = tuple(line for line in dict.fromkeys(lines) if line not in self.told)
        return Outgoing(repaired, self._more(messages, repaired), news)

    def _problems(
        self, head: Sequence[Message], view: View, end: Sequence[Message]
    ) -> list[OrderProblem]:
        if self._checker is None or not view.extends(self._view):
            self.changed()
            self._checker = OrderChecker(self.rules)
            self._found += self._checker.feed(head)
        for index in range(max(0, len(self._view) - 1), len(view) - 1):
            messages = self._said(view, index)
            self._found += self._checker.feed(messages)
            self._settled += messages
        self._view = view
        fork = self._checker.fork()
        return [*self._found, *fork.feed(end), *fork.end()]

    def _said(self, view: View, index: int) -> Sequence[Message]:
        """What one group says, after the notices that stand before it."""
        messages = view[index].messages
        before = [notice.message for notice in self._notices if notice.place == index]
        return (*before, *messages) if before else messages

    def _repaired(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        if not self.distrusted:
            return repair_order(messages, self.rules)
        reasoning = _SEALS.search(self.distrusted) is None
        for rules in _STRICTEST:
            messages = repair_order(messages, rules, reasoning=reasoning)
        return messages

    def _line(self, messages: Sequence[Message], problem: OrderProblem) -> str:
        if not messages:
            return problem.text
        return f"message {messages[problem.index].id}: {problem.text}"

    def _more(self, before: Iterable[Message], after: Iterable[Message]) -> int:
        old = {id(message): message for message in before}
        new = {id(message): message for message in after}
        added = sum(self._counter.count(new[key]).tokens for key in new.keys() - old.keys())
        return added - sum(self._counter.count(old[key]).tokens for key in old.keys() - new.keys())
