"""Models small enough to be made in a test, of any family."""

from typing import Any

import numpy as np
import torch

from lmtrain.modeling.build import new_model
from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.fitting import Head
from lmtrain.modeling.sizes import BOTH_DIRECTIONS, DECODERS, ENCODERS, RECURRENT
from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.objectives.packed import PackedBatch

CPU = torch.device("cpu")
IDS = SpecialIds(begin=0, end=0, pad=1)
"""Of a tokenizer like GPT-2's."""

FRAMED = SpecialIds(begin=2, end=3, pad=1, mask=4, sentinels=tuple(range(5, 15)))
"""Of one like BERT's, with sentinels."""

FIRST = 15
"""Id of the first token of text beside FRAMED."""

VOCABULARY = 80
ROW = 32


def causal_lm(
    config: ModelConfig, vocabulary: int, row_tokens: int, seed: int = 0, attention: str = "sdpa"
) -> Any:
    """Return a causal language model on the CPU."""
    return new_model(config, "causal", vocabulary, row_tokens, IDS, seed, CPU, attention)


def tiny_config(architecture: str, **given: Any) -> ModelConfig:
    """Return the shape of a model of a few thousand weights."""
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    shape |= given
    if architecture in RECURRENT:
        del shape["num_attention_heads"]
    return ModelConfig(**{"architecture": architecture, **shape})


def tiny_model(architecture: str, head: Head | None = None, attention: str = "sdpa", **given: Any) -> Any:
    """Return a tiny model with the head that objectives over its family's texts usually ask for."""
    config = tiny_config(architecture, **given)
    return new_model(config, head or usual_head(architecture), VOCABULARY, ROW, FRAMED, 0, CPU, attention)


def usual_head(architecture: str) -> Head:
    """Return the head that objectives over a family's texts usually ask for."""
    if architecture in BOTH_DIRECTIONS:
        return "both_directions"
    return "causal" if architecture in DECODERS else "masked" if architecture in ENCODERS else "seq2seq"


def framed_rows(texts: list[list[int]], width: int, *, frame: bool = True, every: int = 4) -> PackedBatch:
    """Return rows of one framed piece each, in which sentences and words begin at every so many tokens.

    Args:
        texts: token ids of each piece.
        width: T.
        frame: whether pieces have begin and end.
        every: tokens of a sentence, and of a word.
    """
    shape = (len(texts), width)
    inputs, starts = np.full(shape, -1), np.zeros(shape, dtype=bool)
    for row, text in enumerate(texts):
        framed = [FRAMED.begin, *text, FRAMED.end] if frame else text
        inputs[row, : len(framed)] = framed
        starts[row, int(frame) : int(frame) + len(text) : every] = True
    document = (inputs < 0).astype(np.int64)
    columns = {"sentence_starts": starts, "word_starts": starts}
    return PackedBatch(inputs, inputs.copy(), document, columns, np.arange(len(texts)))
