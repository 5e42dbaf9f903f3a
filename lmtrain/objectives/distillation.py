"""Distillation: a student learns what a teacher says of the same rows (DistilBERT, Sanh et al. 2019).

    loss = w T² KL(teacher / T || student / T) + (1 − w) cross-entropy of the text + c (1 − cosine)

over the masked tokens (of an encoder) or all (of a decoder): T softens what both say, the cosine is that
of their last hidden states, for which they must be equally wide.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from lmtrain.modeling.heads import features_of, output_bias, output_layer
from lmtrain.objectives.base import IGNORED, Batch
from lmtrain.objectives.clm import CausalLM
from lmtrain.objectives.mlm import MaskedLM, encoder_arguments

TOKENS_AT_ONCE = 1024
"""Tokens whose logits, of both models, stand in memory at once."""


class Distillation:
    """A language modeling objective, with a teacher's targets beside those of the text."""

    targets: ClassVar[Mapping[str, str]] = {"distillation": "labels"}

    def __init__(
        self,
        base: MaskedLM | CausalLM,
        teacher: PreTrainedModel,
        *,
        temperature: float = 2.0,
        weight: float = 0.5,
        cosine: float = 0.0,
    ) -> None:
        """Learn from a teacher.

        Args:
            base: makes the batches.
            teacher: with the same vocabulary, on the device of the student; it doesn't learn.
            temperature: softens both.
            weight: share of the teacher's targets.
            cosine: weight of the angle between hidden states.
        """
        self.base = base
        self.frame = base.frame
        self.teacher = teacher.eval().requires_grad_(False)
        self.temperature = temperature
        self.weight = weight
        self.cosine = cosine

    def collate(self, rows: Sequence[Any], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Make batches as the objective below does."""
        return self.base.collate(rows, indices, epochs, seed)

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed loss, shape (1,)."""
        student, labels = self._targets(model, batch)
        with torch.no_grad():
            teacher, _ = self._targets(self.teacher, batch)
        total = student.new_zeros((), dtype=torch.float32)
        for at in range(0, len(labels), TOKENS_AT_ONCE):
            chunk = slice(at, at + TOKENS_AT_ONCE)
            total = total + checkpoint(
                self._of_tokens, model, student[chunk], teacher[chunk], labels[chunk], use_reentrant=False
            )
        return total[None]

    def _targets(self, model: PreTrainedModel, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return last hidden states of the tokens that count, and what they are."""
        base = self.base
        if isinstance(base, CausalLM) and not base.packed:  # padding stands behind, where nothing sees it
            batch = {name: value for name, value in batch.items() if name != "document"}
        arguments = encoder_arguments(model, batch)
        if isinstance(base, CausalLM):
            arguments["use_cache"] = False
        hidden = model.base_model(**arguments).last_hidden_state.flatten(0, 1)
        labels = batch["labels"].flatten()
        return (hidden[batch["places"]] if "places" in batch else hidden), labels

    def _of_tokens(self, model: PreTrainedModel, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        counted = labels != IGNORED
        logits = _logits(model, student)
        with torch.no_grad():
            wanted = _logits(self.teacher, teacher) / self.temperature
        soft = functional.kl_div(
            (logits / self.temperature).log_softmax(-1),
            wanted.log_softmax(-1),
            reduction="none",
            log_target=True,
        ).sum(-1)
        hard = functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
        losses = self.weight * self.temperature**2 * soft + (1 - self.weight) * hard
        if self.cosine:
            losses = losses + self.cosine * (
                1 - functional.cosine_similarity(student, teacher, dim=-1).float()
            )
        return losses.where(counted, 0.0).sum()


def _logits(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    logits = functional.linear(features_of(model, hidden), output_layer(model).weight, output_bias(model))
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
