"""Fine-tunings for several tasks: heads on one body, or all tasks told as text."""

from typing import Annotated, ClassVar, NamedTuple, Self

from pydantic import Field, SerializeAsAny, model_validator

from lmtrain.config import UNADDRESSED, Config
from lmtrain.finetuning.general_config import FinetuneConfig, TuningConfig, check_room


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
