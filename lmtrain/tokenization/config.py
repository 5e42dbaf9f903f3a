"""Which tokenizer, and how shards are cut."""

from typing import ClassVar, Literal

from pydantic import Field

from lmtrain.config import Config, StageConfig


class TokenizeSection(Config):
    """The tokenizer to train, and the shards to write with it."""

    model: Literal["bpe"] = Field(default="bpe", description="Kind of tokenizer: byte-level BPE.")
    vocab_size: int = Field(
        default=4096, ge=300, le=1_000_000, description="Entries, special tokens included."
    )
    min_frequency: int = Field(default=2, ge=1, description="Least number of times that a pair is seen.")
    shard_tokens: int = Field(
        default=2_000_000, ge=1000, description="A shard is closed once it has so many tokens."
    )

    def tokenizer(self) -> "TokenizerConfig":
        """Return the config of the tokenizer's training."""
        return TokenizerConfig(model=self.model, vocab_size=self.vocab_size, min_frequency=self.min_frequency)

    def shards(self) -> "ShardsConfig":
        """Return the config of the shards."""
        return ShardsConfig(shard_tokens=self.shard_tokens)


class TokenizerConfig(StageConfig):
    """A tokenizer to be trained on the training split."""

    stage: ClassVar[str] = "train_tokenizer"
    kind: ClassVar[str] = "tokenizer"

    model: Literal["bpe"] = "bpe"
    vocab_size: int = 4096
    min_frequency: int = 2

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the kind and size, `bpe-4096`."""
        return f"{self.model}-{self.vocab_size}"


class ShardsConfig(StageConfig):
    """How token shards are cut."""

    stage: ClassVar[str] = "tokenize"
    kind: ClassVar[str] = "shards"

    shard_tokens: int = 2_000_000
    batch_rows: int = 512

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the documents and the tokenizer."""
        return "-".join([*inputs["documents"], *inputs["tokenizer"]])
