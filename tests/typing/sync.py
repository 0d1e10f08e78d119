"""What scripts write with the sync memory type-checks: nothing here is run, mypy reads it."""

from __future__ import annotations

from typing import assert_type

from massgen_core.memory import Hit, MemoryRecord, Receipt, Scope
from massgen_core.sync import SyncMemory, open_memory


def script() -> list[str]:
    with open_memory("notes", synchronous="normal", read_only=False) as memory:
        assert_type(memory, SyncMemory)
        record = memory.remember("The cat is Miau.", scope={"user": "ada"}, kind="fact")
        assert_type(record, str)
        assert_type(memory.get(record, principal="ada"), MemoryRecord)
        assert_type(memory.forget([record], dry_run=True), Receipt)
        hits = assert_type(memory.recall("cat?", scope=Scope(user="ada"), k=3), list[Hit])
        memory.recall("cat?", scope={}, many=3)  # type: ignore[call-arg]  # there is no such argument
        memory.get(7)  # type: ignore[arg-type]  # an id is text
        open_memory("notes", readonly=True)  # type: ignore[call-arg]  # it is called read_only
        return [hit.record.text for hit in hits]
