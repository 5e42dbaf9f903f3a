"""Decoders by shape, as Transformers' configs: each token sees those before it.

Every function takes the shape, the entries of the vocabulary, the most tokens of a
row, and the special tokens.
"""

from typing import Any

from transformers import (
    BloomConfig,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    Qwen3Config,
)

from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.special_ids import SpecialIds


def gpt2(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> GPT2Config:
    """GPT-2: learned positions, layer norms before each part (Radford et al. 2019)."""
    shape = config.shape
    return GPT2Config(
        vocab_size=vocabulary,
        n_positions=positions,
        n_embd=shape.hidden_size,
        n_layer=shape.num_hidden_layers,
        n_head=shape.num_attention_heads,
        n_inner=shape.intermediate_size,
        resid_pdrop=config.dropout,
        embd_pdrop=config.dropout,
        attn_pdrop=config.dropout,
        **_special(ids),
    )


def llama(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> LlamaConfig:
    """Llama: rotary positions, RMS norms, gated feed-forward parts (Touvron et al. 2023)."""
    return LlamaConfig(**_rotary(config, vocabulary, positions, ids))


def mistral(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> MistralConfig:
    """Mistral: a Llama, here without its sliding window, which later ones have given up, too."""
    return MistralConfig(sliding_window=None, **_rotary(config, vocabulary, positions, ids))


def mixtral(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> MixtralConfig:
    """Mixtral: a Mistral with several feed-forward parts, of which a router picks for each token."""
    return MixtralConfig(
        num_local_experts=config.shape.num_local_experts,
        num_experts_per_tok=config.shape.num_experts_per_tok,
        **_rotary(config, vocabulary, positions, ids),
    )


def gemma(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> GemmaConfig:
    """Gemma: a Llama with scaled embeddings and GELU in its gates (Gemma Team 2024)."""
    return GemmaConfig(**_rotary(config, vocabulary, positions, ids))


def qwen3(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> Qwen3Config:
    """Qwen3: a Llama whose queries and keys are normalized head by head (Yang et al. 2025).

    The norms keep attention's scores in bounds at high rates: at the same rate and time it learns more
    than a Llama (`tests/benchmarks/LOG.md`).
    """
    return Qwen3Config(**_rotary(config, vocabulary, positions, ids))


def bloom(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> BloomConfig:
    """BLOOM: attention that fades with distance instead of positions (BigScience 2022).

    Its feed-forward parts are always four times as wide as it is, and it reads rows of any length.
    """
    shape = config.shape
    return BloomConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden_size,
        n_layer=shape.num_hidden_layers,
        n_head=shape.num_attention_heads,
        hidden_dropout=config.dropout,
        attention_dropout=config.dropout,
        **_special(ids),
    )


def _rotary(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> dict[str, Any]:
    """Return what the configs of Llama and of its descendants have in common."""
    shape = config.shape
    return {
        "vocab_size": vocabulary,
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_attention_heads": shape.num_attention_heads,
        "num_key_value_heads": shape.num_key_value_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.intermediate_size,
        "max_position_embeddings": positions,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "attention_dropout": config.dropout,
        "tie_word_embeddings": True,
        **_special(ids),
    }


def _special(ids: SpecialIds) -> dict[str, Any]:
    return {"bos_token_id": ids.end, "eos_token_id": ids.end, "pad_token_id": ids.pad}
