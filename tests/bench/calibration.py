"""How far the calibrated estimate is from what the provider reported, turn by turn.

    python tests/bench/calibration.py SESSION.jsonl

The file is a transcript of the pi coding agent: one JSON object a line, assistant messages with the
provider's `usage`. Its system prompt and tools are not in it, so the first turn is not scored.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from massgen_core.messages import Message, Part, Text, ToolCall, ToolResult
from massgen_core.tokens import Calibration, ModelCatalogue, counter_for

if TYPE_CHECKING:
    from collections.abc import Iterator


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


def report(title: str, errors: list[float]) -> None:
    ranked = sorted(errors)
    under = sum(error < 0 for error in errors) / len(errors)
    print(
        f"{title:34s} turns {len(errors):4d}  median {statistics.median(errors):+8.3%}  "
        f"worst under {ranked[0]:+7.2%}  p1 {ranked[len(ranked) // 100]:+7.2%}  "
        f"worst over {ranked[-1]:+7.2%}  under {under:4.0%}"
    )


def main(path: Path) -> None:
    model = ModelCatalogue.shipped().get("claude-sonnet-4-5")
    counter = counter_for(model)
    calibration = Calibration(model.ratio, exact=False)
    raw_errors: list[float] = []
    errors: list[float] = []
    uppers: list[float] = []
    counted, turn = 0, 0
    for message, raw in turns(path):
        usage = raw.get("usage")
        if usage and prompt(usage) > 1_000 and raw.get("stopReason") not in ("aborted", "error"):
            reported = prompt(usage)
            if turn:
                raw_errors.append((counted - reported) / reported)
                errors.append((calibration.estimate(counted) - reported) / reported)
                uppers.append((calibration.upper(counted) - reported) / reported)
            calibration.observe(counted=counted, reported=reported)
            turn += 1
        counted += counter.count(message).tokens
    report("o200k as it is", raw_errors)
    report("calibrated estimate", errors)
    report("calibrated upper", uppers)
    print(calibration)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
