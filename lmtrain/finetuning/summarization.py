"""A document to its summary: a decoder goes on after the document and a fixed suffix."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from lmtrain.finetuning.config import SummarizationConfig
from lmtrain.finetuning.examples import Rejection, Row, encode_text, pad_of
from lmtrain.finetuning.task import Supervised
from lmtrain.objectives.base import IGNORED

SUFFIX = "\nTL;DR:"
"""What stands between document and summary (Radford et al. 2019)."""


class Summarization(Supervised):
    """Only the summary and its end are targets."""

    def __init__(
        self,
        config: SummarizationConfig,
        tokenizer: PreTrainedTokenizerBase,
        examples: Sequence[dict[str, Any]],
    ) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.pad = pad_of(tokenizer)
        self.suffix = tokenizer(SUFFIX)["input_ids"]

    def encode(self, example: dict[str, Any]) -> Row | Rejection:
        """Join document, suffix and summary; the document is cut to leave room for the summary."""
        room = self.config.max_length - self.config.max_target_length - len(self.suffix)
        document = encode_text(self.tokenizer, example["document"], room)
        summary = encode_text(self.tokenizer, " " + example["summary"], self.config.max_target_length - 1)
        if not document or not summary:
            return Rejection("no_tokens")
        prompt = [*document, *self.suffix]
        tokens = [*prompt, *summary, self.tokenizer.eos_token_id]
        # The label at a place is the token that comes after it.
        labels = [IGNORED] * (len(prompt) - 1) + tokens[len(prompt) :] + [IGNORED]
        return Row(np.array(tokens), np.array(labels))

    def settings(self) -> dict[str, Any]:
        """Return how prompts are made and how long summaries may be."""
        return {
            "pad_token_id": self.pad,
            "task_specific_params": {
                "summarization": {
                    "suffix": SUFFIX,
                    "max_length": self.config.max_length,
                    "max_new_tokens": self.config.max_target_length,
                }
            },
        }

    def use(self) -> str:
        """Return Python code for the model card."""
        room = self.config.max_length - self.config.max_target_length - len(self.suffix)
        return (
            "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            'tokenizer = AutoTokenizer.from_pretrained("FOLDER")\n'
            'model = AutoModelForCausalLM.from_pretrained("FOLDER")\n'
            f'document = tokenizer("a document", truncation=True, max_length={room})["input_ids"]\n'
            f"prompt = tokenizer.decode(document) + {SUFFIX!r}\n"
            'inputs = tokenizer(prompt, return_tensors="pt")\n'
            f"tokens = model.generate(**inputs, max_new_tokens={self.config.max_target_length})[0]\n"
            'print(tokenizer.decode(tokens[inputs["input_ids"].shape[1] :], skip_special_tokens=True))'
        )
