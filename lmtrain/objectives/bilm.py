"""Language modeling in both directions: what follows a token, and what stands before it."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lmtrain.modeling.heads import output_layer
from lmtrain.modeling.products import product_of
from lmtrain.objectives.base import IGNORED, Batch, Setting
from lmtrain.objectives.cross_entropy import chunked_cross_entropy
from lmtrain.objectives.packed import stacked


class BidirectionalLM:
    """The loss of each direction (Peters et al. 2018), over rows of one document each."""

    targets: ClassVar[Mapping[str, str]] = {"forward": "labels", "backward": "backward_labels"}
    frame = None

    def __init__(self, pad: int, *, compiled: bool = False) -> None:
        """Learn the tokens on both sides.

        Args:
            pad: id of the padding token.
            compiled: whether the loss is compiled.
        """
        self.pad = pad
        self.compiled = compiled

    @classmethod
    def of(cls, setting: Setting) -> Self:
        """Return the objective as a recipe asks for it."""
        return cls(setting.ids.pad, compiled=setting.compiled)

    def collate(self, rows: Sequence, indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Stack rows of what follows, and close each with its last target.

        Backwards that one is the first to be read: a row of n targets has n in both directions.

        Args:
            rows: of one width T (`lmtrain.objectives.packed.PackedRow`, or a batch of them).
            indices: not used; nothing here is random.
            epochs: not used.
            seed: not used.

        Returns:
            `input_ids`, `attention_mask`, `labels` and `backward_labels`, each of shape (rows, T + 1).
        """
        given = stacked(rows)
        tokens = np.full((len(given.inputs), given.inputs.shape[1] + 1), -1, dtype=np.int64)
        tokens[:, :-1] = given.inputs
        tokens[:, 1:] = np.where(given.targets >= 0, given.targets, tokens[:, 1:])
        used = tokens >= 0
        outside = np.full((len(tokens), 1), -1, dtype=np.int64)
        after = np.concatenate([tokens[:, 1:], outside], axis=1)
        before = np.concatenate([outside, tokens[:, :-1]], axis=1)
        batch = {
            "input_ids": np.where(used, tokens, self.pad),
            "attention_mask": used.astype(np.int64),
            "labels": np.where(after >= 0, after, IGNORED),
            "backward_labels": np.where(used & (before >= 0), before, IGNORED),
        }
        return {name: torch.from_numpy(value) for name, value in batch.items()}

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed loss of each direction, in nats, shape (2,)."""
        hidden = model.base_model(batch["input_ids"], batch["attention_mask"]).last_hidden_state
        head = output_layer(model)
        directions = [
            one.contiguous() for one in hidden.chunk(2, dim=-1)
        ]  # oneDNN is slow in views of halves
        losses = [
            chunked_cross_entropy(
                one,
                head.weight,
                batch[name],
                compiled=self.compiled,
                product=product_of(head, one),
            )
            for one, name in zip(directions, self.targets.values(), strict=True)
        ]
        return torch.stack(losses)
