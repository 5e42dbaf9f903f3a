"""What an objective is: rows to a batch, and a batch to a loss. It sees neither rank nor step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.objectives.config import ObjectiveConfig
from lmtrain.objectives.packed import Frame

IGNORED = -100
"""Label of what is no target."""

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Setting:
    """What an objective over documents is made from.

    Attributes:
        config: its own settings.
        ids: of the special tokens.
        vocabulary: entries of the tokenizer.
        row_tokens: T, the most tokens that the model reads at once.
        packed: whether rows hold several documents.
        compiled: whether losses are compiled.
        routes: whether the model sends tokens to experts.
    """

    config: ObjectiveConfig
    ids: SpecialIds
    vocabulary: int
    row_tokens: int
    packed: bool
    compiled: bool
    routes: bool = False


class Objective(Protocol):
    """What is learned.

    Attributes:
        targets: for each loss by its name the entry of a batch that holds its targets. Losses are added
            up, each divided by how many targets differ from `IGNORED`, over the whole global batch.
    """

    targets: Mapping[str, str]

    def collate(self, rows: Sequence[Any], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Turn rows into a batch; what is random is keyed by (seed, epoch, row)."""
        ...

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return each loss, summed over its targets, in nats, shape (losses,)."""
        ...


class Pretraining(Objective, Protocol):
    """An objective over documents."""

    frame: Frame | None
    """Of the pieces of documents that it reads; None to learn what follows."""

    @classmethod
    def of(cls, setting: Setting) -> Self:
        """Return the objective as a recipe asks for it."""
        ...


@runtime_checkable
class TakesPartners(Protocol):
    """An objective whose rows need others beside them, from anywhere in the data."""

    def partners(self, indices: np.ndarray, epochs: np.ndarray, seed: int, rows: int) -> np.ndarray:
        """Return the row that stands beside each, shape (indices,); `collate` gets them behind the others.

        Args:
            indices: of the rows.
            epochs: of each.
            seed: of the training.
            rows: how many rows there are.
        """
        ...


def generator(seed: int, epoch: int, row: int, purpose: int = 0) -> np.random.Generator:
    """Return what draws for a row: it follows from these numbers alone (Philox, Salmon et al. 2011).

    Args:
        seed: of the training.
        epoch: of the row.
        row: its number.
        purpose: keeps draws for different ends apart.
    """
    return np.random.Generator(np.random.Philox(key=[seed, purpose], counter=[0, 0, row, epoch]))
