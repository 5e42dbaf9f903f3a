"""What every fine-tuning may set: training, search, LoRA, freezing, privacy, seeds."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from lmtrain.config import UNADDRESSED, Config, StageConfig
from lmtrain.modeling.fitting import TASKS
from lmtrain.training.config import TrainingConfig

LEAST_SOURCE = 32
"""Tokens that a source and the suffix after it must have room for."""

NAME = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$", description="A short name for this fine-tuning.")


class PrivacyConfig(Config):
    """Differential privacy for each training example (DP-SGD, Abadi et al. 2016). Left out: none.

    The guarantee is of one model, and of the weights. How many examples there are, and which labels, is
    taken to be public; so is the validation split. Models of the same examples add up: both starts
    together spend at most twice `target_epsilon`.
    """

    target_epsilon: float | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        description="The most that the whole training may spend; less is more private, and 1 to 10 is usual. "
        "Each example's gradient is clipped to max_grad_norm. No privacy if empty.",
    )
    delta: float | None = Field(
        default=None,
        gt=0,
        lt=0.5,
        description="Probability with which the guarantee may fail; 1 / (2 x training examples) if empty.",
    )

    @model_validator(mode="after")
    def _has_a_target(self) -> Self:
        if self.delta is not None and self.target_epsilon is None:
            raise ValueError("delta says nothing without target_epsilon: set that, too")
        return self


class SearchSection(Config):
    """Which settings are tried before a fine-tuning, and how soon the worse ones are given up."""

    trials: int = Field(
        default=0, ge=0, le=1000, description="Trainings with settings drawn from the ranges; 0: no search."
    )
    learning_rate: list[Annotated[float, Field(gt=0, lt=10)]] = Field(
        default=[1e-5, 1e-3],
        min_length=2,
        max_length=2,
        description="Least and greatest rate; between them rates lie evenly on a logarithmic scale.",
    )
    train_batch_size: list[Annotated[int, Field(ge=1)]] = Field(
        default=[], description="Batches to choose from; `train_batch_size` alone if empty."
    )
    grace_looks: int = Field(
        default=1, ge=1, description="Looks at the validation set before a trial may be given up."
    )
    reduction_factor: int = Field(
        default=3,
        ge=2,
        le=100,
        description="At the first look that counts, and each time after so many times as many looks, the "
        "best one of so many trials goes on.",
    )
    seed: int = Field(default=0, ge=0, description="Of the drawn settings.")

    @model_validator(mode="after")
    def _range_is_a_range(self) -> Self:
        if not self.trials and self.model_dump(exclude_defaults=True):
            raise ValueError("search: set trials, the number of trainings to try")
        low, high = self.learning_rate
        if low >= high:
            raise ValueError(
                f"search.learning_rate: the first must be less than the second, not {low:g}, {high:g}"
            )
        return self


class TuningConfig(TrainingConfig, StageConfig):
    """What every fine-tuning has, for one task or several."""

    stage: ClassVar[str] = "finetune"
    kind: ClassVar[str] = "model"
    task: ClassVar[str]

    name: str = NAME
    num_train_epochs: float = Field(
        default=3.0, gt=0, le=10_000, description="Passes over the training examples at most."
    )
    learning_rates: list[Annotated[float, Field(gt=0, lt=10)]] = Field(
        default=[], description="Rates to try; the best on validation is kept. `learning_rate` if empty."
    )
    train_batch_size: int = Field(default=32, ge=1, description="Examples in a global batch.")
    weight_decay: float = Field(default=0.01, ge=0, description="Decoupled decay of matrices.")
    eval_steps: int = Field(default=50, ge=1, description="Steps between two looks at the validation set.")
    early_stopping_patience: int | None = Field(
        default=3, ge=1, description="Looks without improvement after which to stop; never if empty."
    )
    layer_rate_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Each layer's rate as a share of that of the layer above; the head has the whole rate.",
    )
    lora_rank: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Rank of LoRA's matrices, which are trained instead of the model's own; all if empty.",
    )
    lora_alpha: float = Field(default=16.0, gt=0, description="With LoRA: divided by the rank, its scale.")
    seeds: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Trainings, with `seed` and those that follow it; scores have their mean and deviation.",
    )
    repetition: int = Field(default=0, ge=0, description="Which of them: set for each node, not in a recipe.")
    initial: Literal["pretrained", "random"] = Field(
        default="pretrained", description="Where the weights start: set for each node, not in a recipe."
    )

    @model_validator(mode="after")
    def _lora_trains_alone(self) -> Self:
        if self.lora_rank and self.optimizer != "adamw":
            raise ValueError(f"{self.name}: LoRA is trained by adamw, not by {self.optimizer}")
        if self.lora_rank and self.layer_rate_decay != 1.0:
            raise ValueError(f"{self.name}: give either lora_rank or layer_rate_decay")
        return self

    @property
    def is_private(self) -> bool:
        """Whether the training is differentially private."""
        return False

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the name, where the weights start, and which repetition it is: `package-pretrained-2`."""
        return f"{self.name}-{self.initial}" + (f"-{self.repetition}" if self.repetition else "")

    def trainings(self) -> "list[Self]":
        """Return a config for each training that a recipe asks for: from both starts, with every seed."""
        return [
            self.model_copy(
                update={"initial": initial, "repetition": number, "seed": self.seed + number, "seeds": 1}
            )
            for initial in ("pretrained", "random")
            for number in range(self.seeds)
        ]


OF_ONE_TRAINING = frozenset({"search", "gradual_unfreezing", "freeze_body", "differential_privacy"})
"""Settings that a training for several tasks has none of."""


class FinetuneConfig(TuningConfig):
    """What every fine-tuning for one task has."""

    data: Annotated[str, UNADDRESSED] = Field(description="Alias of a labelled set under `label`.")
    max_length: int = Field(default=256, ge=8, description="Tokens of an example; longer ones are cut.")
    search: SearchSection = Field(
        default=SearchSection(),
        description="Trainings that Ray Tune (ASHA) tries first: the best one's rate and batch are taken.",
    )
    gradual_unfreezing: bool = Field(
        default=False,
        description="Train the head alone in the first epoch, then a layer more with each, from the top.",
    )
    freeze_body: bool = Field(
        default=False,
        description="Train the head alone, of elmo with its mix of layers, on features that don't change.",
    )
    differential_privacy: PrivacyConfig = PrivacyConfig()

    @property
    def is_private(self) -> bool:
        """Whether the training is differentially private."""
        return self.differential_privacy.target_epsilon is not None

    @model_validator(mode="after")
    def _private_examples_stay_apart(self) -> Self:
        """Refuse what one example decides without noise, and what can't be accounted for."""
        refused = {
            "learning_rates": (len(self.learning_rates) > 1, "every rate that is tried spends privacy"),
            "search": (self.search.trials > 0, "every trial spends privacy"),
            "batch_ramp_ratio": (self.batch_ramp_ratio > 0, "each example is drawn equally often"),
            "skip_loss_spikes": (self.skip_loss_spikes, "whether a batch is skipped tells of its examples"),
            "class_weights": (
                getattr(self, "class_weights", "none") != "none",
                "the weights would follow from all examples without noise",
            ),
            "precision": (self.precision == "fp8", "its scales are those of a whole batch"),
            "gradual_unfreezing": (self.gradual_unfreezing, "the gradients of all layers are clipped as one"),
        }
        for name, (is_set, why) in refused.items():
            if self.is_private and is_set:
                raise ValueError(f"{self.name}: leave {name} out with differential_privacy: {why}")
        return self

    @model_validator(mode="after")
    def _settings_come_from_one_place(self) -> Self:
        if self.search.trials and self.learning_rates:
            raise ValueError(f"{self.name}: give either search or learning_rates")
        least = min(self.search.train_batch_size, default=self.train_batch_size)
        if self.search.trials and self.batch_ramp_ratio and self.batch_ramp_start > least:
            raise ValueError(
                f"{self.name}: batch_ramp_start {self.batch_ramp_start} must be at most the least of "
                f"search.train_batch_size, {least}"
            )
        return self

    @model_validator(mode="after")
    def _freezes_in_one_way(self) -> Self:
        ways = {"lora_rank": self.lora_rank is not None}
        ways |= {name: getattr(self, name) for name in ("gradual_unfreezing", "freeze_body")}
        given = [name for name, is_given in ways.items() if is_given]
        if len(given) > 1:
            raise ValueError(f"{self.name}: give one of {' and '.join(given)} alone")
        if self.freeze_body and not TASKS[self.task].has_new_head:
            raise ValueError(
                f"{self.name}: freeze_body would leave nothing to train, {self.task} has no head of its own"
            )
        return self

    def not_for_lstms(self) -> list[str]:
        """Return the settings that an LSTM can't be fine-tuned with: no linear maps, no rule in vmap."""
        asked = {"lora_rank": self.lora_rank is not None, "differential_privacy": self.is_private}
        return [name for name, is_asked in asked.items() if is_asked]

    def for_task_alone(self) -> Self:
        """Return what says how the task is done, with the settings of its own training left out."""
        own = set(type(self).model_fields) - set(TuningConfig.model_fields) - OF_ONE_TRAINING
        return type(self)(name=self.name, **{name: getattr(self, name) for name in own})


class SearchConfig(StageConfig):
    """A search for the settings of one fine-tuning; those of other seeds take what it finds."""

    stage: ClassVar[str] = "search"
    kind: ClassVar[str] = "settings"

    task: str = Field(description="Of the fine-tuning.")
    training: SerializeAsAny[FinetuneConfig] = Field(description="The fine-tuning, with its search.")

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the label of the fine-tuning."""
        return self.training.label(inputs)


def check_room(name: str, max_length: int, max_target_length: int) -> None:
    """Refuse a length that leaves no room for the source."""
    least = max_target_length + LEAST_SOURCE
    if max_length < least:
        raise ValueError(
            f"{name}: max_length must leave room for the source beside max_target_length, "
            f"so it must be at least {least}, not {max_length}"
        )
