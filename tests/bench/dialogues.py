"""Dialogues to remember: made up, of any length; and those of LoCoMo, if there is a file."""

from __future__ import annotations

import json
import os
import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_core.memory._ranking import Doc

if TYPE_CHECKING:
    from collections.abc import Iterator

VOCABULARY = 30_000
SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in ("a", "e", "i", "o", "u", "an", "er", "in")]
SITTING, THREAD = 25, 700
"""Turns; about as in LoCoMo."""


@dataclass(frozen=True)
class Question:
    text: str
    gold: frozenset[int]


@dataclass(frozen=True)
class Conversation:
    name: str
    docs: list[Doc]
    questions: list[Question]


def vocabulary() -> list[str]:
    rng = random.Random(1)
    return ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(VOCABULARY)]


def made_up(count: int) -> Iterator[Doc]:
    """Talk of two people at a time in words that are as skewed as a language's (Zipf)."""
    rng, words = random.Random(2), vocabulary()
    skew = list(accumulate(1 / (rank + 3) for rank in range(VOCABULARY)))
    for n in range(count):
        pair = n // THREAD
        text = " ".join(rng.choices(words, cum_weights=skew, k=rng.randint(4, 40)))
        name = words[5000 + 2 * pair + n % 2].capitalize()
        session, turn = divmod(n % THREAD, SITTING)
        time = 1.6e9 + 86_400 * (7 * session + pair % 300)
        yield Doc(n + 1, text + rng.choice("..?"), name, f"talk {pair}", session, turn, time)


def asked(docs: list[Doc], count: int) -> Iterator[str]:
    """A name, and five words of a turn: two of its rarest, three of any."""
    rng = random.Random(3)
    rank = {word: place for place, word in reversed(list(enumerate(vocabulary())))}
    for doc in rng.choices(docs, k=count):
        said = sorted(doc.text.rstrip(".?").split(), key=rank.__getitem__)
        yield f"What did {doc.speaker} say of {' '.join(said[-2:] + rng.choices(said, k=3))}?"


def locomo() -> list[Conversation]:
    """What $MASSGEN_LOCOMO names, a file or a folder; empty without it."""
    source = os.environ.get("MASSGEN_LOCOMO")
    if not source:
        return []
    path = Path(source)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    return [
        conversation(sample) for file in files for sample in json.loads(file.read_text("utf-8"))
    ]


def conversation(sample: dict[str, Any]) -> Conversation:
    talk, docs, ids = sample["conversation"], [], {}
    numbers = sorted(int(key[8:]) for key in talk if re.fullmatch(r"session_\d+", key))
    for session in numbers:
        time = seconds(talk.get(f"session_{session}_date_time", ""))
        for place, turn in enumerate(talk[f"session_{session}"] or []):
            photo = f" [shared a photo: {said}]" if (said := turn.get("blip_caption")) else ""
            ids[turn["dia_id"]] = number = len(docs) + 1
            text = (turn.get("text") or "") + photo
            docs.append(Doc(number, text, turn["speaker"], "talk", session, place, time))
    questions = [Question(str(q["question"]), gold(q, ids)) for q in sample["qa"]]
    return Conversation(sample["sample_id"], docs, [q for q in questions if q.gold])


def gold(question: dict[str, Any], ids: dict[str, int]) -> frozenset[int]:
    """Evidence is written as ``D1:3``, ``D8:6; D9:17``, ``D:11:26`` or ``D30:05``."""
    found = re.findall(r"D:?(\d+):0*(\d+)", " ".join(map(str, question.get("evidence") or [])))
    return frozenset(ids[key] for a, b in found if (key := f"D{a}:{b}") in ids)


def seconds(date: str) -> float | None:
    """Of ``1:56 pm on 8 May, 2023``."""
    found = re.search(r"(\d{1,2}) (\w+),? (\d{4})", date)
    if found is None:
        return None
    return datetime.strptime(" ".join(found.groups()), "%d %B %Y").replace(tzinfo=UTC).timestamp()
