"""Which tokenizer, and how shards are cut."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from lmtrain.canaries import CanaryConfig
from lmtrain.config import UNADDRESSED, Config, StageConfig

Algorithm = Literal["bpe", "wordpiece", "unigram"]
Family = Literal["gpt2", "bert", "roberta", "t5"]


class TokenizerSettings(Config):
    """How a tokenizer is made from text."""

    model: Algorithm = Field(
        default="bpe",
        description="bpe: byte-level, decodes to every text. wordpiece: BERT's, a word that has no pieces "
        "is unknown. unigram: T5's, falls back to bytes.",
    )
    vocab_size: int = Field(
        default=4096, ge=300, le=1_000_000, description="Entries, special tokens included."
    )
    min_frequency: int = Field(
        default=2, ge=1, description="Least number of times that a pair is seen (bpe, wordpiece)."
    )
    special_tokens: Family = Field(
        default="gpt2",
        description="Whose special tokens: gpt2 <|endoftext|>; bert [CLS] [SEP] [MASK]; roberta (and BART) "
        "<s> </s> <mask>; t5 </s> and 100 sentinels.",
    )
    training_bytes: int = Field(
        default=1_000_000_000,
        ge=1_000_000,
        description="Text to train on: from more, documents are sampled by the hash of their ids.",
    )


class TokenizeSection(TokenizerSettings):
    """The tokenizer to train or to take, and the shards to write with it."""

    existing: str = Field(
        default="",
        description="A tokenizer to take instead: a Hugging Face folder (local, s3:// or hf://owner/name). "
        "The settings of the training must then be left out.",
    )
    shard_tokens: int = Field(
        default=2_000_000, ge=1000, description="A shard is closed once it has so many tokens."
    )
    sentence_starts: bool = Field(
        default=False, description="Keep at which tokens sentences begin, for objectives over sentences."
    )
    word_starts: bool = Field(
        default=False,
        description="Keep at which tokens words begin (of jieba in Chinese), to mask them whole.",
    )

    canaries: CanaryConfig = CanaryConfig()

    @model_validator(mode="after")
    def _one_tokenizer(self) -> "TokenizeSection":
        changed = [name for name in TokenizerSettings.model_fields if name in self.model_fields_set]
        if self.existing and changed:
            raise ValueError(f"existing and {changed[0]} exclude each other: a tokenizer is taken or trained")
        return self

    def tokenizer(self) -> "TokenizerConfig":
        """Return the config of the tokenizer; that of an existing one lacks its digest still."""
        trained = {name: getattr(self, name) for name in TokenizerSettings.model_fields}
        return TokenizerConfig(**trained, existing=self.existing)

    def shards(self) -> "ShardsConfig":
        """Return the config of the shards."""
        return ShardsConfig(
            shard_tokens=self.shard_tokens,
            sentence_starts=self.sentence_starts,
            word_starts=self.word_starts,
            canaries=self.canaries,
        )


class TokenizerConfig(TokenizerSettings, StageConfig):
    """A tokenizer to be trained on the training split, or taken from a folder."""

    stage: ClassVar[str] = "train_tokenizer"
    kind: ClassVar[str] = "tokenizer"

    existing: Annotated[str, UNADDRESSED] = ""
    digest: str = Field(default="", description="SHA-256 of an existing tokenizer's files.")

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the kind and size, `bpe-4096`, or the folder's name."""
        if self.existing:
            return self.existing.rstrip("/").rsplit("/", 1)[-1]
        return f"{self.model}-{self.vocab_size}"


class ShardsConfig(StageConfig):
    """How token shards are cut."""

    stage: ClassVar[str] = "tokenize"
    kind: ClassVar[str] = "shards"

    shard_tokens: int = 2_000_000
    batch_rows: int = 512
    sentence_starts: bool = False
    word_starts: bool = False
    canaries: CanaryConfig = CanaryConfig()

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the documents and the tokenizer."""
        return "-".join([*inputs["documents"], *inputs["tokenizer"]])
