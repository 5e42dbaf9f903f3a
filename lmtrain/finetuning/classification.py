"""Text to one of a few labels, read off the last token of a decoder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from lmtrain.errors import StageError
from lmtrain.finetuning.config import ClassificationConfig
from lmtrain.finetuning.examples import Rejection, Row, encode_text, pad_of
from lmtrain.finetuning.task import Supervised


class Classification(Supervised):
    """The text's first `max_length` tokens decide its label."""

    def __init__(
        self,
        config: ClassificationConfig,
        tokenizer: PreTrainedTokenizerBase,
        examples: Sequence[dict[str, Any]],
    ) -> None:
        """Take the labels from the training examples.

        Raises:
            StageError: there are fewer than two labels.
        """
        self.config = config
        self.tokenizer = tokenizer
        self.pad = pad_of(tokenizer)
        self.labels = sorted({example["label"] for example in examples})
        if len(self.labels) < 2:
            raise StageError(f"{config.name}: the training examples have one label only: {self.labels}")
        self.number = {label: number for number, label in enumerate(self.labels)}

    def encode(self, example: dict[str, Any]) -> Row | Rejection:
        """Encode the text as the exported folder's tokenizer does; the label becomes its number."""
        if example["label"] not in self.number:
            return Rejection("unknown_label")
        tokens = encode_text(self.tokenizer, example["text"], self.config.max_length)
        if not tokens:
            return Rejection("no_tokens")
        return Row(np.array(tokens), np.array([self.number[example["label"]]]))

    def settings(self) -> dict[str, Any]:
        """Return the labels and the length at which texts are cut."""
        return {
            "num_labels": len(self.labels),
            "id2label": dict(enumerate(self.labels)),
            "label2id": self.number,
            "pad_token_id": self.pad,
            "task_specific_params": {"classification": {"max_length": self.config.max_length}},
        }

    def use(self) -> str:
        """Return Python code for the model card."""
        return (
            "from transformers import pipeline\n\n"
            'classify = pipeline("text-classification", model="FOLDER")\n'
            f'print(classify("a text", truncation=True, max_length={self.config.max_length}))'
        )
