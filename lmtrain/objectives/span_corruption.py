"""Span corruption: spans are taken out of a text, and written behind the sentinels that stand for them (T5).

source: Thank you <extra_id_0> me to your party <extra_id_1> week. </s>
target: <extra_id_0> for inviting <extra_id_1> last </s>
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

from lmtrain.errors import RecipeError
from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.objectives.base import Batch, Setting
from lmtrain.objectives.mlm import generators
from lmtrain.objectives.packed import PADDING, Frame, PackedBatch
from lmtrain.objectives.seq2seq import seq2seq_batch, seq2seq_loss
from lmtrain.objectives.spans import span_counts, t5_spans

DENSITY = 0.15
"""Share of the tokens that is taken out (Raffel et al. 2020)."""


class SpanCorruption:
    """Spans of pieces of documents, which are as long as a source of T tokens allows."""

    targets: ClassVar[Mapping[str, str]] = {"span_corruption": "labels"}

    def __init__(
        self,
        ids: SpecialIds,
        row_tokens: int,
        *,
        share: float = DENSITY,
        mean_length: float = 3.0,
        compiled: bool = False,
    ) -> None:
        """Learn spans.

        Args:
            ids: of the special tokens.
            row_tokens: T.
            share: of the tokens that is taken out.
            mean_length: of a span.
            compiled: whether the loss is compiled.

        Raises:
            RecipeError: the tokenizer has too few sentinels for a row's spans.
        """
        self.ids = ids
        self.share = share
        self.mean_length = mean_length
        self.compiled = compiled
        tokens = piece_tokens(row_tokens, share, mean_length)
        spans = span_counts(tokens, share, mean_length)[1]
        if spans > len(ids.sentinels):
            raise RecipeError(
                f"pretrain.objective: a row of {row_tokens} tokens has {spans} spans, and the tokenizer "
                f"{len(ids.sentinels)} sentinels; set tokenize.special_tokens: t5, or row_tokens lower"
            )
        self.frame = Frame(tokens)

    @classmethod
    def of(cls, setting: Setting) -> Self:
        """Return the objective as a recipe asks for it."""
        config = setting.config
        return cls(
            setting.ids,
            setting.row_tokens,
            share=DENSITY if config.noise_density is None else config.noise_density,
            mean_length=config.mean_span_length,
            compiled=setting.compiled,
        )

    def collate(self, rows: Sequence[Any], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Take spans out of pieces; returns what `seq2seq_batch` does."""
        assert isinstance(rows, PackedBatch), "rows of a corpus come stacked"
        texts = (row[row != PADDING] for row in rows.inputs)
        pairs = [
            self.corrupted(*given) for given in zip(texts, generators(seed, epochs, indices), strict=True)
        ]
        sources, targets = zip(*pairs, strict=True)
        return seq2seq_batch(sources, targets, self.ids.pad)

    def corrupted(self, text: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return source and target of a text."""
        begins, lengths = t5_spans(len(text), self.share, self.mean_length, generator)
        taken = np.zeros(len(text), dtype=bool)
        for begin, length in zip(begins, lengths, strict=True):
            taken[begin : begin + length] = True
        sentinels = np.array(self.ids.sentinels[: len(begins)], dtype=np.int64)
        at = np.cumsum(~taken)[begins] if len(begins) else begins  # kept tokens before each span
        source = np.insert(text[~taken], at, sentinels)
        target = np.insert(text[taken], np.cumsum(lengths) - lengths, sentinels)
        return np.append(source, self.ids.end), np.append(target, self.ids.end)

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed loss of the targets, shape (1,)."""
        return seq2seq_loss(model, batch, compiled=self.compiled)


def piece_tokens(row_tokens: int, share: float, mean_length: float) -> int:
    """Return how long a text may be so that source and target have at most `row_tokens` tokens."""

    def fits(tokens: int) -> bool:
        taken, spans = span_counts(tokens, share, mean_length)
        return max(tokens - taken, taken) + spans + 1 <= row_tokens

    tokens = 1
    while fits(tokens + 1):
        tokens += 1
    return tokens
