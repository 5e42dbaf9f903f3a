"""A text, or two, to one of a few labels, or to any number of them."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from lmtrain.encoding.rows import Rejection, Row
from lmtrain.encoding.texts import encode_pair
from lmtrain.errors import StageError
from lmtrain.finetuning.task import Example, PaddedTask, TaskSetting, logits_of, own_params
from lmtrain.objectives.base import IGNORED, Batch


class Classification(PaddedTask):
    """The first `max_length` tokens decide the label."""

    targets: ClassVar[Mapping[str, str]] = {"labels": "labels"}

    def __init__(self, setting: TaskSetting) -> None:
        """Take the labels from the training examples.

        Raises:
            StageError: there are fewer than two labels.
        """
        super().__init__(setting)
        counts = Counter(label for example in setting.examples for label in self._labels_of(example))
        self.labels = sorted(counts)
        if len(self.labels) < 2:
            raise StageError(f"{self.config.name}: the training examples have one label only: {self.labels}")
        self.number = {label: number for number, label in enumerate(self.labels)}
        self.weights = self._weights(counts)

    @classmethod
    def of(cls, setting: TaskSetting) -> Self:
        """Return the task for a model and its training examples."""
        return cls(setting)

    def encode(self, example: Example) -> list[Row] | Rejection:
        """Encode the text as the exported folder's tokenizer does; the label becomes its number."""
        if any(label not in self.number for label in self._labels_of(example)):
            return Rejection("unknown_label")
        arrays = encode_pair(
            self.tokenizer, example["text"], example.get("text_pair"), self.config.max_length
        )
        if not len(arrays["input_ids"]):
            return Rejection("no_tokens")
        return [Row(arrays, {"labels": self._target(example)})]

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed cross-entropy of the labels, in nats, shape (1,)."""
        logits, labels = logits_of(model, batch).float(), batch["labels"]
        losses = functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
        if self.weights is not None:
            weights = torch.tensor(self.weights, device=labels.device)
            losses = losses * weights[labels.clamp(min=0)]
        return losses.sum()[None]

    def settings(self) -> dict[str, Any]:
        """Return the labels and the length at which texts are cut."""
        return {
            "num_labels": len(self.labels),
            "id2label": dict(enumerate(self.labels)),
            "label2id": self.number,
            "pad_token_id": self.pad,
            "problem_type": "single_label_classification",
            **own_params(self.config, max_length=self.config.max_length),
        }

    def use(self) -> str:
        """Return Python code for the model card."""
        return (
            "from transformers import pipeline\n\n"
            'classify = pipeline("text-classification", model="FOLDER")\n'
            f'print(classify("a text", truncation=True, max_length={self.config.max_length}))'
        )

    def _labels_of(self, example: Example) -> list[str]:
        return [example["label"]]

    def _target(self, example: Example) -> np.ndarray:
        return np.array(self.number[example["label"]])

    def _weights(self, counts: Counter[str]) -> list[float] | None:
        """Return a weight for each label, 1 on average over the examples; None where all are alike."""
        if getattr(self.config, "class_weights", "none") == "none":
            return None
        return [counts.total() / (len(self.labels) * counts[label]) for label in self.labels]


class MultiLabel(Classification):
    """Each label is yes or no by itself."""

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed cross-entropy of every label's yes or no, in nats, shape (1,)."""
        logits, labels = logits_of(model, batch).float(), batch["labels"]
        counted = labels != IGNORED
        losses = functional.binary_cross_entropy_with_logits(
            logits, labels.clamp(min=0).to(logits.dtype), reduction="none"
        )
        return losses.where(counted, 0.0).sum()[None]

    def settings(self) -> dict[str, Any]:
        """Return the labels and the length at which texts are cut."""
        return {**super().settings(), "problem_type": "multi_label_classification"}

    def use(self) -> str:
        """Return Python code for the model card."""
        return super().use().replace("truncation=True", "top_k=None, truncation=True")

    def _labels_of(self, example: Example) -> list[str]:
        return list(example["labels"])

    def _target(self, example: Example) -> np.ndarray:
        given = set(example["labels"])
        return np.array([int(label in given) for label in self.labels])
