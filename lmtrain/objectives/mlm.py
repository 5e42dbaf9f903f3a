"""Masked language modeling: guess tokens that are hidden, from both sides (Devlin et al. 2019).

Which tokens are hidden changes with every epoch (RoBERTa, Liu et al. 2019); with
`whole_words` all tokens of a word are hidden together (in Chinese those of jieba's
words: Cui et al. 2021).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lmtrain.errors import RecipeError
from lmtrain.modeling.heads import features_of, output_bias, output_layer
from lmtrain.modeling.isolation import isolating
from lmtrain.modeling.products import product_of
from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.objectives.base import Batch, Setting, generator
from lmtrain.objectives.cross_entropy import chunked_cross_entropy
from lmtrain.objectives.masking import mask_rows, places_of
from lmtrain.objectives.packed import Frame, PackedBatch, positions

WORDS = "word_starts"


class MaskedLM:
    """Masked tokens of framed pieces, `[CLS] … [SEP]`, several in a row."""

    targets: ClassVar[Mapping[str, str]] = {"mlm": "labels"}

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
        """Learn masked tokens.

        Args:
            ids: of the special tokens.
            vocabulary: entries from which replacements are drawn.
            row_tokens: T.
            probability: share of tokens that are guessed.
            whole_words: whether words are masked as a whole.
            compiled: whether the loss is compiled.

        Raises:
            RecipeError: the tokenizer has no mask token.
        """
        self.ids = ids
        self.mask = mask_of(ids)
        self.vocabulary = vocabulary
        self.probability = probability
        self.compiled = compiled
        self.frame = Frame(row_tokens - 2, ids.begin, ids.end, (WORDS,) if whole_words else ())

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
        """Mask framed rows.

        Returns:
            What `encoder_inputs` returns of the masked rows; `places` of what is to be guessed among all
            slots, and `labels`, shape (targets,) both.
        """
        assert isinstance(rows, PackedBatch), "rows of a corpus come stacked"
        inputs, draws = rows.inputs.copy(), generators(seed, epochs, indices)
        words = rows.starts[WORDS] if WORDS in self.frame.starts else None
        text = self.is_text(inputs)
        labels = mask_rows(inputs, text, words, draws, self.probability, self.mask, self.vocabulary)
        places, targets = places_of(labels)
        given = {"places": torch.from_numpy(places), "labels": torch.from_numpy(targets)}
        return encoder_inputs(inputs, rows.document, self.ids.pad, compiled=self.compiled) | given

    def is_text(self, inputs: np.ndarray) -> np.ndarray:
        """Return which slots hold text: neither padding nor a frame, shape of the argument."""
        return (inputs >= 0) & (inputs != self.ids.begin) & (inputs != self.ids.end)

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed loss of what is to be guessed, shape (1,)."""
        hidden = model.base_model(**encoder_arguments(model, batch)).last_hidden_state
        return token_loss(model, hidden, batch["places"], batch["labels"], compiled=self.compiled)[None]


def mask_of(ids: SpecialIds) -> int:
    """Return the id of the mask token.

    Raises:
        RecipeError: there is none.
    """
    if ids.mask is None:
        raise RecipeError(
            "pretrain.objective: the tokenizer has no mask token; set tokenize.special_tokens to bert or "
            "roberta"
        )
    return ids.mask


def generators(seed: int, epochs: np.ndarray, indices: np.ndarray) -> list[np.random.Generator]:
    """Return what draws for each row."""
    return [generator(seed, epoch, row) for epoch, row in zip(epochs.tolist(), indices.tolist(), strict=True)]


def encoder_inputs(inputs: np.ndarray, document: np.ndarray, pad: int, *, compiled: bool) -> Batch:
    """Return what an encoder reads.

    Args:
        inputs: token ids, negative where a slot is empty, shape (rows, T).
        document: number of the document of each slot in its row, shape (rows, T).
        pad: id of the padding token.
        compiled: whether the model is: then it always gets the same kind of mask.

    Returns:
        `input_ids`; where rows are padded `attention_mask`; where one holds several documents `document` and
        `position_ids`. Each of shape (rows, T).
    """
    used = inputs >= 0
    batch = {"input_ids": np.where(used, inputs, pad)}
    if compiled or (used & (document != document[:, :1])).any():
        batch |= {"document": document, "position_ids": positions(document)}
    if not used.all():
        batch["attention_mask"] = used.astype(np.int64)
    return {name: torch.from_numpy(value) for name, value in batch.items()}


def encoder_arguments(model: PreTrainedModel, batch: Batch) -> dict[str, Any]:
    """Return the arguments of an encoder's forward pass for a batch of `encoder_inputs`."""
    arguments: dict[str, Any] = {"input_ids": batch["input_ids"]}
    if "document" in batch:
        return arguments | isolating(model, batch["document"], batch["position_ids"])
    if "attention_mask" in batch:
        arguments["attention_mask"] = batch["attention_mask"]
    return arguments


def token_loss(
    model: PreTrainedModel, hidden: Tensor, places: Tensor, labels: Tensor, *, compiled: bool
) -> Tensor:
    """Return the summed loss of some tokens; logits of no other are worked out.

    Args:
        model: with a language modeling head.
        hidden: last hidden states, shape (rows, T, width).
        places: of the tokens among all, shape (targets,).
        labels: what they are, shape (targets,).
        compiled: whether the loss is compiled.
    """
    features = features_of(model, hidden.flatten(0, 1)[places])
    head = output_layer(model)
    return chunked_cross_entropy(
        features,
        head.weight,
        labels,
        bias=output_bias(model),
        compiled=compiled,
        product=product_of(head, features),
    )
