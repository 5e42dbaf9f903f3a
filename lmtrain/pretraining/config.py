"""A pretraining: a model, an objective, and how it is trained."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from lmtrain.config import Config, StageConfig
from lmtrain.modeling.config import ModelConfig
from lmtrain.training.config import TrainingConfig


class SourceShare(Config):
    """How much of one source is read."""

    source: str = Field(min_length=1, description="Alias of a source of the recipe.")
    weight: float | None = Field(
        default=None,
        ge=0,
        description="Its weight among the others, of which one by temperature has 1 on average; 0 leaves it "
        "out. By temperature if empty.",
    )
    max_epochs: float | None = Field(
        default=None, gt=0, description="Most passes over it; as for all sources if empty."
    )


class MixingConfig(Config):
    """How often rows of each source are read, chosen without tokenizing again. Left out: each as often."""

    temperature: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="A source's share goes by its tokens to this power: 1 as they are, 0 all sources alike. "
        "It is the α of mT5 and XLM-R (0.3), not the T of which it is the inverse.",
    )
    max_epochs: float | None = Field(
        default=None,
        gt=0,
        description="Most passes over any source, checked before training; no limit if empty.",
    )
    sources: list[SourceShare] = Field(
        default=[], description="Sources with a weight or a limit of their own."
    )

    @model_validator(mode="after")
    def _each_once(self) -> "MixingConfig":
        names = [given.source for given in self.sources]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"sources: {name!r} stands there {names.count(name)} times, once is right")
        return self


class PretrainConfig(ModelConfig, TrainingConfig, StageConfig):
    """Model shape, objective and training, side by side in the recipe."""

    stage: ClassVar[str] = "pretrain"
    kind: ClassVar[str] = "model"

    objective: Literal["clm"] = Field(
        default="clm", description="What is learned: clm predicts the next token."
    )
    row_tokens: int = Field(default=512, ge=8, le=1 << 20, description="Tokens in a packed row.")
    packing: Literal["concatenate", "best_fit", "none"] = Field(
        default="concatenate",
        description="How documents become rows: concatenate joins them and cuts anywhere; best_fit keeps "
        "them whole where they fit; none gives each a row of its own, those of like length together.",
    )
    mixing: MixingConfig = MixingConfig()
    max_steps: int = Field(default=600, ge=1, description="Optimizer steps.")

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return family, shape and objective, `llama-192x6-clm`."""
        return f"{self.architecture}-{self.hidden_size}x{self.num_hidden_layers}-{self.objective}"
