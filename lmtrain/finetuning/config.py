"""A fine-tuning for each task: the same training settings, with the task's own beside them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from lmtrain.config import UNADDRESSED, Config, StageConfig
from lmtrain.training.config import TrainingConfig

LEAST_DOCUMENT = 32
"""Tokens that a document and the suffix after it must have room for."""

NAME = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$", description="A short name for this fine-tuning.")


class FinetuneConfig(TrainingConfig, StageConfig):
    """What every fine-tuning has."""

    stage: ClassVar[str] = "finetune"
    kind: ClassVar[str] = "model"
    task: ClassVar[Literal["classification", "summarization"]]

    name: str = NAME
    data: Annotated[str, UNADDRESSED] = Field(description="Alias of a labelled set under `label`.")
    num_train_epochs: float = Field(
        default=3.0, gt=0, le=10_000, description="Passes over the training examples at most."
    )
    learning_rates: list[Annotated[float, Field(gt=0, lt=10)]] = Field(
        default=[], description="Rates to try; the best on validation is kept. `learning_rate` if empty."
    )
    max_length: int = Field(default=256, ge=8, description="Tokens of an example; longer ones are cut.")
    train_batch_size: int = Field(default=32, ge=1, description="Examples in a global batch.")
    weight_decay: float = Field(default=0.01, ge=0, description="Decoupled decay of matrices.")
    eval_steps: int = Field(default=50, ge=1, description="Steps between two looks at the validation set.")
    early_stopping_patience: int | None = Field(
        default=3, ge=1, description="Looks without improvement after which to stop; never if empty."
    )
    initial: Literal["pretrained", "random"] = Field(
        default="pretrained", description="Where the weights start: set for each node, not in a recipe."
    )

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the name and where the weights start, `package-pretrained`."""
        return f"{self.name}-{self.initial}"


class ClassificationConfig(FinetuneConfig):
    """Text to one of a few labels."""

    task: ClassVar[Literal["classification", "summarization"]] = "classification"


class SummarizationConfig(FinetuneConfig):
    """A document to its summary, by a decoder that continues the document."""

    task: ClassVar[Literal["classification", "summarization"]] = "summarization"

    max_length: int = Field(default=320, ge=8, description="Tokens of document and summary together.")
    max_target_length: int = Field(default=48, ge=2, description="Tokens of a summary at most.")

    @model_validator(mode="after")
    def _leaves_room(self) -> "SummarizationConfig":
        least = self.max_target_length + LEAST_DOCUMENT
        if self.max_length < least:
            raise ValueError(
                f"{self.name}: max_length must leave room for the document beside max_target_length, "
                f"so it must be at least {least}, not {self.max_length}"
            )
        return self


class FinetuneSection(Config):
    """Fine-tunings by task."""

    classification: list[ClassificationConfig] = Field(default=[], description="Text to one label.")
    summarization: list[SummarizationConfig] = Field(default=[], description="Document to summary.")

    @model_validator(mode="after")
    def _from_both_starts(self) -> "FinetuneSection":
        for given in self.all():
            if given.initial != "pretrained":
                raise ValueError(f"{given.name}: leave initial out, both starts are trained and compared")
        return self

    def all(self) -> list[FinetuneConfig]:
        """Return all of them, in order."""
        return [*self.classification, *self.summarization]
