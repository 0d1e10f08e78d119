"""Fitting a conversation into a model's window.

Strategies propose plans over groups of messages; the engine checks, carries out and counts. See
`TruncationStrategy` for how to write one.
"""

from massgen_core.context._apply import quoted
from massgen_core.context._breaker import Breaker
from massgen_core.context._engine import ContextEngine, invalid_budget
from massgen_core.context._groups import Group, handle_of
from massgen_core.context._lexical import LexicalIndex, terms_of
from massgen_core.context._newest import clip_newest
from massgen_core.context._page import page_end
from massgen_core.context._plan import (
    Background,
    Clip,
    Drop,
    Eager,
    FitContext,
    Goal,
    Mask,
    Offload,
    Plan,
    PlanOperation,
    Prepares,
    Produced,
    Replace,
    Restore,
    TruncationStrategy,
)
from massgen_core.context._report import Fit, FitReport
from massgen_core.context._segments import Segments, measured, segments_of
from massgen_core.context._view import View
from massgen_core.context._window import ContextWindow, fit_to_json, recounted, view_from_json

__all__ = [
    "Background",
    "Breaker",
    "Clip",
    "ContextEngine",
    "ContextWindow",
    "Drop",
    "Eager",
    "Fit",
    "FitContext",
    "FitReport",
    "Goal",
    "Group",
    "LexicalIndex",
    "Mask",
    "Offload",
    "Plan",
    "PlanOperation",
    "Prepares",
    "Produced",
    "Replace",
    "Restore",
    "Segments",
    "TruncationStrategy",
    "View",
    "clip_newest",
    "fit_to_json",
    "handle_of",
    "invalid_budget",
    "measured",
    "page_end",
    "quoted",
    "recounted",
    "segments_of",
    "terms_of",
    "view_from_json",
]
