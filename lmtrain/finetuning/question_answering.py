"""A question to the span of a context that answers it, or to no answer (SQuAD, Rajpurkar et al. 2018).

A long context is read in windows. The place of no answer is the first token, which
windows without the answer have as their target.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lmtrain.encoding.rows import Rejection, Row
from lmtrain.encoding.windows import windows
from lmtrain.finetuning.config import QuestionAnsweringConfig
from lmtrain.finetuning.task import MODEL_INPUTS, Example, PaddedTask, TaskSetting, own_params
from lmtrain.objectives.base import Batch
from lmtrain.objectives.cross_entropy import summed_cross_entropy

NO_ANSWER = 0
"""Place of the token that stands for no answer."""


class QuestionAnswering(PaddedTask):
    """Where the first answer begins and ends, in each window of its context."""

    targets: ClassVar[Mapping[str, str]] = {"begin": "labels_of_begin", "end": "labels_of_end"}
    config: QuestionAnsweringConfig

    @classmethod
    def of(cls, setting: TaskSetting) -> Self:
        """Return the task for a model and its training examples."""
        return cls(setting)

    def encode(self, example: Example) -> list[Row] | Rejection:
        """Encode a question with each window of its context."""
        made = windows(
            self.tokenizer,
            example["question"],
            example["context"],
            self.config.max_length,
            self.config.stride,
        )
        rows = []
        for window in made:
            begin, end = NO_ANSWER, NO_ANSWER
            if example["answers"]:
                first = int(example["answer_starts"][0])
                found = window.span(first, first + len(example["answers"][0]))
                begin, end = found or (NO_ANSWER, NO_ANSWER)
            places = {"labels_of_begin": np.array(begin), "labels_of_end": np.array(end)}
            rows.append(Row(window.by_token, places))
        if example["answers"] and not any(row.whole["labels_of_end"] for row in rows):
            return Rejection("answer_in_no_window")
        return rows

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed cross-entropy of both places, in nats, shape (2,)."""
        given: dict[str, Any] = {name: batch[name] for name in MODEL_INPUTS if name in batch}
        found = model(**given)
        padding = batch["attention_mask"] == 0
        losses = [
            summed_cross_entropy(logits.float().masked_fill(padding, -1e9), batch[labels])
            for logits, labels in (
                (found.start_logits, "labels_of_begin"),
                (found.end_logits, "labels_of_end"),
            )
        ]
        return torch.stack(losses)

    def settings(self) -> dict[str, Any]:
        """Return how contexts are cut into windows."""
        params = {"max_length": self.config.max_length, "stride": self.config.stride}
        return {"pad_token_id": self.pad, **own_params(self.config, **params)}

    def use(self) -> str:
        """Return Python code for the model card."""
        return (
            "import torch\n"
            "from transformers import AutoModelForQuestionAnswering, AutoTokenizer\n\n"
            'tokenizer = AutoTokenizer.from_pretrained("FOLDER")\n'
            'model = AutoModelForQuestionAnswering.from_pretrained("FOLDER")\n'
            'inputs = tokenizer("Who wrote it?", "It was written by Ada.", return_tensors="pt")\n'
            "with torch.no_grad():\n"
            "    found = model(**inputs)\n"
            "begin, end = int(found.start_logits.argmax()), int(found.end_logits.argmax())\n"
            'print(tokenizer.decode(inputs["input_ids"][0][begin : end + 1]))'
        )
