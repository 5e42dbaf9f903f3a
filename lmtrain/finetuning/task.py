"""What a task is: an objective over labelled rows, with a head and a way to encode examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from lmtrain.encoding.rows import Rejection, Row, pad_of, pad_rows
from lmtrain.finetuning.general_config import FinetuneConfig
from lmtrain.modeling.sizes import DECODERS, ENCODER_DECODERS
from lmtrain.objectives.base import Batch, Objective

Example = dict[str, Any]
"""What `lmtrain.schemas.TASK_COLUMNS` says of the task, with the base columns."""


@dataclass(frozen=True)
class TaskSetting:
    """What a task is made from.

    Attributes:
        config: its settings.
        tokenizer: of the model.
        family: of the model, as recipes name it.
        examples: for training, from which it learns what it needs to know, such as its labels.
    """

    config: Any
    tokenizer: PreTrainedTokenizerBase
    family: str
    examples: Sequence[Example]

    @property
    def is_decoder(self) -> bool:
        """Whether the model reads a text from left to right."""
        return self.family in DECODERS

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the model reads one text and writes another."""
        return self.family in ENCODER_DECODERS


class Task(Objective, Protocol):
    """What a model is fine-tuned for."""

    @classmethod
    def of(cls, setting: TaskSetting) -> Self:
        """Return the task for a model and its training examples.

        Raises:
            StageError: nothing can be learned from these examples.
        """
        ...

    def encode(self, example: Example) -> list[Row] | Rejection:
        """Turn an example into rows, mostly one, or say why not."""
        ...

    def settings(self) -> dict[str, Any]:
        """Return the fields of the model's config that the task sets.

        What evaluation needs to know stands in `task_specific_params`, under the task's name.
        """
        ...

    def use(self) -> str:
        """Return Python code that uses the exported folder, for the model card."""
        ...


class PaddedTask:
    """A task whose rows are stacked as they are. Nothing is random."""

    targets: ClassVar[Mapping[str, str]] = {"labels": "labels"}
    config: Any

    def __init__(self, setting: TaskSetting) -> None:
        self.config = setting.config
        self.tokenizer = setting.tokenizer
        self.pad = pad_of(setting.tokenizer)

    def collate(self, rows: Sequence[Row], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Pad rows on the right."""
        return pad_rows(rows, self.pad)


MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def logits_of(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Return what a head says of a batch."""
    given: dict[str, Any] = {name: batch[name] for name in MODEL_INPUTS if name in batch}
    return model(**given).logits


def own_params(config: FinetuneConfig, **params: Any) -> dict[str, Any]:
    """Return what evaluation needs to know, as a model's config keeps it."""
    return {"task_specific_params": {config.task: params}}
