"""What is kept of a corpus: presets of thresholds that a recipe may change, copies, a quality classifier."""

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from lmtrain.config import UNADDRESSED, Config, StageConfig
from lmtrain.curation.presets import NAMES, PRESETS, QUALITY, SWITCHES, thresholds_of
from lmtrain.curation.privacy.config import PrivacyConfig
from lmtrain.entries import PATHS


class RecurringConfig(Config):
    """Which lines or paragraphs are boilerplate."""

    min_documents: int = Field(
        default=0, ge=0, description="Documents in which one stands, from which it is removed; 0: never."
    )
    min_characters: int = Field(default=20, ge=1, description="Shorter ones are left where they are.")

    @field_validator("min_documents")
    @classmethod
    def _more_than_one(cls, documents: int) -> int:
        if documents == 1:
            raise ValueError("min_documents of 1 would be every line: set 2 or more, or 0 for none")
        return documents


class DeduplicationConfig(Config):
    """How copies are found: exact ones by hash, near ones by MinHash, verified by their Jaccard index."""

    shingle_words: int = Field(
        default=5, ge=1, le=20, description="Words (characters in Chinese) in a shingle."
    )
    bands: int = Field(default=14, ge=1, le=64, description="Bands of the locality-sensitive hash.")
    rows: int = Field(default=8, ge=1, le=32, description="MinHashes in a band.")
    threshold: float = Field(
        default=0.8, gt=0, le=1, description="Jaccard index from which a document is a copy."
    )
    keep: Literal["longest", "first", "best_score"] = Field(
        default="longest",
        description="Which one of copies is kept, once test goes before validation before train: the "
        "longest, the first in the corpora's order, or the one with the best `score_column`.",
    )
    score_column: str | None = Field(
        default=None,
        description="For `keep: best_score`: a number that curation computes (`language_score`; "
        "`quality`, the classifier's score), or a field of the metadata. Documents without it come last; "
        "equal ones by length.",
    )

    lines: RecurringConfig = Field(
        default=RecurringConfig(), description="Lines that recur, removed from texts before they are judged."
    )
    paragraphs: RecurringConfig = Field(
        default=RecurringConfig(), description="Paragraphs (between empty lines) that recur, likewise."
    )

    @model_validator(mode="after")
    def _has_a_score(self) -> "DeduplicationConfig":
        if (self.keep == "best_score") != (self.score_column is not None):
            raise ValueError(
                "`keep: best_score` and `score_column` go together: "
                f"keep is {self.keep}, score_column is {self.score_column or 'not set'}"
            )
        return self


class ListsConfig(Config):
    """Documents that go by lists of addresses and words; what the lists hold enters the digest."""

    domains: Annotated[list[str], UNADDRESSED] = Field(
        default=[], description=PATHS + "Hosts: each stands for those below it too, `x.org` for `a.x.org`."
    )
    urls: Annotated[list[str], UNADDRESSED] = Field(
        default=[], description=PATHS + "Addresses of documents, compared as they are written."
    )
    url_words: Annotated[list[str], UNADDRESSED] = Field(
        default=[], description=PATHS + "Words of an address, between what isn't a letter or digit."
    )
    soft_url_words: Annotated[list[str], UNADDRESSED] = Field(
        default=[], description=PATHS + "Words of which an address may have some."
    )
    soft_url_words_limit: int = Field(
        default=2, ge=1, description="Different words of `soft_url_words` from which an address is dropped."
    )
    url_substrings: Annotated[list[str], UNADDRESSED] = Field(
        default=[], description=PATHS + "What the letters and digits of an address, joined, may not hold."
    )
    bad_words: Annotated[dict[str, list[str]], UNADDRESSED] = Field(
        default={},
        description=PATHS + "By language (`en`, `zh`): words that a text may not have; anywhere in it in "
        "Chinese, Japanese and Thai, as whole words elsewhere.",
    )
    digest: str = Field(default="", description="SHA-256 of the entries; found when a run is planned.")


class CurateConfig(StageConfig):
    """Filters in the order in which they are applied, and deduplication."""

    stage: ClassVar[str] = "curate"
    kind: ClassVar[str] = "documents"
    version: ClassVar[int] = 3
    unaddressed_inputs: ClassVar[frozenset[str]] = frozenset({"removals"})

    preset: Literal["english", "gopher", "c4", "fineweb", "chinese", "japanese", "korean", "none"] = Field(
        default="english",
        description="Language and its thresholds: `gopher`, `c4` and `fineweb` have the published ones for "
        "English web pages, `chinese`, `japanese` and `korean` FineWeb-2's, `english` suits documentation "
        "too, `none` keeps all but copies.",
    )
    thresholds: dict[str, float] = Field(
        default={},
        description="Thresholds that differ from the preset's, by name. A `min_` of 0 keeps all; "
        "a `drop_`, `remove_` or `split_` is 1, on, or 0, off.",
    )
    lists: ListsConfig = ListsConfig()
    keep_share: float = Field(
        default=1,
        gt=0,
        le=1,
        description="Share of the documents that all filters keep which stays: those that the classifier "
        "scores best, exactly, before copies are looked for (DCLM keeps 0.1). 1 keeps all.",
    )
    segmenter: Literal["default", "jieba", "characters"] = Field(
        default="default", description="How Chinese is cut into words."
    )
    decontaminate: Annotated[list[str], UNADDRESSED] = Field(
        default=[],
        description="Aliases of labelled sets of files: a document that shares 13 words in a row with one "
        "of their test examples is dropped.",
    )
    earlier: Annotated[list[str], UNADDRESSED] = Field(
        default=[],
        description="Documents that are curated already, `documents/NAME-DIGEST` under the root: what is a "
        "copy of one of theirs is dropped. List every earlier batch.",
    )
    privacy: PrivacyConfig = Field(
        default=PrivacyConfig(), description="What is done about personal data: see `action`."
    )
    deduplication: DeduplicationConfig = DeduplicationConfig()
    keep_text: Literal["examples", "all"] = Field(
        default="examples", description="Text of 20 dropped documents a reason is kept, or of all."
    )

    @field_validator("thresholds")
    @classmethod
    def _known_and_possible(cls, thresholds: dict[str, float]) -> dict[str, float]:
        for name, value in thresholds.items():
            if name not in NAMES:
                raise ValueError(f"no threshold {name!r}; there are: {', '.join(NAMES)}")
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{name} must be a number of 0 or more, got {value}")
            if name in SWITCHES and value not in (0, 1):
                raise ValueError(f"{name} must be 1 (on) or 0 (off), got {value:g}")
        return thresholds

    @model_validator(mode="after")
    def _score_or_share(self) -> "CurateConfig":
        least = self.thresholds.get(QUALITY)
        if self.keep_share < 1 and least:
            raise ValueError(
                f"keep_share {self.keep_share:g} and thresholds.{QUALITY} {least:g} both cut by the "
                "classifier's score: set one of them"
            )
        return self

    @property
    def language(self) -> str | None:
        """ISO 639 code of what is kept; None takes each document by its own."""
        return PRESETS[self.preset].language

    @property
    def all_thresholds(self) -> dict[str, float]:
        """The preset's thresholds with the recipe's own."""
        return thresholds_of(self.preset, self.thresholds, self.segmenter)

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the sources and the preset, `python-english`."""
        return "-".join([*inputs["corpora"], self.preset])


class EarlierConfig(StageConfig):
    """Stands in the graph for documents that are there already: they are never made by the recipe."""

    stage: ClassVar[str] = "earlier"
    kind: ClassVar[str] = "documents"


class ClassifierConfig(StageConfig):
    """A quality classifier, trained on a labelled set; `min_quality`, `keep_share`, `best_score` go by it.

    The defaults are those from which held-out accuracy no longer rose, on prose against
    shuffled prose and on reviews whose labels are noisy, in English and Chinese.
    """

    stage: ClassVar[str] = "train_classifier"
    kind: ClassVar[str] = "classifier"

    data: Annotated[str | None, UNADDRESSED] = Field(
        default=None,
        description="Alias of a labelled set of files under `label`, with two labels. Empty: no classifier.",
    )
    positive: str = Field(
        default="good", min_length=1, description="The label of what is kept: a score of 1 stands for it."
    )
    ngrams: int = Field(default=2, ge=1, le=5, description="Words (characters in Chinese) in an n-gram.")
    bucket_bits: int = Field(
        default=20, ge=10, le=26, description="N-grams are hashed into 2 to the power of so many weights."
    )
    num_train_epochs: int = Field(default=20, ge=1, le=1000, description="Passes over the training examples.")
    learning_rate: float = Field(
        default=3.0, gt=0, le=100, description="Rate of the first step; it falls linearly to 0."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the order of the examples.")

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the labelled set's name."""
        return inputs["labelled"][0]
