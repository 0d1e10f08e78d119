"""The one message model of the engine, its JSON form, and the codec for OpenAI chat messages.

A `Message` has a role and a tuple of parts. Parts are a closed union of frozen dataclasses; a part
kind this version does not know is kept as `Unknown` and written back unchanged.
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
from massgen_core.messages.openai import from_openai, to_openai

__all__ = [
    "ROLES",
    "Audio",
    "ContentPart",
    "File",
    "Image",
    "JSONValue",
    "Message",
    "Part",
    "Reasoning",
    "Role",
    "Text",
    "ToolCall",
    "ToolResult",
    "ToolSpec",
    "Unknown",
    "assistant",
    "from_openai",
    "message_from_json",
    "message_to_json",
    "system",
    "to_openai",
    "tool",
    "user",
]
