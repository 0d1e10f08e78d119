"""Reasoning between ``<think>`` and ``</think>`` at the beginning of an answer's text.

Servers without a reasoning parser (vLLM, SGLang, LM Studio) leave it there. Tags later in the text
are text.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["reasoning", "text"]

_OPEN: Final = "<think>"
_CLOSE: Final = "</think>"


class ThinkTags:
    """Splits a text that arrives in pieces, wherever these are cut."""

    def __init__(self) -> None:
        self._held = ""
        self._state: Literal["before", "inside", "after", "text"] = "before"

    def feed(self, piece: str) -> list[tuple[Kind, str]]:
        """What the piece adds, in order; a beginning that may become a tag is held back."""
        if self._state == "text":
            return [("text", piece)]
        self._held += piece
        out: list[tuple[Kind, str]] = []
        if self._state == "before":
            self._enter()
        if self._state == "inside":
            out += self._inside()
        if self._state == "after" and (rest := self._held.lstrip()):
            self._held, self._state = rest, "text"
        if self._state == "text" and self._held:
            out.append(("text", self._held))
            self._held = ""
        return out

    def end(self) -> list[tuple[Kind, str]]:
        """What was held back."""
        held, self._held = self._held, ""
        if not held or self._state == "after":
            return []
        return [("reasoning" if self._state == "inside" else "text", held)]

    def _enter(self) -> None:
        begun = self._held.lstrip()
        if begun.startswith(_OPEN):
            self._held, self._state = begun.removeprefix(_OPEN), "inside"
        elif not _OPEN.startswith(begun):
            self._state = "text"

    def _inside(self) -> list[tuple[Kind, str]]:
        said, closed, rest = self._held.partition(_CLOSE)
        if closed:
            self._held, self._state = rest, "after"
        else:
            cut = len(said) - _overlap(said)
            said, self._held = said[:cut], said[cut:]
        return [("reasoning", said)] if said else []


def _overlap(text: str) -> int:
    """Characters at the end that may be the beginning of the closing tag."""
    return next((n for n in range(len(_CLOSE) - 1, 0, -1) if text.endswith(_CLOSE[:n])), 0)
