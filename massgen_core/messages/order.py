"""Whether a provider will take a list of messages in this order, told before it is sent.

What is checked is what would be on the wire. The rules assume a codec that

- puts system messages where they stand (OpenAI), or takes them out (Anthropic's ``system``,
  Gemini's ``systemInstruction``), so that they are between no two messages;
- joins neighbours of one side into one turn (Anthropic and Gemini), results before text: roles need
  not alternate. Results are not joined over another message, so they must follow their call;
- writes each result of a tool message as a block of that turn (Anthropic, Gemini); an OpenAI tool
  message holds one result;
- leaves out blank text beside other parts (Anthropic, Gemini) and reasoning (OpenAI): a message of
  which nothing is left is *empty*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from massgen_core.messages._model import Message, Reasoning, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Rules: TypeAlias = Literal["openai", "anthropic", "gemini"]
OrderRule: TypeAlias = Literal[
    "duplicate-call",
    "duplicate-result",
    "empty",
    "first-role",
    "last-role",
    "late-result",
    "misplaced-part",
    "missing-result",
    "nothing-said",
    "orphan-result",
    "reasoning-first",
    "several-results",
]


@dataclass(frozen=True, slots=True)
class OrderProblem:
    """One thing a provider refuses.

    Attributes:
        index: The message it is about, from 0; 0 too if there are no messages.
        rule: The broken rule: a stable name.
        text: What is wrong, in words for a person.
    """

    index: int
    rule: OrderRule
    text: str

    def __str__(self) -> str:
        return f"message {self.index}: {self.text}"


@dataclass(frozen=True, slots=True)
class Requirements:
    """How providers differ; what all of them refuse is not in it.

    Attributes:
        system_apart: System messages do not stand among the others.
        user_first: The first message that is not a system message is a user's.
        user_last: The last one is a user's or a tool's; no prefilled answer.
        blank_is_nothing: Blank text does not count as content.
        unique_calls: A call id may not come twice in a request, not only in a message.
        one_result: A tool message holds one result.
        reasoning_first: A message with reasoning begins with it.
    """

    system_apart: bool = False
    user_first: bool = False
    user_last: bool = False
    blank_is_nothing: bool = False
    unique_calls: bool = False
    one_result: bool = False
    reasoning_first: bool = False


# Refused by all, in their own words:
#   missing-result   OpenAI: "An assistant message with 'tool_calls' must be followed by tool
#                    messages responding to each 'tool_call_id'"; Anthropic: "`tool_use` ids were
#                    found without `tool_result` blocks immediately after"; Gemini: "the number of
#                    function response parts is equal to the number of function call parts"
#   orphan-, late-   OpenAI: "messages with role 'tool' must be a response to a preceeding message
#   result           with 'tool_calls'"; Anthropic: "unexpected `tool_use_id` found in `tool_result`
#                    blocks"; Gemini: "function response turn comes immediately after a function
#                    call turn"
#   duplicate-result Anthropic: "each tool_use must have a single result. Found multiple
#                    `tool_result` blocks with id"; Gemini: the count above
#   nothing-said     OpenAI: "[] is too short - 'messages'"; Anthropic: "messages: at least one
#                    message is required"; Gemini: "contents is not specified"
#   empty            OpenAI: "Invalid value for 'content': expected a string, got null"; Anthropic:
#                    "all messages must have non-empty content", "text content blocks must be
#                    non-empty", "... must contain non-whitespace text"; Gemini: "must include at
#                    least one parts field", "Model input cannot be empty"
REQUIREMENTS: Final[Mapping[Rules, Requirements]] = {
    # platform.openai.com/docs/api-reference/chat/create: a tool message has one tool_call_id.
    "openai": Requirements(one_result=True),
    # docs.claude.com/en/api/messages: turns of one role are combined, `system` is a parameter.
    #   user_first       "messages: first message must use the \"user\" role"
    #   user_last        "This model does not support assistant message prefill. The conversation
    #                    must end with a user message" (Claude 4.6 and later)
    #   unique_calls     "messages.43.content.2: `tool_use` ids must be unique"
    #   reasoning_first  "Expected `thinking` or `redacted_thinking`, but found `tool_use`. When
    #                    `thinking` is enabled, a final `assistant` message must start with a
    #                    thinking block"
    "anthropic": Requirements(
        system_apart=True,
        user_first=True,
        user_last=True,
        blank_is_nothing=True,
        unique_calls=True,
        reasoning_first=True,
    ),
    # ai.google.dev/gemini-api/docs/function-calling; calls are matched by place, not by id.
    #   user_first       "function call turn comes immediately after a user turn or after a function
    #                    response turn"; SDKs: "First content should be with role 'user'"
    #   user_last        "Requests ending with a model turn are not supported"
    "gemini": Requirements(
        system_apart=True, user_first=True, user_last=True, blank_is_nothing=True
    ),
}


def check_order(messages: Sequence[Message], rules: Rules) -> tuple[OrderProblem, ...]:
    """What the provider would refuse, in order; empty if it takes the messages. Pure, O(n).

    Args:
        messages: All of a request, oldest first.
        rules: Whose rules.

    Examples:
        >>> from massgen_core.messages import ToolCall, assistant, user
        >>> from massgen_core.messages.order import check_order
        >>> call = assistant("", ToolCall("c1", "look"))
        >>> [problem.rule for problem in check_order([user("Hi"), call, user("Well?")], "openai")]
        ['missing-result']
    """
    checker = OrderChecker(rules)
    problems = checker.feed(messages)
    return (*problems, *checker.end())


class OrderChecker:
    """Checks messages as they come: a request that grew by one message costs one message.

    Args:
        rules: Whose rules.
    """

    __slots__ = ("_answered", "_known", "_last", "_needs", "_older", "_open", "_said", "rules")

    def __init__(self, rules: Rules) -> None:
        self.rules: Rules = rules
        self._needs = REQUIREMENTS[rules]
        self._said = 0  # messages so far
        self._last = ""  # role of the last message that counts
        self._open: dict[str, int] = {}  # calls without result, and the message they are in
        self._answered: set[str] = set()  # calls of the same message that have one
        self._known: set[str] = set()  # ids of all calls so far
        self._older: set[str] = set()  # the same, of the checker this one went on from

    def feed(self, messages: Iterable[Message]) -> list[OrderProblem]:
        """What is wrong with the next messages, whatever comes after them."""
        out: list[OrderProblem] = []
        for message in messages:
            self._content(message, out)
            match message.role:
                case "tool":
                    self._results(message, out)
                case "assistant":
                    self._missing(out)
                    self._assistant(message, out)
                case "user":
                    self._missing(out)
                    self._last = "user"
                case "system" if not self._needs.system_apart:
                    self._missing(out)
                    self._last = "system"
            self._said += 1
        return out

    def end(self) -> list[OrderProblem]:
        """What is wrong with sending what came so far; more may be fed afterwards."""
        out: list[OrderProblem] = []
        self._unanswered(out)
        if not self._last:
            out.append(OrderProblem(0, "nothing-said", "there is no message but the system's"))
        elif self._last == "assistant" and self._needs.user_last and not self._open:
            text = "it is the assistant's, a request must end with the user's or a tool's"
            out.append(OrderProblem(self._said - 1, "last-role", text))
        return out

    def fork(self) -> OrderChecker:
        """A checker that goes on from here and leaves this one as it is; O(open calls).

        This one may not be fed while the fork is in use.
        """
        fork = OrderChecker(self.rules)
        fork._said, fork._last = self._said, self._last
        fork._open, fork._answered = self._open.copy(), self._answered.copy()
        fork._older = self._known if not self._older else self._known | self._older
        return fork

    def _content(self, message: Message, out: list[OrderProblem]) -> None:
        """Whether something is said, by parts that may stand there."""
        role, said = message.role, False
        blank_is_nothing = self._needs.blank_is_nothing
        for part in message.parts:
            if isinstance(part, Text):
                said = said or not blank_is_nothing or bool(part.text.strip())
                wrong = role == "tool"
            elif isinstance(part, ToolCall):
                said, wrong = True, role != "assistant"
            elif isinstance(part, ToolResult):
                said, wrong = True, role != "tool"
            elif isinstance(part, Reasoning):
                said, wrong = said or self._needs.reasoning_first, role != "assistant"
            else:
                said, wrong = True, role == "tool"
            if wrong:
                text = f"a {part.kind} part has no place in a message of role {role!r}"
                out.append(OrderProblem(self._said, "misplaced-part", text))
        if not said:
            text = f"nothing is said in this message of role {role!r}"
            out.append(OrderProblem(self._said, "empty", text))

    def _missing(self, out: list[OrderProblem]) -> None:
        """Another message than a result ends the time in which results may come."""
        if self._open:
            self._unanswered(out)
            self._open = {}
        if self._answered:
            self._answered = set()

    def _unanswered(self, out: list[OrderProblem]) -> None:
        for call_id, index in self._open.items():
            text = f"the call {call_id!r} has no result right after it"
            out.append(OrderProblem(index, "missing-result", text))

    def _assistant(self, message: Message, out: list[OrderProblem]) -> None:
        needs, here = self._needs, self._said
        if needs.user_first and self._last in ("", "system"):
            text = "it is the assistant's, the first one must be the user's"
            out.append(OrderProblem(here, "first-role", text))
        self._last = "assistant"
        if needs.reasoning_first and _reasoning_is_late(message):
            text = "its reasoning comes after something else"
            out.append(OrderProblem(here, "reasoning-first", text))
        for call in message.calls:
            again = call.id in self._open
            if not again and needs.unique_calls:
                again = call.id in self._known or call.id in self._older
            if again:
                text = f"the call id {call.id!r} was used before"
                out.append(OrderProblem(here, "duplicate-call", text))
            self._open[call.id] = here
            self._known.add(call.id)

    def _results(self, message: Message, out: list[OrderProblem]) -> None:
        self._last = "tool"
        results = message.results
        if len(results) > 1 and self._needs.one_result:
            text = f"it holds {len(results)} results, a tool message holds one"
            out.append(OrderProblem(self._said, "several-results", text))
        for result in results:
            key = result.call_id
            if self._open.pop(key, None) is not None:
                self._answered.add(key)
            else:
                out.append(self._unasked(key))

    def _unasked(self, key: str) -> OrderProblem:
        if key in self._answered:
            text = f"the call {key!r} has a result already"
            return OrderProblem(self._said, "duplicate-result", text)
        if key in self._known or key in self._older:
            text = f"the result of {key!r} does not come right after its call"
            return OrderProblem(self._said, "late-result", text)
        return OrderProblem(self._said, "orphan-result", f"no message before it calls {key!r}")


def _reasoning_is_late(message: Message) -> bool:
    first = next((part for part in message.parts if not _blank(part)), None)
    return not isinstance(first, Reasoning) and any(
        isinstance(part, Reasoning) for part in message.parts
    )


def _blank(part: object) -> bool:
    return isinstance(part, Text) and not part.text.strip()
