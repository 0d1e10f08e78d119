"""What users say and tools return in a long session: mostly small, now and then far too large."""

from __future__ import annotations

import json
import random

WORDS = """
the deployment of the payment gateway waits for a review because its retry policy ignores that
an order may be cancelled while the customer database migrates to a region with higher latency
""".split()  # noqa: SIM905 - prose reads better than a list of words
CHINESE = "部署支付网关之前需要检查重试策略因为订单可能在迁移数据库期间被取消"
HUGE_EVERY = 97
LONG_EVERY = 13
HUGE, LONG, USUAL = 24_000, 4_000, 400
"""Words of a text; the huge one is several windows long."""


class Traffic:
    """The same in every run.

    Args:
        seed: Another one gives other traffic.
        scale: Share of the usual lengths, for small windows.
    """

    def __init__(self, seed: int = 11, *, scale: float = 1.0) -> None:
        self._source = random.Random(seed)
        self._scale = scale
        self._results = 0

    def question(self, number: int) -> str:
        """What the user says in a turn; the number makes it unlike all others."""
        words = self._length(number) // 4
        return f"Question {number} about order ORD-{number:06d}: {self._prose(words)}"

    def result(self) -> str:
        """What a tool returns: prose, JSON, log lines and Chinese in turns."""
        self._results += 1
        size = self._length(self._results)
        match self._results % 8:
            case 0:
                return "".join(self._source.choices(CHINESE, k=size // 2))
            case 1 | 2 | 3:
                return self._rows(size // 12)
            case 4 | 5:
                return self._log(size // 8)
        return self._prose(size)

    def _length(self, number: int) -> int:
        size = HUGE if number % HUGE_EVERY == 0 else LONG if number % LONG_EVERY == 0 else USUAL
        return max(8, int(size * self._scale * self._source.uniform(0.2, 1.0)))

    def _prose(self, words: int) -> str:
        return " ".join(self._source.choices(WORDS, k=words))

    def _rows(self, count: int) -> str:
        rows = [
            {"id": self._source.randrange(10**9), "path": f"src/{self._source.choice(WORDS)}.py"}
            for _ in range(count)
        ]
        return json.dumps(rows)

    def _log(self, count: int) -> str:
        lines = [
            f"2026-03-{self._source.randrange(1, 29):02d}T10:{self._source.randrange(60):02d}Z "
            f"ERROR 0x{self._source.getrandbits(32):08x} {self._prose(4)}"
            for _ in range(count)
        ]
        return "\n".join(lines)
