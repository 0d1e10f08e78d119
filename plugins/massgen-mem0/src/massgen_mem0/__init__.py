"""mem0 as an index of long-term memory: a memory store for massgen-core."""
