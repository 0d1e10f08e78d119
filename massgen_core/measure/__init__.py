"""Measuring what strategies preserve and what they cost, on any transcript.

Four suites, each a pure function of a `Subject` and transcripts: `retention`, `canaries`,
`cache_costs` and `edges`. ``mgc context bench`` prints what they return.
"""

from massgen_core.measure._cache import TARGETS, CacheCost, cache_costs
from massgen_core.measure._canaries import Canary, canaries
from massgen_core.measure._edges import Edge, edges
from massgen_core.measure._retention import Retention, is_long, retention
from massgen_core.measure._subject import Subject
from massgen_core.measure._transcripts import Transcript, read_transcripts, transcript

__all__ = [
    "TARGETS",
    "CacheCost",
    "Canary",
    "Edge",
    "Retention",
    "Subject",
    "Transcript",
    "cache_costs",
    "canaries",
    "edges",
    "is_long",
    "read_transcripts",
    "retention",
    "transcript",
]
