"""The sizes of each family: published shapes as `base` and `large`, our own as `tiny` and `small`.

`tiny` trains on a laptop within minutes, `small` within a night. Where a family was published in
other sizes than two, `base` and `large` are those that people use most; the comment names them.
"""

from dataclasses import dataclass
from typing import Literal

Architecture = Literal[
    "bert", "roberta", "albert", "distilbert", "electra", "modernbert",
    "gpt2", "llama", "mistral", "mixtral", "gemma", "bloom", "qwen3", "ulmfit",
    "elmo",
    "t5", "bart", "pegasus", "marian", "m2m100",
]  # fmt: skip
Size = Literal["tiny", "small", "base", "large"]

GATED = frozenset({"llama", "mistral", "mixtral", "gemma", "qwen3", "modernbert"})
"""Families whose feed-forward parts have three matrices instead of two."""

ROTARY = frozenset({"llama", "mistral", "mixtral", "gemma", "qwen3"})
"""Families with rotary positions, and with key-value heads of their own number."""

FACTORED = frozenset({"albert", "electra"})
"""Families whose embeddings may be narrower than their layers."""

RECURRENT = frozenset({"ulmfit", "elmo"})
"""Families of LSTMs: `hidden_size` is the width of embeddings, `intermediate_size` the cells of a layer."""

ENCODERS = ("bert", "roberta", "albert", "distilbert", "electra", "modernbert")
DECODERS = ("gpt2", "llama", "mistral", "mixtral", "gemma", "bloom", "qwen3", "ulmfit")
BOTH_DIRECTIONS = ("elmo",)
ENCODER_DECODERS = ("t5", "bart", "pegasus", "marian", "m2m100")


@dataclass(frozen=True)
class Shape:
    """How large a model is.

    Attributes:
        hidden_size: width of the residual stream.
        num_hidden_layers: layers; of an encoder-decoder so many on each side.
        num_attention_heads: in a layer.
        intermediate_size: width of the feed-forward part.
        num_key_value_heads: in a layer; all where 0.
        head_dim: width of a head; `hidden_size / num_attention_heads` where 0.
        embedding_size: width of the embeddings; `hidden_size` where 0.
        num_local_experts: feed-forward parts side by side; 0 where there is one without a router.
        num_experts_per_tok: of which each token takes so many.
    """

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    num_key_value_heads: int = 0
    head_dim: int = 0
    embedding_size: int = 0
    num_local_experts: int = 0
    num_experts_per_tok: int = 0


_TINY, _SMALL = Shape(128, 4, 2, 512), Shape(512, 8, 8, 2048)
_GATED_TINY, _GATED_SMALL = Shape(128, 4, 2, 352), Shape(512, 8, 8, 1376)
_BERT = {"base": Shape(768, 12, 12, 3072), "large": Shape(1024, 24, 16, 4096)}  # Devlin et al. 2019

SIZES: dict[str, dict[str, Shape]] = {
    "bert": {"tiny": _TINY, "small": _SMALL, **_BERT},
    "roberta": {"tiny": _TINY, "small": _SMALL, **_BERT},  # Liu et al. 2019
    "albert": {  # Lan et al. 2020
        "tiny": Shape(128, 4, 2, 512, embedding_size=64),
        "small": Shape(512, 8, 8, 2048, embedding_size=128),
        "base": Shape(768, 12, 12, 3072, embedding_size=128),
        "large": Shape(1024, 24, 16, 4096, embedding_size=128),
    },
    "distilbert": {  # Sanh et al. 2019; large: half the layers of BERT's
        "tiny": _TINY, "small": _SMALL, "base": Shape(768, 6, 12, 3072), "large": Shape(1024, 12, 16, 4096),
    },
    "electra": {  # Clark et al. 2020, whose small one has 256 channels in 12 layers
        "tiny": _TINY,
        "small": Shape(256, 12, 4, 1024, embedding_size=128),
        **_BERT,
    },
    "modernbert": {  # Warner et al. 2024
        "tiny": Shape(128, 4, 2, 192),
        "small": Shape(512, 8, 8, 768),
        "base": Shape(768, 22, 12, 1152),
        "large": Shape(1024, 28, 16, 2624),
    },
    "gpt2": {  # Radford et al. 2019: 124 M and 774 M
        "tiny": _TINY, "small": _SMALL, "base": Shape(768, 12, 12, 3072), "large": Shape(1280, 36, 20, 5120),
    },
    "llama": {  # 3.2 1B and 3.1 8B (Grattafiori et al. 2024)
        "tiny": _GATED_TINY,
        "small": _GATED_SMALL,
        "base": Shape(2048, 16, 32, 8192, num_key_value_heads=8),
        "large": Shape(4096, 32, 32, 14336, num_key_value_heads=8),
    },
    "mistral": {  # 7B (Jiang et al. 2023) and NeMo 12B
        "tiny": _GATED_TINY,
        "small": _GATED_SMALL,
        "base": Shape(4096, 32, 32, 14336, num_key_value_heads=8),
        "large": Shape(5120, 40, 32, 14336, num_key_value_heads=8, head_dim=128),
    },
    "mixtral": {  # 8x7B and 8x22B (Jiang et al. 2024)
        "tiny": Shape(128, 4, 2, 192, num_local_experts=4, num_experts_per_tok=2),
        "small": Shape(512, 8, 8, 704, num_local_experts=8, num_experts_per_tok=2),
        "base": Shape(4096, 32, 32, 14336, 8, num_local_experts=8, num_experts_per_tok=2),
        "large": Shape(6144, 56, 48, 16384, 8, num_local_experts=8, num_experts_per_tok=2),
    },
    "gemma": {  # 2B and 7B (Gemma Team 2024)
        "tiny": _GATED_TINY,
        "small": _GATED_SMALL,
        "base": Shape(2048, 18, 8, 16384, num_key_value_heads=1, head_dim=256),
        "large": Shape(3072, 28, 16, 24576, num_key_value_heads=16, head_dim=256),
    },
    "bloom": {  # 560M and 7B1 (BigScience 2022)
        "tiny": _TINY,
        "small": _SMALL,
        "base": Shape(1024, 24, 16, 4096),
        "large": Shape(4096, 30, 32, 16384),
    },
    "qwen3": {  # 0.6B and 8B (Yang et al. 2025)
        "tiny": _GATED_TINY,
        "small": _GATED_SMALL,
        "base": Shape(1024, 28, 16, 3072, num_key_value_heads=8, head_dim=128),
        "large": Shape(4096, 36, 32, 12288, num_key_value_heads=8, head_dim=128),
    },
    "ulmfit": {  # AWD-LSTMs for WikiText-2 (Merity et al. 2018a) and for enwik8 (2018b)
        "tiny": Shape(128, 2, 1, 256),
        "small": Shape(256, 3, 1, 768),
        "base": Shape(400, 3, 1, 1150),
        "large": Shape(400, 3, 1, 1840),
    },
    "elmo": {  # AllenNLP's medium and original ones (Peters et al. 2018); large: Jozefowicz et al. 2016
        "tiny": Shape(128, 2, 1, 256),
        "small": Shape(256, 2, 1, 2048),
        "base": Shape(512, 2, 1, 4096),
        "large": Shape(1024, 2, 1, 8192),
    },
    "t5": {  # Raffel et al. 2020
        "tiny": _TINY, "small": Shape(512, 6, 8, 2048, head_dim=64), **_BERT,
    },
    "bart": {  # Lewis et al. 2020
        "tiny": _TINY, "small": _SMALL, "base": Shape(768, 6, 12, 3072), "large": Shape(1024, 12, 16, 4096),
    },
    "pegasus": {  # Zhang et al. 2020
        "tiny": _TINY, "small": _SMALL, "base": _BERT["base"], "large": Shape(1024, 16, 16, 4096),
    },
    "marian": {  # transformer-align and transformer-big of OPUS-MT (Tiedemann and Thottingal 2020)
        "tiny": _TINY, "small": _SMALL, "base": Shape(512, 6, 8, 2048), "large": Shape(1024, 6, 16, 4096),
    },
    "m2m100": {  # 418M and 1.2B (Fan et al. 2021)
        "tiny": _TINY, "small": _SMALL, "base": Shape(1024, 12, 16, 4096), "large": Shape(1024, 24, 16, 8192),
    },
}  # fmt: skip
"""By family and size."""
