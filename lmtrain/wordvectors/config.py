"""Which static vectors of words are trained, and how."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from lmtrain.config import StageConfig
from lmtrain.text.segmentation import Segmenter

Algorithm = Literal["word2vec", "fasttext", "glove"]

OF_ONE_ALGORITHM: dict[str, tuple[Algorithm, ...]] = {
    "skip_gram": ("word2vec", "fasttext"),
    "negative": ("word2vec", "fasttext"),
    "sample": ("word2vec", "fasttext"),
    "min_n": ("fasttext",),
    "max_n": ("fasttext",),
    "buckets": ("fasttext",),
    "x_max": ("glove",),
    "alpha": ("glove",),
    "batch_size": ("glove",),
}
"""Settings that not every algorithm has, and whose they are."""

EPOCHS: dict[Algorithm, int] = {"word2vec": 5, "fasttext": 5, "glove": 25}
"""Passes where the recipe doesn't say: GloVe's is over counts, and it takes more of them."""

LEARNING_RATES: dict[Algorithm, float] = {"word2vec": 0.025, "fasttext": 0.025, "glove": 0.05}
"""Rates where the recipe doesn't say: those of the authors' own programs."""


class WordVectorsConfig(StageConfig):
    """One vector for each word, whatever stands around it: what came before transformers.

    They are trained on the training split of the curated documents, and are a system of every
    labelled set that they can serve: classification, labels of words, similarity, retrieval.
    """

    stage: ClassVar[str] = "train_vectors"
    kind: ClassVar[str] = "word_vectors"

    name: str = Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$",
        description="Name in the scores, after the algorithm's: `word2vec-NAME`.",
    )
    algorithm: Algorithm = Field(
        default="word2vec",
        description="word2vec: words predict their neighbours. fasttext: so do pieces of words, which gives "
        "words a vector that were never seen. glove: counts of words that stand near each other, factored.",
    )
    vector_size: int = Field(default=100, ge=2, le=4096, description="Length of a vector.")
    window: int = Field(default=5, ge=1, le=100, description="Words to each side that count as neighbours.")
    min_count: int = Field(default=5, ge=1, description="Words that occur less often are left out.")
    max_words: int = Field(
        default=200_000, ge=2, le=10_000_000, description="So many words at most: the most frequent ones."
    )
    lowercase: bool = Field(default=True, description="Words in capitals and small letters are the same.")
    segmenter: Segmenter = Field(
        default="default",
        description="How Chinese is cut: default and jieba by jieba, characters each by itself.",
    )
    training_bytes: int = Field(
        default=1_000_000_000,
        ge=1_000,
        description="Text to train on: from more, documents are sampled by the hash of their ids.",
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Passes over the text, or over GloVe's counts. 5 if empty, for GloVe 25.",
    )
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Rate of the first step, which falls linearly; AdaGrad's for GloVe. 0.025 if empty, for "
        "GloVe 0.05.",
    )
    skip_gram: bool = Field(
        default=True,
        description="word2vec, fasttext: a word predicts each neighbour. Else all neighbours together "
        "predict the word (CBOW): faster, weaker on little text.",
    )
    negative: int = Field(
        default=5,
        ge=1,
        le=100,
        description="word2vec, fasttext: random words told apart from each right one.",
    )
    sample: float = Field(
        default=1e-3,
        ge=0,
        le=1,
        description="word2vec, fasttext: share of the text above which a word is left out now and then; 0 "
        "leaves none out.",
    )
    min_n: int = Field(default=3, ge=1, le=20, description="fasttext: characters of the shortest piece.")
    max_n: int = Field(default=6, ge=1, le=20, description="fasttext: characters of the longest piece.")
    buckets: int = Field(
        default=200_000, ge=1, le=10_000_000, description="fasttext: vectors that pieces are hashed to."
    )
    x_max: float = Field(
        default=100.0, gt=0, description="glove: from this count on, all counts weigh the same."
    )
    alpha: float = Field(
        default=0.75, gt=0, le=1, description="glove: power by which smaller counts weigh less."
    )
    batch_size: int = Field(default=4096, ge=1, description="glove: counts of one step.")
    seed: int = Field(default=0, ge=0, lt=2**32, description="Seed of the first vectors and of all draws.")

    @model_validator(mode="after")
    def _settings_fit_the_algorithm(self) -> "WordVectorsConfig":
        for name, algorithms in OF_ONE_ALGORITHM.items():
            if name in self.model_fields_set and self.algorithm not in algorithms:
                raise ValueError(
                    f"{name} is a setting of {' and '.join(algorithms)}: leave it out with {self.algorithm}"
                )
        if self.min_n > self.max_n:
            raise ValueError(f"min_n {self.min_n} must be at most max_n {self.max_n}")
        return self

    @property
    def passes(self) -> int:
        """Passes over the text, or over the counts."""
        return self.epochs or EPOCHS[self.algorithm]

    @property
    def rate(self) -> float:
        """The first learning rate."""
        return self.learning_rate or LEARNING_RATES[self.algorithm]

    @property
    def most_bytes(self) -> int:
        """Bytes of the vectors if there are as many words as may be."""
        rows = self.max_words + (self.buckets if self.algorithm == "fasttext" else 0)
        return 4 * self.vector_size * rows

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the algorithm and the name, `glove-wide`: no other system is called so."""
        return f"{self.algorithm}-{self.name}"
