"""Measuring what strategies preserve and what they cost, on any transcript.

Four suites, each a pure function of a `Subject` and transcripts: `retention`, `canaries`,
`cache_costs` and `edges`. ``mgc context bench`` prints what they return. `retention` and `edges`
take any `Fitter`, and `billed` the requests of any, so that other libraries can be measured too.
"""

from massgen_core.measure._cache import TARGETS, Bill, CacheCost, billed, cache_costs
from massgen_core.measure._canaries import Canary, canaries
from massgen_core.measure._edges import Edge, edges
from massgen_core.measure._retention import Retention, is_long, retention
from massgen_core.measure._subject import Fitter, Subject
from massgen_core.measure._transcripts import Transcript, read_transcripts, transcript

__all__ = [
    "TARGETS",
    "Bill",
    "CacheCost",
    "Canary",
    "Edge",
    "Fitter",
    "Retention",
    "Subject",
    "Transcript",
    "billed",
    "cache_costs",
    "canaries",
    "edges",
    "is_long",
    "read_transcripts",
    "retention",
    "transcript",
]
