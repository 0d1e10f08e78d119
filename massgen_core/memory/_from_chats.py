"""Conversations that ChatGPT and Claude export: ``conversations.json``, in a zip archive or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_core.errors import InvalidArgument
from massgen_core.memory._foreign import TOOL_TRUST, TRUST, field, malformed, moment, without
from massgen_core.memory._foreign import parsed as parsed_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from massgen_core.memory._foreign import Maker, Piece
    from massgen_core.memory._sources import Source


def conversations_in(source: Source) -> list[str]:
    """The files of conversations; large exports have several."""
    return [
        name
        for name in source.names
        if name.rpartition("/")[2].startswith("conversations") and name.endswith(".json")
    ]


def chatgpt(source: Source, maker: Maker) -> Iterator[Piece]:
    """What was said in ChatGPT: of each tree of messages the branch that was gone on from.

    Raises:
        InvalidImport: Something is malformed; it names the place.
    """
    for name, place, talk in _talks(source):
        try:
            yield from _tree(talk, maker)
        except InvalidArgument as exc:
            raise malformed(source, name, place, exc.message) from exc


def claude(source: Source, maker: Maker) -> Iterator[Piece]:
    """What was said in Claude; of attachments the names.

    Raises:
        InvalidImport: Something is malformed; it names the place.
    """
    for name, place, talk in _talks(source):
        try:
            yield from _list(talk, maker)
        except InvalidArgument as exc:
            raise malformed(source, name, place, exc.message) from exc


def talks_of(value: object) -> object:
    """The conversations in a file: the list itself, or what a wrapper holds."""
    return value.get("conversations") if isinstance(value, dict) else value


def _talks(source: Source) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each conversation with its file and place."""
    for name in conversations_in(source) or source.names[:1]:
        talks = talks_of(parsed_json(source.text(name), source, name))
        if not isinstance(talks, list):
            raise malformed(source, name, "", "it is no list of conversations")
        for number, talk in enumerate(talks):
            if not isinstance(talk, dict):
                raise malformed(source, name, f"[{number}]", "it is no conversation")
            yield name, f"[{number}]", talk


def _tree(talk: Mapping[str, Any], maker: Maker) -> Iterator[Piece]:
    key = talk.get("conversation_id") or field(talk, "id", str)
    mapping = field(talk, "mapping", dict)
    branch = _branch(talk, mapping)
    for node in mapping.keys() - set(branch):
        if isinstance(mapping[node], dict) and mapping[node].get("message"):
            maker.skip("another branch")
    about = {"conversation": key, "title": talk.get("title") or ""}
    for turn, node in enumerate(branch):
        message = mapping[node].get("message")
        if message is None:
            continue
        if not isinstance(message, dict):
            raise InvalidArgument(f"message {node!r} is {message!r:.40}")
        author = field(message, "author", dict)
        role = field(author, "role", str)
        text = _said(message)
        if role == "system":
            maker.skip("system message")
            continue
        piece = maker.piece(
            (key, message.get("id") or node),
            text,
            {**about, "message": node, **_facts(message)},
            {"session": key},
            speaker=author.get("name") or role,
            turn_no=turn,
            event_time=moment(message.get("create_time") or talk.get("create_time")),
            trust=TRUST.get(role, TOOL_TRUST),
        )
        if piece is not None:
            yield piece


def _branch(talk: Mapping[str, Any], mapping: Mapping[str, Any]) -> list[str]:
    """The nodes from the root to the one that is current; the newest leaf if none is named."""
    node = talk.get("current_node")
    if node is None:
        leaves = [key for key, one in mapping.items() if _is_leaf(one)]
        node = leaves[-1] if leaves else None
    path: list[str] = []
    seen: set[str] = set()
    while node is not None:
        if not isinstance(node, str) or not isinstance(mapping.get(node), dict):
            raise InvalidArgument(f"node {node!r:.40} is not in the mapping")
        if node in seen:
            raise InvalidArgument(f"node {node!r:.40} is its own ancestor")
        seen.add(node)
        path.append(node)
        node = mapping[node].get("parent")
    return path[::-1]


def _is_leaf(node: object) -> bool:
    return isinstance(node, dict) and not node.get("children")


def _said(message: Mapping[str, Any]) -> str:
    """The text of a message: its parts that are text, or what code and its results hold."""
    content = field(message, "content", dict)
    parts = content.get("parts")
    if isinstance(parts, list):
        return "\n".join(part if isinstance(part, str) else _named(part) for part in parts).strip()
    text = content.get("text") or content.get("result") or ""
    return text if isinstance(text, str) else ""


def _named(part: object) -> str:
    """The text in a part that is more than text, such as a transcribed recording."""
    text = part.get("text") if isinstance(part, dict) else None
    return text if isinstance(text, str) else ""


def _facts(message: Mapping[str, Any]) -> dict[str, Any]:
    metadata = message.get("metadata")
    model = metadata.get("model_slug") if isinstance(metadata, dict) else None
    kind = message["content"].get("content_type")
    return without({"model": model, "content_type": kind, "status": message.get("status")})


def _list(talk: Mapping[str, Any], maker: Maker) -> Iterator[Piece]:
    key = field(talk, "uuid", str)
    about = {"conversation": key, "title": talk.get("name") or ""}
    for turn, message in enumerate(field(talk, "chat_messages", list)):
        if not isinstance(message, dict):
            raise InvalidArgument(f"message {turn} is {message!r:.40}")
        role = {"human": "user"}.get(sender := field(message, "sender", str), sender)
        files = [*_files(message.get("attachments")), *_files(message.get("files"))]
        piece = maker.piece(
            (key, message.get("uuid") or turn),
            _spoken(message),
            {**about, "message": message.get("uuid"), **without({"files": files})},
            {"session": key},
            speaker=role,
            turn_no=turn,
            event_time=moment(message.get("created_at") or talk.get("created_at")),
            trust=TRUST.get(role, TOOL_TRUST),
        )
        if piece is not None:
            yield piece


def _spoken(message: Mapping[str, Any]) -> str:
    """What its blocks of text say; older exports have no blocks."""
    blocks = message.get("content")
    texts = [
        block["text"]
        for block in (blocks if isinstance(blocks, list) else ())
        if isinstance(block, dict)
        and block.get("type") == "text"
        and isinstance(block.get("text"), str)
    ]
    if texts:
        return "\n".join(texts).strip()
    text = message.get("text")
    return text.strip() if isinstance(text, str) else ""


def _files(files: object) -> Sequence[dict[str, Any]]:
    if not isinstance(files, list):
        return []
    return [without(one, "extracted_content") for one in files if isinstance(one, dict)]
