"""The counter of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from massgen_core.errors import InvalidArgument
from massgen_core.tokens._count import TOOLS_OVERHEAD, PartCounter, TokenCounter
from massgen_core.tokens._encoding import ENCODINGS, EncodingLength
from massgen_core.tokens._estimate import NAME, estimated_length

if TYPE_CHECKING:
    from massgen_core.tokens._models import ModelInfo

ESTIMATE: Final = "estimate"
TOKENIZERS: Final = (*ENCODINGS, ESTIMATE)

_OPENAI_FRAME: Final = (
    4  # 3 and one for the role: cookbook.openai.com "How to count tokens with tiktoken"
)
_CHATML_FRAME: Final = 5  # <|im_start|> role \n … <|im_end|> \n; Llama 3 and Gemma: 5 too
_USUAL_IMAGE: Final = {**dict.fromkeys(ENCODINGS, "openai-tiles:85:170"), ESTIMATE: "none"}
_CLAUDE_TOOLS: Final = 346  # docs.claude.com "Tool use": tokens of the tool use system prompt


def tiktoken_counter(
    encoding: str, *, image: str = "openai-tiles:85:170", exact: bool = True
) -> TokenCounter:
    """A counter with one of the shipped encodings, ``cl100k_base`` or ``o200k_base``.

    Args:
        encoding: Its official name.
        image: The image formula.
        exact: False if the encoding only stands in for the model's own.

    Raises:
        InvalidArgument: The encoding is not shipped.
    """
    if encoding not in ENCODINGS:
        raise InvalidArgument(
            f"no ranks are shipped for {encoding!r}, only for {', '.join(ENCODINGS)}"
        )
    return PartCounter(
        _name(encoding, encoding, image),
        EncodingLength(encoding),
        exact=exact,
        overhead=_OPENAI_FRAME if exact else _CHATML_FRAME,
        image=image,
    )


def estimating_counter(*, image: str = "none") -> TokenCounter:
    """A counter that needs no tokenizer: an upper estimate by classes of characters."""
    return PartCounter(
        _name(NAME, ESTIMATE, image),
        estimated_length,
        exact=False,
        overhead=_CHATML_FRAME,
        image=image,
    )


def _name(base: str, tokenizer: str, image: str) -> str:
    """Counts of one name can stand for each other; so an unusual image formula is in the name."""
    return base if image == _USUAL_IMAGE[tokenizer] else f"{base}+{image}"


def counter_for(model: ModelInfo) -> TokenCounter:
    """The best counter for `model`: tiktoken where its ranks are shipped, else the estimator.

    Where the encoding only stands in for the model's own, `Calibration` learns the difference.
    """
    if model.tokenizer not in ENCODINGS:
        return estimating_counter(image=model.image)
    return PartCounter(
        _name(model.tokenizer, model.tokenizer, model.image),
        EncodingLength(model.tokenizer),
        exact=model.exact,
        overhead=_OPENAI_FRAME if model.provider == "openai" else _CHATML_FRAME,
        image=model.image,
        tools_overhead=_CLAUDE_TOOLS if model.provider == "anthropic" else TOOLS_OVERHEAD,
    )
