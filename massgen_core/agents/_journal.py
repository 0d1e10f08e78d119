"""What an agent writes into a session's journal besides messages, and how it is read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from massgen_core.events import Operation, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_core.messages import JSONValue


@dataclass(frozen=True, slots=True)
class Source:
    """Who made an entry: sizes that one source saw teach no other.

    Attributes:
        agent: The agent's name.
        model: The model it asks.
        tokenizer: The name of the counter its counts are from.
    """

    agent: str
    model: str
    tokenizer: str

    def signed(self, body: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
        """The body with the source in it."""
        return {
            **body,
            "agent": self.agent,
            "model": self.model,
            "tokenizer": self.tokenizer,
        }

    def made(self, body: Mapping[str, Any]) -> bool:
        """Whether the body is signed by this source."""
        return (body.get("agent"), body.get("model"), body.get("tokenizer")) == (
            self.agent,
            self.model,
            self.tokenizer,
        )


def usage_body(usage: Usage, counted: int, answer: int) -> dict[str, JSONValue]:
    """What a provider reported for a request and its answer, and our counts of both."""
    return {
        "counted": counted,
        "answer": answer,
        "prompt": usage.prompt,
        "completion": usage.completion,
        "cached": usage.cached,
        "reasoning": usage.reasoning,
        "cache_write": usage.cache_write,
        "cost": usage.cost,
    }


def operation_from_json(data: Mapping[str, Any]) -> Operation:
    """The operation that a ``fit`` entry holds."""
    return Operation(**{**data, "message_ids": tuple(data["message_ids"])})
