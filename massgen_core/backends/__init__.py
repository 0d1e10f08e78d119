"""How the engine talks to a model: one turn in, a stream of events out.

A backend knows one provider. It has no tool loop, no retry and no history: the agent owns these.
"""

from massgen_core.backends._overflow import Refusal, classify_text, fills_window
from massgen_core.backends._protocol import Backend, Caps, CountsTokens, Request

__all__ = [
    "Backend",
    "Caps",
    "CountsTokens",
    "Refusal",
    "Request",
    "classify_text",
    "fills_window",
]
