"""A pretraining: a model, an objective, and how it is trained."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from lmtrain.config import Config, StageConfig
from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.fitting import OBJECTIVES, Packing, objectives_of, packings_of
from lmtrain.modeling.sizes import SIZES
from lmtrain.objectives.config import ObjectiveConfig
from lmtrain.training.config import OptimizerName, ScheduleName, TrainingConfig

ADAM_RATE = 1e-3
"""Peak rate of an optimizer other than Muon, where the recipe doesn't say."""

_TOLD = {name: field.description for name, field in TrainingConfig.model_fields.items()}
"""What every training says of its fields; here some have another default."""


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


class PretrainConfig(ModelConfig, ObjectiveConfig, TrainingConfig, StageConfig):
    """Model shape, objective and training, side by side in the recipe.

    Defaults are what learned most in a given time (`tests/benchmarks/LOG.md`): queries and keys
    normalized, Muon, a rate that falls in a line to nothing.
    """

    stage: ClassVar[str] = "pretrain"
    kind: ClassVar[str] = "model"
    version: ClassVar[int] = 3

    row_tokens: int = Field(
        default=512, ge=8, le=1 << 20, description="The most tokens that the model reads at once: a row."
    )
    packing: Packing = Field(
        default="concatenate",
        description="How documents become rows: concatenate joins them and cuts anywhere; best_fit keeps "
        "them whole where they fit; none gives each a row of its own, those of like length together. "
        "As objective and family allow if empty.",
    )
    mixing: MixingConfig = MixingConfig()
    max_steps: int = Field(default=600, ge=1, description="Optimizer steps.")
    optimizer: OptimizerName = Field(default="muon", description=_TOLD["optimizer"])
    learning_rate: float = Field(
        default=0.02,
        gt=0,
        lt=10,
        description=f"Peak rate (with Muon that of the hidden matrices); with others {ADAM_RATE:g} if empty.",
    )
    lr_scheduler_type: ScheduleName = Field(default="linear", description=_TOLD["lr_scheduler_type"])
    min_lr_ratio: float = Field(default=0.0, ge=0, le=1, description=_TOLD["min_lr_ratio"])

    @model_validator(mode="before")
    @classmethod
    def _what_is_usual(cls, given: Any) -> Any:
        """Fill in the rate of the optimizer, and how rows are made for the objective."""
        if not isinstance(given, dict):
            return given
        usual: dict[str, Any] = {}
        if given.get("optimizer", "muon") != "muon":
            usual["learning_rate"] = ADAM_RATE
        objective, family = (
            given.get(name, cls.model_fields[name].default) for name in ("objective", "architecture")
        )
        if objective in OBJECTIVES and family in SIZES:
            usual["packing"] = packings_of(objective, family)[0]
        return usual | given

    @model_validator(mode="after")
    def _fits_the_family(self) -> "PretrainConfig":
        fits = OBJECTIVES[self.objective]
        if self.architecture not in fits.families:
            raise ValueError(
                f"objective {self.objective} doesn't train {self.architecture} (it trains "
                f"{', '.join(fits.families)}; {self.architecture} is trained by "
                f"{', '.join(objectives_of(self.architecture))})"
            )
        packings = packings_of(self.objective, self.architecture)
        if self.packing not in packings:
            raise ValueError(
                f"packing {self.packing} doesn't go with {self.objective} and {self.architecture}: "
                f"set it to {' or '.join(packings)}"
            )
        return self

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return family, shape and objective, `qwen3-128x4-clm`."""
        return f"{self.architecture}-{self.shape.hidden_size}x{self.shape.num_hidden_layers}-{self.objective}"


LanguageModeling = Literal["language_modeling", "masked_language_modeling"]


def language_modeling_task(config: PretrainConfig) -> LanguageModeling | None:
    """Return the task that the model is scored on as it is; none where it says no tokens by itself."""
    head = OBJECTIVES[config.objective].head_of(config.architecture)
    if head in ("causal", "both_directions"):  # of both the one that reads from left to right
        return "language_modeling"
    return "masked_language_modeling" if head in ("masked", "pairs") else None
