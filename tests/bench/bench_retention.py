"""What the recommended chain keeps of what the agent is about to use, and what edge cases do to it.

Usage: bench_retention.py [--json], with transcripts in BENCH_FILES; see `massgen_core.measure`.
"""

from __future__ import annotations

import json
import sys

import data

from massgen_core.chain import strategy_chain
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.measure import Edge, Retention, Subject, edges, is_long, retention
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.tokens import ModelCatalogue, counter_for

BUDGETS = (8_000, 16_000, 32_000, 64_000)
SHARES = (0.75, 0.5)
COLUMNS = (
    "retained",
    "in context",
    "user text",
    "system text",
    "used",
    "over",
    "unpaired",
    "errors",
)


def recommended() -> Subject:
    """The chain that is used when none is chosen."""
    models = ModelCatalogue.shipped()
    ctx = PluginContext(clock=SYSTEM_CLOCK, data_dir=None, models=models)
    return Subject(strategy_chain(PluginHost(), ctx), counter_for(models.get("gpt-4o")))


def cells(row: Retention) -> list[object]:
    shares = (row.retained, row.in_context, row.user_text, row.system_text, row.used)
    return [*(f"{share:.1%}" for share in shares), row.over, row.unpaired, row.errors]


def budget(row: Retention) -> str:
    return f"{row.budget:,.0f}" if row.budget > 1 else f"{row.budget:.0%} of the history"


def kept(subject: Subject) -> dict[str, object]:
    read = data.read(data.files(), subject.counter)
    long = [one for one in read if is_long(one)]
    short = [one for one in read if not is_long(one)]
    found = [("session", row) for row in retention(subject, long, BUDGETS)]
    found += [("episodes", row) for row in retention(subject, short, SHARES)]
    return {
        "title": "What is kept",
        "note": "Of the paths, identifiers and numbers in the agent's next tool calls: the share "
        "still in the fitted context (retained), and with 25 original characters around it (in "
        "context); the share of user text, and of the lines of the system prompt, that is there "
        "word by word; the share of the budget used. Over: larger than the budget by a recount; "
        "unpaired: a call without its result or "
        f"the reverse. {data.named(data.files())}",
        "columns": ["data", "budget", "cuts", *COLUMNS],
        "rows": [[kind, budget(row), row.cuts, *cells(row)] for kind, row in found if row.cuts],
    }


def survived(subject: Subject) -> dict[str, object]:
    return {
        "title": "Edge cases",
        "note": "Budget of 8,000 tokens. A system prompt that is larger is cut, with a warning.",
        "columns": ["case", "survived", "tokens", "messages", "unpaired", "question kept", "error"],
        "rows": [edge(row) for row in edges(subject)],
    }


def edge(row: Edge) -> list[object]:
    told = ["yes" if value else "no" for value in (row.survived, row.question)]
    return [row.case, told[0], row.tokens, row.messages, row.unpaired, told[1], row.error or "-"]


def main() -> None:
    subject = recommended()
    tables = [kept(subject), survived(subject)]
    print(json.dumps(tables, indent=None if "--json" in sys.argv else 2))


if __name__ == "__main__":
    main()
