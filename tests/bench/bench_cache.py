"""What the requests of a session cost where the provider caches prompts.

Usage: bench_cache.py [--json], with transcripts in BENCH_FILES; see `massgen_core.measure`.
"""

from __future__ import annotations

import json
import sys

import data
from bench_retention import recommended

from massgen_core.measure import CacheCost, cache_costs

BUDGETS = (16_000, 64_000)
SHARE = 0.5
"""Of a session that fits every budget."""


def row(cost: CacheCost) -> list[object]:
    budget = f"{cost.budget:,.0f}" if cost.budget > 1 else f"{cost.budget:.0%}"
    return [
        budget,
        cost.target,
        cost.turns,
        f"{cost.mean_tokens:,}",
        f"{cost.cached:.1%}",
        cost.breaks,
        f"{cost.cost:,}",
        f"{cost.relative_cost:.2f}",
        cost.over,
    ]


def main() -> None:
    subject = recommended()
    rows = []
    for transcript in data.read(data.sessions(), subject.counter):
        fitting = [budget for budget in BUDGETS if budget < transcript.tokens]
        rows += map(row, cache_costs(subject, [transcript], fitting or [SHARE]))
    table = {
        "title": "Prompt cache",
        "note": "One request a turn; what it has in common with the beginning of the one before "
        "costs a tenth, the rest 1.25. Cost: mean of a request in tokens at the full price; "
        "relative: against trimming just enough before each request. "
        f"{data.named(data.sessions())}",
        "columns": [
            *("budget", "target", "requests", "mean tokens", "cached", "breaks", "cost"),
            *("relative", "over"),
        ],
        "rows": rows,
    }
    print(json.dumps(table, indent=None if "--json" in sys.argv else 2))


if __name__ == "__main__":
    main()
