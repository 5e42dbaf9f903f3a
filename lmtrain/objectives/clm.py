"""Causal language modeling: predict the next token of the same document."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lmtrain.modeling.products import product_of
from lmtrain.objectives.base import IGNORED, Batch
from lmtrain.objectives.cross_entropy import chunked_cross_entropy
from lmtrain.objectives.packed import stacked


class CausalLM:
    """Next-token prediction over packed rows, in which no token sees another document."""

    def __init__(self, pad: int, *, compiled: bool = False) -> None:
        """Take the id of the padding token, and whether the loss is compiled."""
        self.pad = pad
        self.compiled = compiled

    def collate(self, rows: Sequence, indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Stack packed rows.

        Args:
            rows: packed rows of one width (`lmtrain.objectives.packed.PackedRow`, or a batch of them).
            indices: not used; nothing here is random.
            epochs: not used.
            seed: not used.

        Returns:
            `input_ids`, `labels`, `position_ids`, `document`, each of shape (rows, T); where a row is
            padded `attention_mask` too, 1 beside what isn't.
        """
        given = stacked(rows)
        used = given.inputs >= 0
        batch = {
            "input_ids": np.where(used, given.inputs, self.pad),
            "labels": np.where(used & (given.targets >= 0), given.targets, IGNORED),
            "position_ids": _positions(given.document),
            "document": given.document,
        }
        if not used.all():
            batch["attention_mask"] = used.astype(np.int64)
        return {name: torch.from_numpy(value) for name, value in batch.items()}

    def targets(self, batch: Batch) -> int:
        """Return the number of tokens to predict."""
        return int((batch["labels"] != IGNORED).sum())

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed loss in nats."""
        hidden = model.base_model(
            input_ids=batch["input_ids"],
            position_ids=batch["position_ids"],
            attention_mask=document_mask(batch["document"]),
            use_cache=False,
        ).last_hidden_state
        head = model.get_output_embeddings()
        assert isinstance(head, nn.Linear), "a language model has a head"
        return chunked_cross_entropy(
            hidden,
            head.weight,
            batch["labels"],
            compiled=self.compiled,
            product=product_of(head, hidden),
        )


def _positions(document: np.ndarray) -> np.ndarray:
    """Return the place of each token since its document began in the row, shape (rows, T)."""
    places = np.broadcast_to(np.arange(document.shape[1]), document.shape)
    begins = np.ones_like(document, dtype=bool)
    begins[:, 1:] = document[:, 1:] != document[:, :-1]
    return places - np.maximum.accumulate(np.where(begins, places, 0), axis=1)


def document_mask(document: Tensor) -> Tensor:
    """Return which token attends to which: the same document, not later.

    Args:
        document: number of the document of each token, shape (rows, T).

    Returns:
        What is added to the attention scores, shape (rows, 1, T, T): 0 where
        attention is allowed, the least float32 elsewhere.
    """
    allowed = torch.tril(document[:, :, None] == document[:, None, :])
    mask = torch.full(allowed.shape, torch.finfo(torch.float32).min, device=document.device)
    return mask.masked_fill_(allowed, 0.0).unsqueeze(1)
