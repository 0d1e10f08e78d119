"""How far the calibrated estimate is from what the provider reported, turn by turn.

Usage: bench_calibration.py [--json], with transcripts in BENCH_FILES.

A session is a transcript of the pi coding agent: one JSON object a line, assistant messages with
the provider's `usage`. Its system prompt and tools are not in it, so the first turn is not scored,
nor is the one after an answer that was aborted: the transcript has it, the next request did not.
"""

from __future__ import annotations

import json
import statistics
import sys
from typing import TYPE_CHECKING, Any

import data

from massgen_core.messages import Message, Part, Text, ToolCall, ToolResult
from massgen_core.tokens import Calibration, ModelCatalogue, TokenCounter, counter_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def turns(path: Path) -> Iterator[tuple[Message, dict[str, Any]]]:
    for line in path.read_text("utf-8").splitlines():
        entry = json.loads(line)
        if entry["type"] == "message":
            yield _message(entry["message"]), entry["message"]


def _message(raw: dict[str, Any]) -> Message:
    blocks = raw["content"]
    blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
    texts = [Text(b["text"]) for b in blocks if b["type"] == "text"]
    calls = [
        ToolCall(b["id"], b["name"], json.dumps(b["arguments"], ensure_ascii=False))
        for b in blocks
        if b["type"] == "toolCall"
    ]
    if raw["role"] == "toolResult":
        return Message("tool", (ToolResult(raw["toolCallId"], tuple(texts)),))
    parts: tuple[Part, ...] = (*texts, *calls)
    return Message("user" if raw["role"] == "user" else "assistant", parts)


def prompt(usage: dict[str, int]) -> int:
    return usage["input"] + usage["cacheRead"] + usage["cacheWrite"]


def row(title: str, errors: list[float]) -> list[object]:
    ranked = sorted(errors)
    shown = (statistics.median(ranked), ranked[0], ranked[len(ranked) // 100], ranked[-1])
    return [title, len(errors), *[f"{100 * error:+.2f}" for error in shown]]


def measure(path: Path, counter: TokenCounter, ratio: float) -> dict[str, list[float]]:
    """Errors of each estimate, as shares of what was reported."""
    calibration = Calibration(ratio, exact=False)
    errors: dict[str, list[float]] = {"counted": [], "estimate": [], "upper": []}
    counted, scored = 0, False
    for message, raw in turns(path):
        usage = raw.get("usage")
        size = counter.count(message).tokens
        aborted = raw.get("stopReason") in ("aborted", "error")
        if usage and prompt(usage) > 1_000 and not aborted:
            reported = prompt(usage)
            if scored:
                guesses = (counted, calibration.estimate(counted), calibration.upper(counted))
                for title, guess in zip(errors, guesses, strict=True):
                    errors[title].append((guess - reported) / reported)
            calibration.observe(counted=counted, reported=reported)
            calibration.answered(counted=size, reported=usage["output"])
            scored = True
        scored = scored and not aborted
        counted += size
    return errors


def table(paths: list[Path]) -> dict[str, object]:
    model = ModelCatalogue.shipped().get("claude-sonnet-4-5")
    rows: list[list[object]] = []
    for path in paths:
        errors = measure(path, counter_for(model), model.ratio)
        names = ("o200k as it is", "calibrated estimate", "calibrated upper")
        pairs = zip(names, errors.values(), strict=True)
        rows += [row(name, found) for name, found in pairs if found]
    note = "Estimate of each request of a real coding session with Claude against the reported "
    note += f"size, in percent of it. {data.named(paths)}"
    if not rows:
        note = "Not measured: no session with reported usage was given (`nox -s bench -- FILE`)."
    return {
        "title": "Calibration",
        "note": note,
        "columns": ["", "turns", "median", "worst too low", "1 % lower than", "worst too high"],
        "rows": rows,
    }


def main() -> None:
    found = table(data.sessions())
    print(json.dumps(found, indent=None if "--json" in sys.argv else 2))


if __name__ == "__main__":
    main()
