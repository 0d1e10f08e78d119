"""all-MiniLM-L6-v2 on ONNX Runtime: texts to token ids, token ids to unit vectors.

The recipe is that of the model's authors (sentence-transformers/all-MiniLM-L6-v2): at most 256
tokens, the mean over the tokens' last hidden states, scaled to length 1.

A vector depends on nothing but its text. The weights are int8, but are expanded to floats before
they are multiplied, so no scale is shared by the texts of a batch; and the attention mask hides the
padding. Not a bit differed between batches of 1 and of 32 on x86-64.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from massgen_core.messages import without_surrogates
from massgen_embed_minilm._files import tokenizer, weights

# ONNX Runtime reports to its makers unless this is set when it is imported (its Privacy.md).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_TOKENS: Final = 256
"""Tokens of a text that count, the two that mark its ends among them."""

MAX_CHARACTERS: Final = 8192
"""Characters of a text that are looked at: a megabyte of Chinese takes 7 s to cut into tokens."""

_BATCH_TOKENS: Final = 256
"""Tokens computed at once, padding included: more fall out of the CPU's caches, 1,024 cost 20 %."""


class Model:
    """The loaded model; its methods block, and one thread at a time may use it.

    Args:
        threads: CPU threads of a batch.

    Raises:
        PluginBroken: A file of the model is missing or damaged.
    """

    def __init__(self, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            weights(), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_buffer(tokenizer())
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()  # done here, to the longest of a batch that is known later

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text's head."""
        return [self._tokenizer.encode(_clean(text)).ids for text in texts]

    def vectors(self, batch: Sequence[Sequence[int]]) -> list[list[float]]:
        """A vector of length 1 for each list of token ids."""
        ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        [states] = self._session.run(["last_hidden_state"], feed)
        means = [states[row, : len(tokens)].mean(0) for row, tokens in enumerate(batch)]
        return [(mean / np.linalg.norm(mean)).tolist() for mean in means]


def batches(texts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Positions of the texts to compute together: of about equal length, little enough at once."""
    batch: list[int] = []
    for position in sorted(range(len(texts)), key=lambda position: len(texts[position])):
        if batch and (len(batch) + 1) * len(texts[position]) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch


def _clean(text: str) -> str:
    """The head of the text without lone surrogates, which are in no tokenizer's alphabet."""
    return without_surrogates(text[:MAX_CHARACTERS])
