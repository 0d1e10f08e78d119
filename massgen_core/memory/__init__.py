"""Long-term memory: the ledger of what is remembered, and what plugins of memory implement.

The truth of long-term memory is a ledger of the core; a store is an index over it that can be lost
and rebuilt.
"""

from massgen_core.memory._access import Grant
from massgen_core.memory._archive import Imported
from massgen_core.memory._erasure import Receipt
from massgen_core.memory._hits import Hit
from massgen_core.memory._keeping import Plugins
from massgen_core.memory._ledger import Revision
from massgen_core.memory._memory import Memory
from massgen_core.memory._record import MemoryRecord, NewMemory
from massgen_core.memory._repair import Mended
from massgen_core.memory._scope import Scope, ScopeLike, scope_of
from massgen_core.memory._snapshots import Snapshot, check_snapshot
from massgen_core.memory._stores import (
    Candidate,
    Change,
    Embedder,
    Health,
    MemoryStore,
    QueryExpander,
    Reranker,
)
from massgen_core.memory._verify import MemoryReport, Problem

__all__ = [
    "Candidate",
    "Change",
    "Embedder",
    "Grant",
    "Health",
    "Hit",
    "Imported",
    "Memory",
    "MemoryRecord",
    "MemoryReport",
    "MemoryStore",
    "Mended",
    "NewMemory",
    "Plugins",
    "Problem",
    "QueryExpander",
    "Receipt",
    "Reranker",
    "Revision",
    "Scope",
    "ScopeLike",
    "Snapshot",
    "check_snapshot",
    "scope_of",
]
