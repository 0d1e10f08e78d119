"""How large a request is: counters, the catalogue of models, and what providers' reports teach.

Counting is additive: the tokens of a request are the sum over its messages and its tools. Nothing
here needs a network, and importing it loads no tokenizer; the first text that is counted does.
"""

from massgen_core.tokens._calibration import Calibration
from massgen_core.tokens._count import Count, TokenCounter
from massgen_core.tokens._counters import (
    ESTIMATE,
    TOKENIZERS,
    counter_for,
    estimating_counter,
    tiktoken_counter,
)
from massgen_core.tokens._encoding import encoding
from massgen_core.tokens._images import ImageFormula, image_formula, image_size
from massgen_core.tokens._models import ModelCatalogue, ModelInfo
from massgen_core.tokens._prices import Prices

__all__ = [
    "ESTIMATE",
    "TOKENIZERS",
    "Calibration",
    "Count",
    "ImageFormula",
    "ModelCatalogue",
    "ModelInfo",
    "Prices",
    "TokenCounter",
    "counter_for",
    "encoding",
    "estimating_counter",
    "image_formula",
    "image_size",
    "tiktoken_counter",
]
