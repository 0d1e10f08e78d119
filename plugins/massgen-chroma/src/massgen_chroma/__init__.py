"""A Chroma index of long-term memory: a memory store for massgen-core."""
