"""The shape of a model; names are those of Transformers' model configs."""

from dataclasses import replace
from itertools import pairwise

from pydantic import Field, model_validator

from lmtrain.config import Config
from lmtrain.modeling.sizes import (
    ENCODER_DECODERS,
    FACTORED,
    GATED,
    RECURRENT,
    ROTARY,
    SIZES,
    Architecture,
    Shape,
    Size,
)

HEAD_WIDTH = 64
"""Of the heads of a width that the size doesn't have."""

ROPE_THETA = 10_000.0


class ModelConfig(Config):
    """A model from scratch: a family in a size, and what differs from that size."""

    architecture: Architecture = Field(
        default="qwen3", description="Family of the model; lmtrain/modeling/README.md tells what fits which."
    )
    size: Size = Field(
        default="tiny",
        description="tiny trains on a laptop in minutes, small in a night; base and large are as published.",
    )
    hidden_size: int | None = Field(
        default=None,
        ge=8,
        description="Width of the residual stream, of ulmfit and elmo of the embeddings; by size if empty.",
    )
    num_hidden_layers: int | None = Field(
        default=None,
        ge=1,
        description="Layers, of an encoder-decoder on each side; by size if empty.",
    )
    num_attention_heads: int | None = Field(
        default=None, ge=1, description="Attention heads in a layer; by size if empty."
    )
    num_key_value_heads: int | None = Field(
        default=None, ge=1, description="Key-value heads; by size, or all, if empty."
    )
    head_dim: int | None = Field(
        default=None, ge=2, description="Width of a head; hidden_size over the heads if empty."
    )
    intermediate_size: int | None = Field(
        default=None,
        ge=8,
        description="Width of the feed-forward part, of ulmfit and elmo the cells of a layer; by size if "
        "empty, else 4 (gated: 8/3) hidden_size.",
    )
    embedding_size: int | None = Field(
        default=None, ge=8, description="Width of the embeddings (albert, electra); by size if empty."
    )
    num_local_experts: int | None = Field(
        default=None,
        ge=2,
        le=1024,
        description="Feed-forward parts to choose from (mixtral); by size if empty.",
    )
    num_experts_per_tok: int | None = Field(
        default=None, ge=1, description="How many of them a token takes (mixtral); by size if empty."
    )
    rope_theta: float = Field(
        default=ROPE_THETA, gt=0, description="Base of the rotary positions, where there are any."
    )
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of activations that are dropped. 0.1 is usual where text is seen many times.",
    )
    weight_drop: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the weights from one token to the next that are dropped (ulmfit). 0.5 is usual "
        "where text is seen many times.",
    )

    @model_validator(mode="after")
    def _is_a_model(self) -> "ModelConfig":
        for names, families in _FIELDS_OF.items():
            given = [name for name in names if getattr(self, name) != type(self).model_fields[name].default]
            if given and self.architecture not in families:
                raise ValueError(
                    f"{given[0]} is for {', '.join(sorted(families))}: leave it out for {self.architecture}"
                )
        if self.architecture in RECURRENT:
            return self
        shape = self.shape
        heads, width = shape.num_attention_heads, shape.hidden_size
        if self.head_dim is None and heads * shape.head_dim != width and shape.head_dim == width // heads:
            raise ValueError(f"hidden_size {width} must be a multiple of num_attention_heads {heads}")
        if self.architecture in ROTARY | {"modernbert"} and shape.head_dim % 2:
            raise ValueError(
                f"hidden_size {width} must be an even multiple of num_attention_heads {heads}: rotary "
                "positions turn pairs of channels"
            )
        if heads % shape.num_key_value_heads:
            raise ValueError("num_key_value_heads must divide num_attention_heads")
        if shape.num_experts_per_tok > max(1, shape.num_local_experts):
            raise ValueError("num_experts_per_tok must be at most num_local_experts")
        return self

    @property
    def shape(self) -> Shape:
        """The size's shape with what is given instead; what isn't given follows the width."""
        preset = SIZES[self.architecture][self.size]
        width = self.hidden_size or preset.hidden_size
        as_wide = width == preset.hidden_size
        heads = self.num_attention_heads or (
            preset.num_attention_heads if as_wide else max(1, width // HEAD_WIDTH)
        )
        alike = as_wide and heads == preset.num_attention_heads
        return replace(
            preset,
            hidden_size=width,
            num_hidden_layers=self.num_hidden_layers or preset.num_hidden_layers,
            num_attention_heads=heads,
            intermediate_size=self.intermediate_size
            or (preset.intermediate_size if as_wide else self._feed_forward(width)),
            num_key_value_heads=self.num_key_value_heads or (alike and preset.num_key_value_heads) or heads,
            head_dim=self.head_dim or (alike and preset.head_dim) or width // heads,
            embedding_size=self.embedding_size or min(preset.embedding_size or width, width),
            num_local_experts=self.num_local_experts or preset.num_local_experts,
            num_experts_per_tok=self.num_experts_per_tok or preset.num_experts_per_tok,
        )

    def _feed_forward(self, width: int) -> int:
        """Return 4 times the width, of a gated part 8/3 of it rounded up to 32."""
        return -(-8 * width // 3 // 32) * 32 if self.architecture in GATED else 4 * width

    def parameters(self, vocabulary: int) -> int:
        """Return about how many weights there are: those of matrices and embeddings, without positions.

        Args:
            vocabulary: entries of the tokenizer.
        """
        shape = self.shape
        if self.architecture in RECURRENT:
            return vocabulary * shape.hidden_size + _lstm_weights(self.architecture, shape)
        width, inner = shape.hidden_size, shape.num_attention_heads * shape.head_dim
        of_values = shape.num_key_value_heads * shape.head_dim
        attention = 2 * width * (inner + of_values)
        matrices = 3 if self.architecture in GATED else 2
        feed_forward = matrices * width * shape.intermediate_size * max(1, shape.num_local_experts)
        layers = 1 if self.architecture == "albert" else shape.num_hidden_layers  # its layers are one
        weights = layers * (attention + feed_forward)
        if self.architecture in ENCODER_DECODERS:
            weights += layers * (2 * attention + feed_forward)
        projection = shape.embedding_size * width if shape.embedding_size != width else 0
        return vocabulary * shape.embedding_size + projection + weights


def _lstm_weights(family: str, shape: Shape) -> int:
    """Return the weights of all layers: four gates that look at what comes in and at what came out before."""
    width, cells, layers = shape.hidden_size, shape.intermediate_size, shape.num_hidden_layers
    if family == "elmo":  # cells are projected, in two directions
        return layers * 2 * (4 * cells * (width + width) + cells * width)
    widths = [width, *[cells] * (layers - 1), width]
    return sum(4 * after * (before + after) for before, after in pairwise(widths))


_FIELDS_OF: dict[tuple[str, ...], frozenset[str]] = {
    ("num_key_value_heads", "rope_theta"): ROTARY,
    ("head_dim",): ROTARY | {"t5"},
    ("embedding_size",): FACTORED,
    ("num_local_experts", "num_experts_per_tok"): frozenset({"mixtral"}),
    ("num_attention_heads",): frozenset(SIZES) - RECURRENT,
    ("weight_drop",): frozenset({"ulmfit"}),
}
"""Fields that only some families have."""
