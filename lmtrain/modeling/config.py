"""The shape of a model; names are those of Transformers' model configs."""

from typing import Literal

from pydantic import Field, model_validator

from lmtrain.config import Config


class ModelConfig(Config):
    """A model from scratch."""

    architecture: Literal["llama", "qwen3"] = Field(
        default="qwen3", description="Family of the model. qwen3 is llama with norms of queries and keys."
    )
    hidden_size: int = Field(default=192, ge=8, description="Width of the residual stream.")
    num_hidden_layers: int = Field(default=6, ge=1, description="Number of layers.")
    num_attention_heads: int = Field(default=6, ge=1, description="Attention heads in a layer.")
    num_key_value_heads: int | None = Field(default=None, ge=1, description="Key-value heads; all if empty.")
    intermediate_size: int | None = Field(
        default=None, ge=8, description="Width of the feed-forward part; 8/3 of hidden_size if empty."
    )
    rope_theta: float = Field(default=10_000.0, gt=0, description="Base of the rotary positions.")

    @model_validator(mode="after")
    def _heads_divide(self) -> "ModelConfig":
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ValueError(
                f"hidden_size {self.hidden_size} must be an even multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )
        if self.num_key_value_heads and self.num_attention_heads % self.num_key_value_heads:
            raise ValueError("num_key_value_heads must divide num_attention_heads")
        return self

    @property
    def feed_forward_size(self) -> int:
        """Width of the feed-forward part: as given, else 8/3 of hidden_size rounded up to 32."""
        return self.intermediate_size or -(-8 * self.hidden_size // 3 // 32) * 32

    @property
    def head_size(self) -> int:
        """Width of an attention head."""
        return self.hidden_size // self.num_attention_heads

    def parameters(self, vocabulary: int) -> int:
        """Return the number of weights, with input and output embeddings shared."""
        kv = (self.num_key_value_heads or self.num_attention_heads) / self.num_attention_heads
        attention = int(self.hidden_size**2 * (2 + 2 * kv))
        layer = attention + 3 * self.hidden_size * self.feed_forward_size + 2 * self.hidden_size
        if self.architecture == "qwen3":
            layer += 2 * self.head_size
        return vocabulary * self.hidden_size + self.num_hidden_layers * layer + self.hidden_size
