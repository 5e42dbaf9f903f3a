"""Denoising: a text is written anew from one with spans masked and sentences in another order (BART)."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.objectives.base import Batch, Setting
from lmtrain.objectives.mlm import generators, mask_of
from lmtrain.objectives.packed import PADDING, Frame, PackedBatch
from lmtrain.objectives.seq2seq import seq2seq_batch, seq2seq_loss
from lmtrain.objectives.spans import poisson_spans

SENTENCES = "sentence_starts"

DENSITY = 0.3
"""Share of the tokens that is masked (Lewis et al. 2020)."""

FRAME = 2
"""Tokens beside text in source and target: begin and end."""


class Denoising:
    """Pieces of documents, corrupted as Lewis et al. (2020) found best: infilling and permuted sentences."""

    targets: ClassVar[Mapping[str, str]] = {"denoising": "labels"}

    def __init__(
        self,
        ids: SpecialIds,
        row_tokens: int,
        *,
        share: float = DENSITY,
        mean_length: float = 3.0,
        permute: bool = True,
        compiled: bool = False,
    ) -> None:
        """Learn texts.

        Args:
            ids: of the special tokens.
            row_tokens: T.
            share: of the tokens that is masked.
            mean_length: of a span, each of which becomes one mask.
            permute: whether sentences are put in another order.
            compiled: whether the loss is compiled.

        Raises:
            RecipeError: the tokenizer has no mask token.
        """
        self.ids = ids
        self.mask = mask_of(ids)
        self.share = share
        self.mean_length = mean_length
        self.compiled = compiled
        self.frame = Frame(row_tokens - FRAME, starts=(SENTENCES,) if permute else ())

    @classmethod
    def of(cls, setting: Setting) -> Self:
        """Return the objective as a recipe asks for it."""
        config = setting.config
        return cls(
            setting.ids,
            setting.row_tokens,
            share=DENSITY if config.noise_density is None else config.noise_density,
            mean_length=config.mean_span_length,
            permute=config.permute_sentences,
            compiled=setting.compiled,
        )

    def collate(self, rows: Sequence[Any], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Corrupt pieces; returns what `seq2seq_batch` does."""
        assert isinstance(rows, PackedBatch), "rows of a corpus come stacked"
        sources, targets = [], []
        for index, draw in enumerate(generators(seed, epochs, indices)):
            text = rows.inputs[index][rows.inputs[index] != PADDING]
            starts = rows.starts.get(SENTENCES)
            begins = None if starts is None else np.flatnonzero(starts[index])
            sources.append(self._framed(self.corrupted(text, begins, draw)))
            targets.append(self._framed(text))
        return seq2seq_batch(sources, targets, self.ids.pad)

    def corrupted(
        self, text: np.ndarray, begins: np.ndarray | None, generator: np.random.Generator
    ) -> np.ndarray:
        """Return a text with its sentences in another order and its spans masked.

        Args:
            text: tokens, shape (tokens,).
            begins: where its sentences begin, rising; None to leave their order.
            generator: draws.
        """
        if begins is not None:
            parts = np.split(text, begins[begins > 0])
            text = np.concatenate([parts[place] for place in generator.permutation(len(parts))])
        begins, lengths = poisson_spans(len(text), self.share, self.mean_length, generator)
        # A mask for nothing makes a text longer: there are at most as many as keep it within the row.
        room = int(lengths.sum()) - np.count_nonzero(lengths)
        begins, lengths = (
            values[(lengths > 0) | (np.cumsum(lengths == 0) <= room)] for values in (begins, lengths)
        )
        taken = np.zeros(len(text), dtype=bool)
        for begin, length in zip(begins, lengths, strict=True):
            taken[begin : begin + length] = True
        kept_before = np.concatenate([[0], np.cumsum(~taken)])[begins]
        return np.insert(text[~taken], kept_before, self.mask)

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed loss of the targets, shape (1,)."""
        return seq2seq_loss(model, batch, compiled=self.compiled)

    def _framed(self, text: np.ndarray) -> np.ndarray:
        return np.concatenate([[self.ids.begin], text, [self.ids.end]])
