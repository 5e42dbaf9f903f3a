"""A label for each word: names of people and places, parts of speech."""

from typing import Any, Self

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

from lmtrain.encoding.rows import Rejection, Row
from lmtrain.encoding.words import encode_words
from lmtrain.errors import StageError
from lmtrain.finetuning.task import Example, PaddedTask, TaskSetting, logits_of, own_params
from lmtrain.objectives.base import IGNORED, Batch
from lmtrain.objectives.cross_entropy import summed_cross_entropy


class TokenClassification(PaddedTask):
    """Each word's first token has its label; words beyond `max_length` are left out in training."""

    def __init__(self, setting: TaskSetting) -> None:
        """Take the labels from the training examples.

        Raises:
            StageError: there are fewer than two labels.
        """
        super().__init__(setting)
        self.labels = sorted({tag for example in setting.examples for tag in example["tags"]})
        if len(self.labels) < 2:
            raise StageError(f"{self.config.name}: the training examples have one label only: {self.labels}")
        self.number = {label: number for number, label in enumerate(self.labels)}

    @classmethod
    def of(cls, setting: TaskSetting) -> Self:
        """Return the task for a model and its training examples."""
        return cls(setting)

    def encode(self, example: Example) -> list[Row] | Rejection:
        """Encode words one by one."""
        if any(tag not in self.number for tag in example["tags"]):
            return Rejection("unknown_label")
        ids, places = encode_words(self.tokenizer, example["tokens"], self.config.max_length)
        labels = np.full(len(ids), IGNORED)
        for place, tag in zip(places, example["tags"], strict=False):
            if place >= 0:
                labels[place] = self.number[tag]
        if (labels == IGNORED).all():
            return Rejection("no_tokens")
        return [Row({"input_ids": np.array(ids), "labels": labels})]

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed cross-entropy of the words' labels, in nats, shape (1,)."""
        return summed_cross_entropy(logits_of(model, batch), batch["labels"])[None]

    def settings(self) -> dict[str, Any]:
        """Return the labels and the length at which sentences are cut."""
        return {
            "num_labels": len(self.labels),
            "id2label": dict(enumerate(self.labels)),
            "label2id": self.number,
            "pad_token_id": self.pad,
            **own_params(self.config, max_length=self.config.max_length),
        }

    def use(self) -> str:
        """Return Python code for the model card."""
        return (
            "from transformers import pipeline\n\n"
            'tag = pipeline("token-classification", model="FOLDER", aggregation_strategy="simple")\n'
            'print(tag("a sentence"))'
        )
