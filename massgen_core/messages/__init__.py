"""The one message model of the engine, its JSON form, and the codec for OpenAI chat messages.

A `Message` has a role and a tuple of parts. Parts are a closed union of frozen dataclasses; a part
kind this version does not know is kept as `Unknown` and written back unchanged. `check_order` says
which lists of messages a provider refuses; see `massgen_core.messages.order` for what it assumes.
"""

from massgen_core.messages._json import message_from_json, message_to_json
from massgen_core.messages._model import (
    ROLES,
    Audio,
    ContentPart,
    File,
    Image,
    JSONValue,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Unknown,
    assistant,
    system,
    tool,
    user,
)
from massgen_core.messages._repair import DEAD_CALL, repair_order
from massgen_core.messages._text import with_pairs_joined, without_surrogates
from massgen_core.messages.openai import from_openai, to_openai
from massgen_core.messages.order import OrderChecker, OrderProblem, OrderRule, Rules, check_order

__all__ = [
    "DEAD_CALL",
    "ROLES",
    "Audio",
    "ContentPart",
    "File",
    "Image",
    "JSONValue",
    "Message",
    "OrderChecker",
    "OrderProblem",
    "OrderRule",
    "Part",
    "Reasoning",
    "Role",
    "Rules",
    "Text",
    "ToolCall",
    "ToolResult",
    "ToolSpec",
    "Unknown",
    "assistant",
    "check_order",
    "from_openai",
    "message_from_json",
    "message_to_json",
    "repair_order",
    "system",
    "to_openai",
    "tool",
    "user",
    "with_pairs_joined",
    "without_surrogates",
]
