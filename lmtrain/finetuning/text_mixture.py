"""Several tasks of one model, each told as a text to another, T5's way (Raffel et al. 2020).

In: the examples of each set. Out: rows of one kind, whose targets count alike whichever their set.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from lmtrain.encoding.rows import Rejection, Row
from lmtrain.encoding.told import SEPARATOR, told
from lmtrain.finetuning.config import TextToTextConfig
from lmtrain.finetuning.mixing import Numbered
from lmtrain.finetuning.several_config import TextMixtureConfig, TextSet
from lmtrain.finetuning.task import Example, TaskSetting
from lmtrain.finetuning.text_to_text import TextToText
from lmtrain.objectives.base import Batch


class ToldSet(TextToText):
    """One set of a mixture."""

    def __init__(self, setting: TaskSetting, given: TextSet) -> None:
        """Tell examples as text.

        Args:
            setting: with the config of the mixture.
            given: which set it is.
        """
        of_all: TextMixtureConfig = setting.config
        own = TextToTextConfig(
            name=of_all.name,
            data=given.data,
            prefix=given.prefix,
            max_length=of_all.max_length,
            max_target_length=of_all.max_target_length,
        )
        self.given = given
        self.examples = setting.examples
        alone = TaskSetting(own, setting.tokenizer, setting.family, setting.examples)
        super().__init__(alone, told(given.task, given.score_step))

    def encode(self, example: Example) -> list[Row] | Rejection:
        """Encode source and target; a label that couldn't be told from two is refused."""
        if any(SEPARATOR.strip() in label for label in example.get("labels") or ()):
            return Rejection("label_with_comma")
        return super().encode(example)

    def told_params(self) -> dict[str, Any]:
        """Return how its prompts are made, and what answers there are."""
        params = {**self.params(), "task": self.given.task}
        if self.given.task == "classification":
            params["labels"] = sorted({example["label"] for example in self.examples})
        if self.given.task == "multi_label":
            params["labels"] = sorted({label for example in self.examples for label in example["labels"]})
        if self.given.task == "similarity":
            scores = [float(example["score"]) for example in self.examples]
            params["range"] = [min(scores), max(scores)]
        return params


class TextMixture:
    """All sets of a mixture as one objective: cross-entropy of the targets, whichever their set."""

    def __init__(
        self,
        config: TextMixtureConfig,
        tokenizer: PreTrainedTokenizerBase,
        family: str,
        examples: Sequence[Sequence[Example]],
    ) -> None:
        """Tell the examples of each set.

        Args:
            config: which sets there are.
            tokenizer: of the model.
            family: of the model.
            examples: for training, of each set.
        """
        self.sets = [
            ToldSet(TaskSetting(config, tokenizer, family, own), given)
            for given, own in zip(config.sets, examples, strict=True)
        ]
        self.targets: Mapping[str, str] = self.sets[0].targets
        self.loss = self.sets[0].loss

    def collate(self, rows: Sequence[Numbered], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Pad rows on the right."""
        return self.sets[0].collate([row for _, row in rows], indices, epochs, seed)

    def settings(self) -> dict[str, Any]:
        """Return how prompts are made, by set, as the model's config keeps it."""
        params = {one.given.data: one.told_params() for one in self.sets}
        return {"pad_token_id": self.sets[0].pad, "task_specific_params": {"text_to_text": params}}

    def use(self) -> str:
        """Return Python code that uses the first set, for the model card."""
        return self.sets[0].use()
