"""How systems are scored."""

from importlib.util import find_spec
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lmtrain.config import Config, StageConfig
from lmtrain.errors import RecipeError

Task = Literal[
    "language_modeling", "masked_language_modeling", "classification", "multi_label", "token_classification",
    "question_answering", "generative_qa", "summarization", "translation", "generation", "dialogue",
    "similarity", "retrieval", "bias", "memorization",
]  # fmt: skip

BASELINES: dict[str, tuple[str, ...]] = {
    "language_modeling": ("bigram", "xz"),
    "masked_language_modeling": ("frequencies",),
    "classification": ("majority", "tfidf"),
    "multi_label": ("majority", "tfidf"),
    "token_classification": ("most_frequent",),
    "question_answering": ("no_answer", "nearest_sentence"),
    "generative_qa": ("nearest_sentence",),
    "summarization": ("first_sentence",),
    "translation": ("copy",),
    "generation": ("copy",),
    "dialogue": ("copy",),
    "similarity": ("tfidf_cosine",),
    "retrieval": ("tfidf_cosine",),
    "bias": (),
    "memorization": (),
}
"""The systems that every task is compared with."""


WORD_VECTORS = "word_vectors"
"""Kind of the artifacts with static vectors, and what a config calls such a system."""

WORD_VECTOR_TASKS = ("classification", "multi_label", "token_classification", "similarity", "retrieval")
"""Tasks that static vectors can serve."""

PROBED_LANGUAGES = ("en", "zh")
"""Languages that bias is probed in."""


class LighterSection(Config):
    """Lighter versions of a model, made when it is loaded."""

    int8: bool = Field(
        default=False,
        description="Linear maps with weights of eight bits (torchao: pip install 'lmtrain[quantization]').",
    )
    pruned: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        default=[],
        description="Shares of the weights of linear maps that are set to zero, the smallest first.",
    )

    @model_validator(mode="after")
    def _each_share_once(self) -> Self:
        if len(set(self.pruned)) < len(self.pruned):
            raise ValueError(f"pruned: name each share once, not {self.pruned}")
        return self

    def check(self) -> None:
        """Refuse what needs a package that isn't installed.

        Raises:
            RecipeError: torchao is missing.
        """
        if self.int8 and find_spec("torchao") is None:
            raise RecipeError(
                "evaluate.lighter.int8 needs the package torchao: pip install 'lmtrain[quantization]', "
                "or set it to false"
            )

    def each(self) -> "list[LighterSection]":
        """Return every one of these versions by itself."""
        int8 = [LighterSection(int8=True)] if self.int8 else []
        return int8 + [LighterSection(pruned=[share]) for share in self.pruned]

    @property
    def name(self) -> str:
        """How one version is called, `int8` or `pruned-30`; empty of a model as it is."""
        return "int8" if self.int8 else "".join(f"pruned-{100 * share:g}" for share in self.pruned)


class EvaluateSection(Config):
    """How many resamples, and how much is generated."""

    bootstrap_samples: int = Field(
        default=1000, ge=10, le=100_000, description="Resamples for the intervals."
    )
    max_generated: int = Field(
        default=200, ge=1, description="Test examples that a generating task is scored on."
    )
    max_documents: int = Field(
        default=1000, ge=1, description="Test documents that language models are scored on, chosen by hash."
    )
    num_beams: int = Field(default=1, ge=1, le=16, description="Beams when generating; 1 is greedy.")
    seed: int = Field(default=0, ge=0, description="Seed of the resampling.")
    language: Literal["en", "zh", "ja", "ko"] | None = Field(
        default=None, description="Language of the sets, for metrics' tokens; the preset's if empty."
    )
    target_language: Literal["en", "zh", "ja", "ko", "de"] | None = Field(
        default=None, description="Language of translations, for metrics' tokens; `language` if empty."
    )
    lighter: LighterSection = Field(
        default=LighterSection(),
        description="Lighter versions of each model that are scored beside it, with their size and speed.",
    )


class EvaluateConfig(StageConfig, EvaluateSection):
    """One system on one data set."""

    stage: ClassVar[str] = "evaluate"
    kind: ClassVar[str] = "scores"
    version: ClassVar[int] = 2

    task: Task
    system: str = Field(description="`model`, `word_vectors`, or the name of a baseline.")
    dataset: str = Field(description="Name of the data set in the scores.")
    max_target_length: int = Field(default=48, ge=1, description="Tokens of a generated summary at most.")
    part: str = Field(
        default="", description="Which of its tasks, by name, a model that was trained for several is asked."
    )

    @property
    def tokens_of(self) -> str:
        """The language whose way to cut text into tokens holds: English where none is named."""
        return self.language or "en"

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the system and the set, `tfidf-package` or `first-pretrained-int8-package`."""
        system = inputs["system"][0] if inputs.get("system") else self.system
        return "-".join(part for part in (system, self.lighter.name, self.dataset) if part)
