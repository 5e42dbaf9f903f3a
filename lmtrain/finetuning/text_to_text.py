"""A text to another: summaries, translations, answers, responses, turns of a dialogue.

A decoder goes on after source and suffix; an encoder-decoder reads the source and
writes the target. Only the target and its end are learned.
"""

from typing import Any, Self

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel

from lmtrain.encoding.prompts import PROMPTS, Prompt
from lmtrain.encoding.rows import Rejection, Row
from lmtrain.encoding.texts import encode_text
from lmtrain.encoding.words import is_cjk
from lmtrain.finetuning.config import TextToTextConfig
from lmtrain.finetuning.task import Example, PaddedTask, TaskSetting, own_params
from lmtrain.modeling.heads import features_of, output_bias, output_layer
from lmtrain.modeling.products import product_of
from lmtrain.modeling.special_ids import special_ids
from lmtrain.objectives.base import IGNORED, Batch
from lmtrain.objectives.cross_entropy import chunked_cross_entropy
from lmtrain.objectives.seq2seq import seq2seq_loss


class TextToText(PaddedTask):
    """The prompt of the task (`lmtrain.encoding.prompts`), and its first target."""

    config: TextToTextConfig

    def __init__(self, setting: TaskSetting, prompt: Prompt | None = None) -> None:
        """Learn to write the targets of a prompt; the task's own if none is given."""
        super().__init__(setting)
        self.prompt = prompt or PROMPTS[self.config.task]
        self.writes_apart = setting.is_encoder_decoder
        self.ids = special_ids(self.tokenizer, self.config.name)
        self.suffix = encode_text(self.tokenizer, self.prompt.suffix, 100, framed=False)

    @classmethod
    def of(cls, setting: TaskSetting) -> Self:
        """Return the task for a model and its training examples."""
        return cls(setting)

    def encode(self, example: Example) -> list[Row] | Rejection:
        """Encode source and target; the source is cut to leave room for the target."""
        targets = self.prompt.targets(example)
        if not targets:
            return Rejection("no_target")
        text = self.config.prefix + self.prompt.source(example)
        most = self.config.max_target_length
        if self.writes_apart:
            source = encode_text(self.tokenizer, text, self.config.max_length)
            target = encode_text(self.tokenizer, targets[0], most - 1, framed=False)
            if not source or not target:
                return Rejection("no_tokens")
            return [Row({"input_ids": np.array(source), "labels": np.array([*target, self.ids.end])})]
        source = encode_text(self.tokenizer, text, self._room(), framed=False)
        target = encode_text(self.tokenizer, spaced(targets[0]), most - 1, framed=False)
        if not source or not target:
            return Rejection("no_tokens")
        prompt = [*source, *self.suffix]
        tokens = [*prompt, *target, self.ids.end]
        # The label at a place is the token that comes after it.
        labels = [IGNORED] * (len(prompt) - 1) + tokens[len(prompt) :] + [IGNORED]
        return [Row({"input_ids": np.array(tokens), "labels": np.array(labels)})]

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed cross-entropy of the targets, in nats, shape (1,)."""
        if self.writes_apart:
            return seq2seq_loss(model, batch)
        found = model.base_model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False
        )
        features, head = features_of(model, found.last_hidden_state), output_layer(model)
        return chunked_cross_entropy(
            features,
            head.weight,
            batch["labels"],
            bias=output_bias(model),
            product=product_of(head, features),
        )[None]

    def settings(self) -> dict[str, Any]:
        """Return how prompts are made and how long targets may be."""
        return {"pad_token_id": self.pad, **own_params(self.config, **self.params())}

    def params(self) -> dict[str, Any]:
        """Return how prompts are made and how long targets may be."""
        return {
            "prefix": self.config.prefix,
            "suffix": "" if self.writes_apart else self.prompt.suffix,
            "max_length": self.config.max_length,
            "max_new_tokens": self.config.max_target_length,
        }

    def use(self) -> str:
        """Return Python code for the model card."""
        kind = "AutoModelForSeq2SeqLM" if self.writes_apart else "AutoModelForCausalLM"
        opening = (
            f"from transformers import {kind}, AutoTokenizer\n\n"
            'tokenizer = AutoTokenizer.from_pretrained("FOLDER")\n'
            f'model = {kind}.from_pretrained("FOLDER")\n'
            f"text = {self.config.prefix!r} + 'a source'\n"
        )
        most = self.config.max_target_length
        if self.writes_apart:
            return opening + (
                f"inputs = tokenizer(text, truncation=True, max_length={self.config.max_length}, "
                'return_tensors="pt", return_token_type_ids=False)\n'
                f"tokens = model.generate(**inputs, max_new_tokens={most})[0]\n"
                "print(tokenizer.decode(tokens, skip_special_tokens=True))"
            )
        return opening + (
            f'source = tokenizer(text, truncation=True, max_length={self._room()})["input_ids"]\n'
            f"prompt = tokenizer.decode(source) + {self.prompt.suffix!r}\n"
            'inputs = tokenizer(prompt, return_tensors="pt")\n'
            f"tokens = model.generate(**inputs, max_new_tokens={most})[0]\n"
            'print(tokenizer.decode(tokens[inputs["input_ids"].shape[1] :], skip_special_tokens=True))'
        )

    def _room(self) -> int:
        """Return the tokens of a source at most, before a decoder's suffix and target."""
        return self.config.max_length - self.config.max_target_length - len(self.suffix)


def spaced(text: str) -> str:
    """Return a text with the space that parts it from what stands before, where its script has one."""
    return text if is_cjk(text[:1]) else f" {text}"
