"""Two segments in a row, and whether they belong together: BERT's next sentence, ALBERT's sentence order.

A piece of a document is cut in two where a sentence begins. For next sentence
prediction (Devlin et al. 2019) the second part of every other row is one of another
document; for sentence order prediction (Lan et al. 2020) the two parts of every other
row change places. Masked tokens are guessed beside it, and both losses are added.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lmtrain.modeling.build import WIDTH_MULTIPLE
from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.objectives.base import Batch, Setting, generator
from lmtrain.objectives.cross_entropy import summed_cross_entropy
from lmtrain.objectives.masking import mask_rows, places_of
from lmtrain.objectives.mlm import generators, mask_of, token_loss
from lmtrain.objectives.packed import PADDING, Frame, PackedBatch

SENTENCES, WORDS = "sentence_starts", "word_starts"

FRAME = 3
"""Slots of a row beside text: `[CLS] first [SEP] second [SEP]`."""

IN_PLACE, CHANGED = 0, 1
"""Labels of a pair, as BERT's and ALBERT's heads have them."""

PARTNER = 1
"""Purpose of the draws by which a row finds its partner."""


class SegmentPairs:
    """Masked language modeling over two segments, and whether they are as they stood."""

    targets: ClassVar[Mapping[str, str]] = {"mlm": "labels", "pairs": "labels_of_pairs"}

    def __init__(
        self,
        ids: SpecialIds,
        vocabulary: int,
        row_tokens: int,
        *,
        probability: float = 0.15,
        whole_words: bool = False,
        compiled: bool = False,
    ) -> None:
        """Learn pairs; arguments as `MaskedLM` has them. With a probability of 0 nothing is masked."""
        self.ids = ids
        self.mask = mask_of(ids)
        self.vocabulary = vocabulary
        self.probability = probability
        self.compiled = compiled
        self.frame = Frame(row_tokens - FRAME, starts=(SENTENCES, *([WORDS] if whole_words else [])))

    @classmethod
    def of(cls, setting: Setting) -> Self:
        """Return the objective as a recipe asks for it."""
        config = setting.config
        return cls(
            setting.ids,
            setting.vocabulary,
            setting.row_tokens,
            probability=config.mlm_probability,
            whole_words=config.whole_words,
            compiled=setting.compiled,
        )

    def collate(self, rows: Sequence[Any], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Make pairs of pieces.

        Args:
            rows: pieces; behind them their partners, where there are any.
            indices: of the pieces, without the partners.
            epochs: of each.
            seed: of the training.

        Returns:
            `input_ids`, `token_type_ids` and `attention_mask`, shape (rows, width); `places` and `labels` of
            masked tokens, shape (targets,); `labels_of_pairs`, shape (rows,).
        """
        assert isinstance(rows, PackedBatch), "rows of a corpus come stacked"
        draws = generators(seed, epochs, indices)
        pairs = [self._pair(rows, index, len(indices), draw) for index, draw in enumerate(draws)]
        width = max(sum(map(len, segments)) for segments, *_ in pairs) + FRAME
        width = -(-width // WIDTH_MULTIPLE) * WIDTH_MULTIPLE
        shape = (len(pairs), width)
        inputs, types = np.full(shape, PADDING), np.zeros(shape, dtype=np.int64)
        words = np.zeros(shape, dtype=bool) if WORDS in rows.starts else None
        for index, (segments, begins, _) in enumerate(pairs):
            (first, second), (of_first, of_second) = segments, begins
            joined = [[self.ids.begin], first, [self.ids.end], second, [self.ids.end]]
            row = np.concatenate(joined)
            inputs[index, : len(row)] = row
            types[index, len(first) + 2 : len(row)] = 1
            if words is not None:
                words[index, 1 : 1 + len(first)] = of_first
                words[index, 2 + len(first) : len(row) - 1] = of_second
        used = inputs != PADDING
        is_text = used & (inputs != self.ids.begin) & (inputs != self.ids.end)
        labels = mask_rows(inputs, is_text, words, draws, self.probability, self.mask, self.vocabulary)
        places, targets = places_of(labels)
        batch = {
            "input_ids": np.where(used, inputs, self.ids.pad),
            "token_type_ids": types,
            "attention_mask": used.astype(np.int64),
            "places": places,
            "labels": targets,
            "labels_of_pairs": np.array([label for *_, label in pairs]),
        }
        return {name: torch.from_numpy(value) for name, value in batch.items()}

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed loss of masked tokens and that of pairs, shape (2,)."""
        found = model.base_model(
            **{name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
        )
        tokens = token_loss(
            model, found.last_hidden_state, batch["places"], batch["labels"], compiled=self.compiled
        )
        logits = pair_logits(model, found.pooler_output)
        return torch.stack([tokens, summed_cross_entropy(logits, batch["labels_of_pairs"])])

    def _pair(
        self, rows: PackedBatch, index: int, count: int, draw: np.random.Generator
    ) -> tuple[list[np.ndarray], list[np.ndarray], int]:
        """Return two segments, where words begin in each, and the label of a row."""
        raise NotImplementedError


class NextSentence(SegmentPairs):
    """Whether the second segment is what follows, or of another document."""

    def partners(self, indices: np.ndarray, epochs: np.ndarray, seed: int, rows: int) -> np.ndarray:
        """Return a row drawn from all for each row."""
        pairs = zip(epochs.tolist(), indices.tolist(), strict=True)
        return np.array(
            [int(generator(seed, epoch, row, PARTNER).integers(rows)) for epoch, row in pairs],
            dtype=np.int64,
        )

    def _pair(
        self, rows: PackedBatch, index: int, count: int, draw: np.random.Generator
    ) -> tuple[list[np.ndarray], list[np.ndarray], int]:
        first, second = _halves(rows, index, draw)
        partner = count + index
        assert rows.first_document is not None, "pieces are framed"
        other = rows.first_document[index] != rows.first_document[partner]
        if draw.random() < 0.5 and other:  # in the same document it might well be what follows
            place = _sentence(rows, partner, draw)
            most = len(second[0])
            foreign = [values[place : place + most] for values in _texts(rows, partner)]
            return _joined(first, foreign, CHANGED)
        return _joined(first, second, IN_PLACE)


class SentenceOrder(SegmentPairs):
    """Whether the two segments are in order."""

    def _pair(
        self, rows: PackedBatch, index: int, count: int, draw: np.random.Generator
    ) -> tuple[list[np.ndarray], list[np.ndarray], int]:
        first, second = _halves(rows, index, draw)
        if draw.random() < 0.5:
            return _joined(second, first, CHANGED)
        return _joined(first, second, IN_PLACE)


def _joined(
    first: list[np.ndarray], second: list[np.ndarray], label: int
) -> tuple[list[np.ndarray], list[np.ndarray], int]:
    return [first[0], second[0]], [first[1], second[1]], label


def _texts(rows: PackedBatch, index: int) -> list[np.ndarray]:
    """Return the tokens of a row, and which of them begin a word."""
    used = rows.inputs[index] != PADDING
    words = rows.starts.get(WORDS, np.zeros_like(rows.inputs, dtype=bool))
    return [rows.inputs[index][used], words[index][used]]


def _sentence(rows: PackedBatch, index: int, draw: np.random.Generator) -> int:
    """Return where one of a row's sentences begins."""
    begins = np.flatnonzero(rows.starts[SENTENCES][index])
    return int(draw.choice(begins)) if len(begins) else 0


def _halves(
    rows: PackedBatch, index: int, draw: np.random.Generator
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Cut a row where a sentence begins, or in the middle where it has but one."""
    texts = _texts(rows, index)
    begins = np.flatnonzero(rows.starts[SENTENCES][index])
    begins = begins[begins > 0]
    place = int(draw.choice(begins)) if len(begins) else max(1, len(texts[0]) // 2)
    return [values[:place] for values in texts], [values[place:] for values in texts]


def pair_logits(model: Any, pooled: Tensor) -> Tensor:
    """Return what a model's head says of pairs, shape (rows, 2): in place, changed."""
    if model.config.model_type == "albert":
        return model.sop_classifier(pooled)
    return model.cls.seq_relationship(pooled)
