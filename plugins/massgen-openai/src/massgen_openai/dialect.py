"""How the API of one provider differs from OpenAI's, as far as messages are concerned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Media: TypeAlias = Literal["image", "audio", "file"]
Turns: TypeAlias = Literal["any", "answered", "strict"]
ReasoningField: TypeAlias = Literal["", "reasoning_content", "reasoning", "reasoning_details"]

EVERYTHING: Final[frozenset[Media]] = frozenset({"image", "audio", "file"})


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a codec has to heed; the defaults are OpenAI's own.

    Attributes:
        name: Whose reasoning is sent back: the registered name of the backend that got it.
        system: The role of system messages on the wire.
        tools: Whether the model takes tools. If not, calls and results are told to it as text.
        media: What a user's message may hold besides text; the rest is named in the text.
        turns: ``answered``: a user's message may not follow a tool's; ``strict``: besides, user and
            assistant alternate after at most one system message.
        nine_ids: Whether call ids have exactly nine letters and digits; else they have at most 40.
        json_arguments: Whether the arguments of a call must be a JSON object.
        reasoning: Field of assistant messages in which the provider wants its reasoning back; empty
            if it does not. Of the chat API only.
        phases: Whether the model wants to know which of its texts were the answer. Of the Responses
            API only.
    """

    name: str = "openai"
    system: Literal["system", "developer"] = "system"
    tools: bool = True
    media: frozenset[Media] = EVERYTHING
    turns: Turns = "any"
    nine_ids: bool = False
    json_arguments: bool = False
    reasoning: ReasoningField = ""
    phases: bool = False


OPENAI: Final = Dialect()
"""OpenAI's API as its reference describes it."""
