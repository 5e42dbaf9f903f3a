"""How systems are scored."""

from typing import ClassVar, Literal

from pydantic import Field

from lmtrain.config import Config, StageConfig

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


class EvaluateConfig(StageConfig, EvaluateSection):
    """One system on one data set."""

    stage: ClassVar[str] = "evaluate"
    kind: ClassVar[str] = "scores"

    task: Task
    system: str = Field(description="`model`, `word_vectors`, or the name of a baseline.")
    dataset: str = Field(description="Name of the data set in the scores.")
    max_target_length: int = Field(default=48, ge=1, description="Tokens of a generated summary at most.")

    @property
    def tokens_of(self) -> str:
        """The language whose way to cut text into tokens holds: English where none is named."""
        return self.language or "en"

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the system and the set, `tfidf-package`."""
        system = inputs["system"][0] if inputs.get("system") else self.system
        return f"{system}-{self.dataset}"
