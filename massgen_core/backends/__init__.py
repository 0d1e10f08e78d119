"""How the engine talks to a model: one turn in, a stream of events out.

A backend knows one provider. It has no tool loop, no retry and no history: the agent owns these.
What makes one patient is wrapped around it, and is a backend itself: `Retrying`, `Guarded`,
`Limited`, `Watched`, `Accounted`, `Recorded`; `Endpoints.wrap` puts them in order.
"""

from massgen_core._redact import scrub, scrubbed
from massgen_core.backends._account import Account, Accounted, Accounts
from massgen_core.backends._breaker import Circuit, Guarded
from massgen_core.backends._caps import caps_of
from massgen_core.backends._compose import Endpoints, Policy, endpoint_of
from massgen_core.backends._headers import retry_after
from massgen_core.backends._http import classify_http, read_rest, sse_json
from massgen_core.backends._limit import Limited, Limiter
from massgen_core.backends._overflow import Refusal, classify_text
from massgen_core.backends._probe import Check, Probe
from massgen_core.backends._protocol import Backend, Caps, CountsTokens, Request
from massgen_core.backends._record import Recorded, Recording, Replayed
from massgen_core.backends._retry import Retrying
from massgen_core.backends._watch import Watched
from massgen_core.backends._wrapper import Timing

__all__ = [
    "Account",
    "Accounted",
    "Accounts",
    "Backend",
    "Caps",
    "Check",
    "Circuit",
    "CountsTokens",
    "Endpoints",
    "Guarded",
    "Limited",
    "Limiter",
    "Policy",
    "Probe",
    "Recorded",
    "Recording",
    "Refusal",
    "Replayed",
    "Request",
    "Retrying",
    "Timing",
    "Watched",
    "caps_of",
    "classify_http",
    "classify_text",
    "endpoint_of",
    "read_rest",
    "retry_after",
    "scrub",
    "scrubbed",
    "sse_json",
]
