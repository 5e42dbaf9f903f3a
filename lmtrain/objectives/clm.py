"""Causal language modeling: predict the next token of the same document."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lmtrain.modeling.isolation import isolating
from lmtrain.modeling.products import product_of
from lmtrain.objectives.base import IGNORED, Batch
from lmtrain.objectives.cross_entropy import chunked_cross_entropy
from lmtrain.objectives.packed import stacked


class CausalLM:
    """Next-token prediction over packed rows, in which no token sees another document."""

    def __init__(self, pad: int, *, compiled: bool = False, packed: bool = True, z_loss: float = 0.0) -> None:
        """Learn the next token.

        Args:
            pad: id of the padding token.
            compiled: whether the loss is compiled.
            packed: whether rows hold several documents. One alone in its row, with padding behind it, needs
                neither mask nor position numbers: a causal model doesn't see what comes after.
            z_loss: weight of the squared logarithm of the normalizer, in training only.
        """
        self.pad = pad
        self.compiled = compiled
        self.packed = packed
        self.z_loss = z_loss

    def collate(self, rows: Sequence, indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Stack packed rows.

        Args:
            rows: packed rows of one width (`lmtrain.objectives.packed.PackedRow`, or a batch of them).
            indices: not used; nothing here is random.
            epochs: not used.
            seed: not used.

        Returns:
            `input_ids`, `labels`, `position_ids`, `document`, each of shape (rows, T); where a row is
            padded `attention_mask` too, 1 beside what isn't. `document` is left out where every row has
            one: what is merely causal needs no mask. A compiled model always gets it, because another kind
            of mask would have it compiled again.
        """
        given = stacked(rows)
        used = given.inputs >= 0
        batch = {
            "input_ids": np.where(used, given.inputs, self.pad),
            "labels": np.where(used & (given.targets >= 0), given.targets, IGNORED),
            "position_ids": _positions(given.document),
            "document": given.document,
        }
        if not self.compiled and (given.document == given.document[:, :1]).all():
            del batch["document"]
        if not used.all():
            batch["attention_mask"] = used.astype(np.int64)
        return {name: torch.from_numpy(value) for name, value in batch.items()}

    def targets(self, batch: Batch) -> int:
        """Return the number of tokens to predict."""
        return int((batch["labels"] != IGNORED).sum())

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed loss in nats."""
        several = self.packed and "document" in batch
        apart = isolating(model, batch["document"], batch["position_ids"]) if several else {}
        hidden = model.base_model(input_ids=batch["input_ids"], use_cache=False, **apart).last_hidden_state
        head = model.get_output_embeddings()
        assert isinstance(head, nn.Linear), "a language model has a head"
        return chunked_cross_entropy(
            hidden,
            head.weight,
            batch["labels"],
            z_loss=self.z_loss if model.training else 0.0,
            compiled=self.compiled,
            product=product_of(head, hidden),
        )


def _positions(document: np.ndarray) -> np.ndarray:
    """Return the place of each token since its document began in the row, shape (rows, T)."""
    places = np.broadcast_to(np.arange(document.shape[1]), document.shape)
    begins = np.ones_like(document, dtype=bool)
    begins[:, 1:] = document[:, 1:] != document[:, :-1]
    return places - np.maximum.accumulate(np.where(begins, places, 0), axis=1)
