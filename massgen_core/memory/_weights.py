"""What each part of a memory's score is worth; measured by tests/bench/bench_recall.py.

Set by hand on a coarse grid, not fitted: half or twice of any of them changes the share of evidence
found among the first ten by less than two points of a hundred.
"""

from __future__ import annotations

from typing import Final

NEAR: Final = 0.3
"""Of the score of the text before and of the one after."""
ANSWER: Final = 1.5
"""By how much more the text before counts if it asks something: what follows is its answer."""
WINDOW: Final = 0.5
"""Of the text together with the two before and the two after it."""
SITTING: Final = 0.3
"""Of the best text of the same sitting."""
SPEAKER: Final = 0.25
DATE: Final = 0.2
"""For a text whose speaker, or whose month or year, the query names."""
DENSE: Final = 1.0
DENSE_WINDOW: Final = 0.5
"""By vectors: of the text with its neighbours, and of its window; as much as by words."""
STORE: Final = 0.3
"""Of what an index of a plugin says."""

K1: Final = 0.9
B: Final = 0.4
"""BM25 as Anserini has it (Yang, Fang, Lin: Anserini, SIGIR 2017)."""
