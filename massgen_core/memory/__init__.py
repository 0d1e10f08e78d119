"""Long-term memory: the ledger of what is remembered, and what plugins of memory implement.

The truth of long-term memory is a ledger of the core; a store is an index over it that can be lost
and rebuilt.
"""

from massgen_core.memory._access import Grant
from massgen_core.memory._archive import Imported
from massgen_core.memory._bringing import Brought
from massgen_core.memory._consolidation import Consolidated
from massgen_core.memory._erasure import Journals, Receipt
from massgen_core.memory._explain import Explained, Explanation, LeftOut
from massgen_core.memory._extraction import Asks, Extractor, Proposal
from massgen_core.memory._facts import Facts, Summaries
from massgen_core.memory._hits import Hit
from massgen_core.memory._index_folder import IndexFolder, IndexState, storage_error
from massgen_core.memory._ledger import Revision
from massgen_core.memory._lifecycle import Collected, Removal, Retention, worth
from massgen_core.memory._memory import Memory
from massgen_core.memory._outbox import Waiting
from massgen_core.memory._paths import path_of
from massgen_core.memory._record import MemoryRecord, NewMemory
from massgen_core.memory._repair import Mended, erased_ids, mend
from massgen_core.memory._scope import Scope, ScopeLike, scope_of
from massgen_core.memory._snapshots import Snapshot, check_snapshot, prepare, snapshots_of
from massgen_core.memory._stats import DiskUse, MemoryStats, Size
from massgen_core.memory._stores import (
    Candidate,
    Change,
    Embedder,
    Health,
    MemoryStore,
    Plugins,
    QueryExpander,
    Reranker,
)
from massgen_core.memory._tending import Reindexed
from massgen_core.memory._threaded import BlockingIndex, ThreadedStore
from massgen_core.memory._verify import MemoryReport, Problem, verify

__all__ = [
    "Asks",
    "BlockingIndex",
    "Brought",
    "Candidate",
    "Change",
    "Collected",
    "Consolidated",
    "DiskUse",
    "Embedder",
    "Explained",
    "Explanation",
    "Extractor",
    "Facts",
    "Grant",
    "Health",
    "Hit",
    "Imported",
    "IndexFolder",
    "IndexState",
    "Journals",
    "LeftOut",
    "Memory",
    "MemoryRecord",
    "MemoryReport",
    "MemoryStats",
    "MemoryStore",
    "Mended",
    "NewMemory",
    "Plugins",
    "Problem",
    "Proposal",
    "QueryExpander",
    "Receipt",
    "Reindexed",
    "Removal",
    "Reranker",
    "Retention",
    "Revision",
    "Scope",
    "ScopeLike",
    "Size",
    "Snapshot",
    "Summaries",
    "ThreadedStore",
    "Waiting",
    "check_snapshot",
    "erased_ids",
    "mend",
    "path_of",
    "prepare",
    "scope_of",
    "snapshots_of",
    "storage_error",
    "verify",
    "worth",
]
