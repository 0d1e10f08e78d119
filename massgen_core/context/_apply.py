"""Carrying out single operations: a group in, what stands for it out."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from massgen_core.context._clip import clip_arguments, clip_text
from massgen_core.context._groups import Group, handle_of
from massgen_core.messages import Audio, File, Image, Message, Part, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from massgen_core.messages import ContentPart
    from massgen_core.tokens import TokenCounter

SUMMARY: Final = "summary"
"""Key in `Message.meta` of a text that stands for others."""
_TAG: Final = re.compile(r"<(?=\s*/?\s*summary)", re.IGNORECASE)


def is_summary(group: Group) -> bool:
    """Whether the group is a text that stands for others."""
    return SUMMARY in group.messages[0].meta


def clip_group(group: Group, limit: int, counter: TokenCounter, *, binaries: bool = False) -> Group:
    """The group with each text cut to `limit` tokens; the group itself if nothing was too long.

    Args:
        group: What to cut.
        limit: Tokens each text, result and argument may have.
        counter: The tokenizer in force.
        binaries: Whether pictures, sounds and files become stubs.
    """

    def clip(message: Message, part: Part) -> Part:
        handle = handle_of((message.id,))
        if isinstance(part, Text):
            return _clip_content(part, limit, counter, handle)
        if isinstance(part, ToolCall):
            return _clip_call(part, limit, counter, handle)
        if isinstance(part, ToolResult):
            return _clip_result(part, limit, counter, handle, binaries=binaries)
        if binaries and isinstance(part, (Image, Audio, File)):
            return _stub(part, handle)
        return part

    return _rewrite(group, clip, counter, 0 if binaries and _holds_media(group) else limit)


def mask_group(group: Group, counter: TokenCounter) -> Group:
    """The group with a stub for each tool result; the group itself if it has none worth it."""

    def mask(message: Message, part: Part) -> Part:
        if not isinstance(part, ToolResult):
            return part
        size = counter.count(part).tokens
        text = f"[result left out: {size} tokens; whole text: {handle_of((message.id,))}]"
        masked = replace(part, content=(Text(text),))
        return masked if counter.count(masked).tokens < size else part

    return _rewrite(group, mask, counter, 0)


def quoted(text: str) -> str:
    """The text of a summary with its tags disarmed, so that nothing in it can end the summary."""
    return _TAG.sub("&lt;", text)


def summary_group(groups: Sequence[Group], text: str, counter: TokenCounter) -> Group:
    """One user message with `text` as quoted data, in the place of the first of `groups`."""
    messages = [message for group in groups for message in group.messages]
    handle = handle_of([message.id for message in messages])
    body = f"<summary of={len(messages)} handle={handle}>\n{quoted(text)}\n</summary>"
    message = Message(
        "user",
        (Text(body),),
        f"{messages[0].id}/summary",
        messages[-1].created_at,
        {SUMMARY: handle},
    )
    tokens = counter.count(message).tokens
    return Group(groups[0].number, (message,), (tokens,), tokens, changed=True)


def _rewrite(
    group: Group, change: Callable[[Message, Part], Part], counter: TokenCounter, least: int
) -> Group:
    """The group with its parts changed; messages of up to `least` tokens stay as they are."""
    messages, counts = [], []
    for message, count in zip(group.messages, group.counts, strict=True):
        kept, size = message, count
        if count > least:
            parts = tuple([change(message, part) for part in message.parts])
            if not _same(parts, message.parts):
                changed = replace(message, parts=parts)
                size = counter.count(changed).tokens
                kept = changed if size < count else message  # a marker can be longer than the text
        messages.append(kept)
        counts.append(min(size, count))
    if _same(messages, group.messages):
        return group
    return group.with_messages(tuple(messages), tuple(counts))


def _holds_media(group: Group) -> bool:
    """Whether there is a picture, a sound or a file in it."""
    contents = [
        parts
        for message in group.messages
        for parts in (message.parts, *(result.content for result in message.results))
    ]
    return any(isinstance(part, (Image, Audio, File)) for parts in contents for part in parts)


def _same(new: Sequence[object], old: Sequence[object]) -> bool:
    return all(a is b for a, b in zip(new, old, strict=True))


def _clip_content(part: Text, limit: int, counter: TokenCounter, handle: str) -> Text:
    clipped = clip_text(part.text, limit, _text_counter(counter), handle)
    if clipped is part.text:
        return part
    return Text(f"[{handle}]" if clipped is None else clipped)


def _clip_call(call: ToolCall, limit: int, counter: TokenCounter, handle: str) -> ToolCall:
    clipped = clip_arguments(call.arguments, limit, _text_counter(counter), handle)
    if clipped is call.arguments:
        return call
    return replace(call, arguments="{}" if clipped is None else clipped)


def _clip_result(
    result: ToolResult, limit: int, counter: TokenCounter, handle: str, *, binaries: bool
) -> ToolResult:
    content: list[ContentPart] = []
    for part in result.content:
        if isinstance(part, Text):
            content.append(_clip_content(part, limit, counter, handle))
        elif binaries and isinstance(part, (Image, Audio, File)):
            content.append(_stub(part, handle))
        else:
            content.append(part)
    return result if _same(content, result.content) else replace(result, content=tuple(content))


def _stub(part: Image | Audio | File, handle: str) -> Text:
    size = f", {len(part.data)} bytes" if part.data else ""
    return Text(
        f"[{part.kind} left out: {part.media_type or 'unknown type'}{size}; whole: {handle}]"
    )


def _text_counter(counter: TokenCounter) -> Callable[[str], int]:
    return lambda text: counter.count_text(text).tokens
