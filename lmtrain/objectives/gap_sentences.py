"""Gap sentences: those that say most of a text are masked and written as its summary (Pegasus)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.objectives.base import Batch, Setting
from lmtrain.objectives.mlm import mask_of
from lmtrain.objectives.packed import PADDING, Frame, PackedBatch
from lmtrain.objectives.seq2seq import seq2seq_batch, seq2seq_loss

SENTENCES = "sentence_starts"


class GapSentences:
    """Sentences of pieces of documents, chosen by ROUGE-1 with the rest (Zhang et al. 2020, Ind-Orig).

    Nothing is random: what says most of a text is what it is in every epoch.
    """

    targets: ClassVar[Mapping[str, str]] = {"gap_sentences": "labels"}

    def __init__(
        self, ids: SpecialIds, row_tokens: int, *, ratio: float = 0.3, compiled: bool = False
    ) -> None:
        """Learn sentences.

        Args:
            ids: of the special tokens.
            row_tokens: T.
            ratio: share of the sentences that is taken out; at least one is.
            compiled: whether the loss is compiled.

        Raises:
            RecipeError: the tokenizer has no mask token.
        """
        self.ids = ids
        self.mask = mask_of(ids)
        self.ratio = ratio
        self.compiled = compiled
        self.frame = Frame(row_tokens - 1, starts=(SENTENCES,))

    @classmethod
    def of(cls, setting: Setting) -> Self:
        """Return the objective as a recipe asks for it."""
        return cls(setting.ids, setting.row_tokens, ratio=setting.config.gap_ratio, compiled=setting.compiled)

    def collate(self, rows: Sequence[Any], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Take sentences out of pieces; returns what `seq2seq_batch` does."""
        assert isinstance(rows, PackedBatch), "rows of a corpus come stacked"
        sources, targets = [], []
        for row, starts in zip(rows.inputs, rows.starts[SENTENCES], strict=True):
            source, target = self.taken_out(row[row != PADDING], np.flatnonzero(starts))
            sources.append(np.append(source, self.ids.end))
            targets.append(np.append(target, self.ids.end))
        return seq2seq_batch(sources, targets, self.ids.pad)

    def taken_out(self, text: np.ndarray, begins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a text with a mask for each chosen sentence, and these in their order.

        Args:
            text: tokens, shape (tokens,).
            begins: where its sentences begin, rising. A text of one is cut in the middle.
        """
        begins = begins[begins > 0]
        if not len(begins) and len(text) > 1:
            begins = np.array([len(text) // 2])
        parts = np.split(text, begins)
        count = min(max(1, round(self.ratio * len(parts))), max(1, len(parts) - 1))
        scores = overlaps(parts)
        chosen = set(sorted(range(len(parts)), key=lambda place: (-scores[place], place))[:count])
        mask = np.array([self.mask])
        source = [mask if place in chosen else part for place, part in enumerate(parts)]
        return np.concatenate(source), np.concatenate([parts[place] for place in sorted(chosen)])

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed loss of the targets, shape (1,)."""
        return seq2seq_loss(model, batch, compiled=self.compiled)


def overlaps(parts: Sequence[np.ndarray]) -> list[float]:
    """Return the F1 of each part's tokens with those of all others together (ROUGE-1)."""
    counts = [Counter(part.tolist()) for part in parts]
    whole = sum(counts, Counter())
    scores = []
    for count in counts:
        rest = whole - count
        common, sizes = (count & rest).total(), count.total() + rest.total()
        scores.append(2 * common / sizes if sizes else 0.0)
    return scores
