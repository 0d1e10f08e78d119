"""What sessions used and what it cost, from their journals: it outlives every process."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from massgen_core.events import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from massgen_core.sessions import Entry


@dataclass(frozen=True, slots=True)
class Spent:
    """What one agent used of one model in one session.

    Attributes:
        session: The session's id.
        agent: The agent's name.
        model: The model it asked.
        answers: Answers whose usage was reported.
        usage: Their sum; its cost is that of the answers whose cost is known.
        unpriced: Answers whose cost is not known.
    """

    session: str
    agent: str
    model: str
    answers: int = 0
    usage: Usage = field(default_factory=lambda: Usage(0, 0, cost=0))
    unpriced: int = 0


def spent(session: str, entries: Iterable[Entry]) -> tuple[Spent, ...]:
    """What the entries of a session say that was used, by agent and model.

    Answers to questions beside the conversation, such as those for summaries, are not in a journal.
    """
    found: dict[tuple[str, str], Spent] = {}
    for entry in entries:
        if entry.kind != "usage":
            continue
        body: Mapping[str, Any] = entry.body
        if body.get("refused"):
            continue
        key = (str(body.get("agent", "")), str(body.get("model", "")))
        before = found.get(key, Spent(session, *key))
        cost = body.get("cost")
        found[key] = replace(
            before,
            answers=before.answers + 1,
            unpriced=before.unpriced + (cost is None),
            usage=Usage(
                prompt=before.usage.prompt + body["prompt"],
                completion=before.usage.completion + body["completion"],
                cached=before.usage.cached + body.get("cached", 0),
                reasoning=before.usage.reasoning + body.get("reasoning", 0),
                cache_write=before.usage.cache_write + body.get("cache_write", 0),
                cost=(before.usage.cost or 0) + (cost or 0),
            ),
        )
    return tuple(found.values())
