"""Long-term memory: the ledger of what is remembered, and what plugins of memory implement.

The truth of long-term memory is a ledger of the core; a store is an index over it that can be lost
and rebuilt.
"""

from massgen_core.memory._scope import Scope, ScopeLike
from massgen_core.memory._stores import (
    Candidate,
    Change,
    Embedder,
    Health,
    MemoryStore,
    QueryExpander,
    Reranker,
)

__all__ = [
    "Candidate",
    "Change",
    "Embedder",
    "Health",
    "MemoryStore",
    "QueryExpander",
    "Reranker",
    "Scope",
    "ScopeLike",
]
