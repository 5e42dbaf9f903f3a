"""Contrastive learning: two views of a text are more alike than two texts (SimCSE, Gao et al. 2021).

Both views are the same tokens, of which dropout leaves different parts; the views of
all other texts of the global batch, on all workers, are what they are told from.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather
from torch.nn import functional
from transformers import PreTrainedModel

from lmtrain.modeling.pooling import Pooling, pooled
from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.objectives.base import IGNORED, Batch, Setting
from lmtrain.objectives.mlm import encoder_inputs
from lmtrain.objectives.packed import Frame, PackedBatch


class Contrastive:
    """Two dropout views of pieces of documents, and in-batch negatives."""

    targets: ClassVar[Mapping[str, str]] = {"contrastive": "labels"}
    whole_batch = True
    """What a row is compared with are all rows of the batch: it can't be cut into micro-batches."""

    def __init__(
        self, ids: SpecialIds, row_tokens: int, *, temperature: float = 0.05, pooling: Pooling = "mean"
    ) -> None:
        """Learn which views belong together.

        Args:
            ids: of the special tokens.
            row_tokens: T.
            temperature: divides similarities.
            pooling: how a text's vector is made of its tokens'.
        """
        self.ids = ids
        self.temperature = temperature
        self.pooling: Pooling = pooling
        self.frame = Frame(row_tokens - 2, ids.begin, ids.end)

    @classmethod
    def of(cls, setting: Setting) -> Self:
        """Return the objective as a recipe asks for it."""
        config = setting.config
        return cls(setting.ids, setting.row_tokens, temperature=config.temperature, pooling=config.pooling)

    def collate(self, rows: Sequence[Any], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Stack each row twice.

        Returns:
            `input_ids` and `attention_mask`, shape (2 rows, T), the second views behind the first; `labels`,
            1 for each row, shape (rows,).
        """
        assert isinstance(rows, PackedBatch), "rows of a corpus come stacked"
        batch = encoder_inputs(rows.inputs, np.zeros_like(rows.inputs), self.ids.pad, compiled=False)
        batch.setdefault("attention_mask", torch.ones_like(batch["input_ids"]))
        twice = {name: torch.cat([value, value]) for name, value in batch.items()}
        return twice | {"labels": torch.ones(len(rows), dtype=torch.int64)}

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed loss of this worker's rows among those of all, shape (1,)."""
        mask = batch["attention_mask"]
        hidden = model.base_model(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state
        vectors = functional.normalize(pooled(hidden, mask, self.pooling).float(), dim=-1)
        first, second = vectors.chunk(2)
        return in_batch_loss(first, second, batch["labels"] != IGNORED, self.temperature)


def in_batch_loss(first: Tensor, second: Tensor, counted: Tensor, temperature: float) -> Tensor:
    """Return the summed cross-entropy of finding each row's second vector among those of all, shape (1,).

    Args:
        first: vectors of length 1, shape (rows, width).
        second: those that belong to them, shape (rows, width); all workers' are compared with.
        counted: which rows are any, shape (rows,).
        temperature: divides similarities.
    """
    others, is_row, before = _gathered(second, counted)
    similar = (first @ others.mT / temperature).masked_fill(~is_row, float("-inf"))
    own = torch.arange(len(first), device=similar.device) + before
    losses = functional.cross_entropy(similar.where(counted[:, None], 0.0), own, reduction="none")
    return losses.where(counted, 0.0).sum()[None]


def _gathered(vectors: Tensor, counted: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return the vectors of all workers, which of them are rows, and how many stand before this worker's.

    Gradients reach the workers that the vectors come from. Workers may have different numbers of rows.
    """
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return vectors, counted, 0
    sizes = [0] * dist.get_world_size()
    dist.all_gather_object(sizes, len(vectors))
    most = max(sizes)
    padding = most - len(vectors)
    wide = functional.pad(vectors, (0, 0, 0, padding)), functional.pad(counted, (0, padding))
    everywhere = torch.cat(all_gather(wide[0]))
    marks = [torch.empty_like(wide[1]) for _ in sizes]
    dist.all_gather(marks, wide[1])
    return everywhere, torch.cat(marks), most * dist.get_rank()
