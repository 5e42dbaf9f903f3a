"""A fine-tuning for each task, or for several: the same training settings, the task's own beside them."""

from typing import Annotated, ClassVar, Literal, NamedTuple, Self

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


class ClassificationConfig(FinetuneConfig):
    """A text, or two, to one of a few labels."""

    task: ClassVar[str] = "classification"

    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: a rare label counts as much as a frequent one."
    )


class MultiLabelConfig(FinetuneConfig):
    """A text to any number of labels."""

    task: ClassVar[str] = "multi_label"


class TokenClassificationConfig(FinetuneConfig):
    """A label for each word, such as the names in a sentence."""

    task: ClassVar[str] = "token_classification"


class QuestionAnsweringConfig(FinetuneConfig):
    """A question to the span of a context that answers it, if one does."""

    task: ClassVar[str] = "question_answering"

    max_length: int = Field(default=384, ge=16, description="Tokens of question and window together.")
    stride: int = Field(default=128, ge=0, description="Tokens that a window shares with the one before.")

    @model_validator(mode="after")
    def _windows_go_on(self) -> "QuestionAnsweringConfig":
        if self.stride > self.max_length // 4:
            raise ValueError(
                f"{self.name}: stride must be at most a quarter of max_length, {self.max_length // 4}, "
                f"not {self.stride}: half of a window may be the question"
            )
        return self


class TextToTextConfig(FinetuneConfig):
    """A text to another: a decoder goes on after it, an encoder-decoder reads it first."""

    max_length: int = Field(
        default=320,
        ge=8,
        description="Tokens of source and target together; of the source for an encoder-decoder.",
    )
    max_target_length: int = Field(default=48, ge=2, description="Tokens of a target at most.")
    prefix: str = Field(
        default="", max_length=200, description="Text before each source, such as `summarize: `."
    )

    @model_validator(mode="after")
    def _leaves_room(self) -> "TextToTextConfig":
        check_room(self.name, self.max_length, self.max_target_length)
        return self


def check_room(name: str, max_length: int, max_target_length: int) -> None:
    """Refuse a length that leaves no room for the source."""
    least = max_target_length + LEAST_SOURCE
    if max_length < least:
        raise ValueError(
            f"{name}: max_length must leave room for the source beside max_target_length, "
            f"so it must be at least {least}, not {max_length}"
        )


class SummarizationConfig(TextToTextConfig):
    """A document to its summary."""

    task: ClassVar[str] = "summarization"


class TranslationConfig(TextToTextConfig):
    """A text to the same in another language."""

    task: ClassVar[str] = "translation"


class GenerativeQaConfig(TextToTextConfig):
    """A question, with a context or without, to an answer in free words."""

    task: ClassVar[str] = "generative_qa"


class GenerationConfig(TextToTextConfig):
    """A prompt, or an instruction, to a response."""

    task: ClassVar[str] = "generation"


class DialogueConfig(TextToTextConfig):
    """The turns of a dialogue to the next one."""

    task: ClassVar[str] = "dialogue"


class VectorsConfig(FinetuneConfig):
    """Texts to vectors, which are near each other where the texts mean the same."""

    max_length: int = Field(default=128, ge=8, description="Tokens of a text; longer ones are cut.")
    pooling: Literal["first", "mean", "last"] = Field(
        default="mean", description="A text's vector is that of its first token, its last, or their mean."
    )


class SimilarityConfig(VectorsConfig):
    """Two texts to how much they mean the same: the cosine of their vectors."""

    task: ClassVar[str] = "similarity"

    best_score: float = Field(
        default=5.0, gt=0, description="Score of two texts that mean the same; 0 is the least."
    )


class RetrievalConfig(VectorsConfig):
    """A query to the passages that answer it, among many."""

    task: ClassVar[str] = "retrieval"

    temperature: float = Field(default=0.05, gt=0, description="Divides similarities; smaller is sharper.")

    @model_validator(mode="after")
    def _needs_the_others(self) -> "RetrievalConfig":
        if self.is_private:
            raise ValueError(
                f"{self.name}: retrieval has no differential_privacy: a query's loss follows from the other "
                "examples of the batch"
            )
        return self


class Part(NamedTuple):
    """One task of a model that has several.

    Attributes:
        name: of the task within the model.
        task: what it is.
        data: alias of its labelled set.
        max_target_length: tokens of a target at most; None where nothing is written.
    """

    name: str
    task: str
    data: str
    max_target_length: int | None = None


class SeveralConfig(TuningConfig):
    """Several tasks that one model learns together, and how their sets are mixed."""

    temperature: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="A set's share of the rows goes by its size to this power: 1 by size, 0 all alike.",
    )
    size_limit: int | None = Field(
        default=None,
        ge=1,
        description="Rows that a larger set counts as when shares are worked out; its own if empty.",
    )

    def parts(self) -> list[Part]:
        """Return the tasks, in the order of their labelled sets."""
        raise NotImplementedError


class JointConfig(SeveralConfig):
    """Tasks that share one body, each with a head of its own (Caruana 1997; Liu et al. 2019)."""

    task: ClassVar[str] = "joint"

    tasks: list[str] = Field(
        min_length=2,
        description="Names of fine-tunings of this recipe; what they say of their tasks holds here, too.",
    )
    weights: list[Annotated[float, Field(gt=0)]] = Field(
        default=[], description="Of the tasks' losses, in the order of `tasks`; 1 each if empty."
    )
    separately: Annotated[bool, UNADDRESSED] = Field(
        default=True, description="Whether its tasks are also trained each by itself, to compare with."
    )
    members: list[SerializeAsAny[FinetuneConfig]] = Field(
        default=[], description="Settings of the tasks: set for each node, not in a recipe."
    )

    @model_validator(mode="after")
    def _tasks_stand_beside_each_other(self) -> Self:
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"{self.name}: every one of tasks must be different")
        if self.weights and len(self.weights) != len(self.tasks):
            raise ValueError(
                f"{self.name}: give a weight for each of the {len(self.tasks)} tasks, not {len(self.weights)}"
            )
        if self.lora_rank is not None:
            raise ValueError(f"{self.name}: LoRA isn't for a joint training, which trains all weights")
        return self

    def with_members(self, given: dict[str, FinetuneConfig]) -> Self:
        """Return the config with what the fine-tunings that it names say of their tasks."""
        return self.model_copy(update={"members": [given[name].for_task_alone() for name in self.tasks]})

    def parts(self) -> list[Part]:
        """Return the tasks, in the order of their labelled sets."""
        return [Part(one.name, one.task, one.data) for one in self.members]


class TextSet(Config):
    """A labelled set whose examples are told as text."""

    data: str = Field(description="Alias of a labelled set under `label`.")
    prefix: str = Field(
        default="",
        max_length=200,
        description="Text before each source that tells the task, such as `topic: `; of each set another.",
    )
    score_step: float = Field(
        default=0.2, gt=0, description="Of similarities: what a score is rounded to a multiple of."
    )
    task: str = Field(default="", description="Of the set: set for each node, not in a recipe.")


class TextMixtureConfig(SeveralConfig):
    """Tasks that are all told as a text to another, by one model (Raffel et al. 2020)."""

    task: ClassVar[str] = "text_to_text"

    sets: list[TextSet] = Field(min_length=2, description="Labelled sets, each with its prefix.")
    max_length: int = Field(
        default=320,
        ge=8,
        description="Tokens of source and target together; of the source for an encoder-decoder.",
    )
    max_target_length: int = Field(default=48, ge=2, description="Tokens of a target at most.")

    @model_validator(mode="after")
    def _sets_are_told_apart(self) -> Self:
        for field in ("data", "prefix"):
            values = [getattr(given, field) for given in self.sets]
            if len(set(values)) < len(values):
                raise ValueError(f"{self.name}: every {field} of its sets must be different")
        check_room(self.name, self.max_length, self.max_target_length)
        return self

    def with_tasks(self, tasks: dict[str, str]) -> Self:
        """Return the config with the task of each set."""
        sets = [given.model_copy(update={"task": tasks[given.data]}) for given in self.sets]
        return self.model_copy(update={"sets": sets})

    def parts(self) -> list[Part]:
        """Return the tasks, in the order of their labelled sets."""
        return [Part(one.data, one.task, one.data, self.max_target_length) for one in self.sets]


class FinetuneSection(Config):
    """Fine-tunings by task, and those for several tasks."""

    classification: list[ClassificationConfig] = Field(
        default=[], description="A text, or two, to one label."
    )
    multi_label: list[MultiLabelConfig] = Field(default=[], description="A text to any number of labels.")
    token_classification: list[TokenClassificationConfig] = Field(
        default=[], description="A label for each word, such as named entities."
    )
    question_answering: list[QuestionAnsweringConfig] = Field(
        default=[], description="The span of a context that answers a question."
    )
    generative_qa: list[GenerativeQaConfig] = Field(default=[], description="An answer in free words.")
    summarization: list[SummarizationConfig] = Field(default=[], description="Document to summary.")
    translation: list[TranslationConfig] = Field(
        default=[], description="Text to the same in another language."
    )
    generation: list[GenerationConfig] = Field(default=[], description="Prompt, or instruction, to response.")
    dialogue: list[DialogueConfig] = Field(default=[], description="Turns of a dialogue to the next one.")
    similarity: list[SimilarityConfig] = Field(default=[], description="How much two texts mean the same.")
    retrieval: list[RetrievalConfig] = Field(
        default=[], description="Queries to the passages that answer them."
    )
    joint: list[JointConfig] = Field(
        default=[], description="Several of the above on one model, with a head for each."
    )
    text_to_text: list[TextMixtureConfig] = Field(
        default=[], description="Several tasks of one model, each told as a text to another."
    )

    @model_validator(mode="after")
    def _from_both_starts(self) -> "FinetuneSection":
        for given in [*self.all(), *self.several()]:
            if given.initial != "pretrained":
                raise ValueError(f"{given.name}: leave initial out, both starts are trained and compared")
            if given.repetition:
                raise ValueError(f"{given.name}: leave repetition out, and say with seeds how many there are")
        for given in self.joint:
            if given.members:
                raise ValueError(f"{given.name}: leave members out, tasks names them")
        for given in self.text_to_text:
            if any(one.task for one in given.sets):
                raise ValueError(f"{given.name}: leave task out, it is that of the labelled set")
        return self

    def all(self) -> list[FinetuneConfig]:
        """Return those for one task, task by task."""
        lists = [getattr(self, name) for name in type(self).model_fields]
        return [config for given in lists for config in given if isinstance(config, FinetuneConfig)]

    def several(self) -> list[SeveralConfig]:
        """Return those for several tasks."""
        return [*self.joint, *self.text_to_text]

    def trained_alone(self) -> list[FinetuneConfig]:
        """Return those for one task that are trained by themselves."""
        jointly = {name for given in self.joint if not given.separately for name in given.tasks}
        return [config for config in self.all() if config.name not in jointly]
