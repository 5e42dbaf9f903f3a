"""Llama by shape: a decoder with rotary positions, RMS norms and gated feed-forward layers."""

from typing import Any

from transformers import LlamaConfig

from lmtrain.modeling.config import ModelConfig


def llama(config: ModelConfig, vocabulary: int, positions: int, end: int, pad: int) -> LlamaConfig:
    """Return the Transformers config of a Llama.

    Args:
        config: the shape.
        vocabulary: entries of the tokenizer.
        positions: longest row, in tokens.
        end: id of the token that opens and closes documents.
        pad: id of the padding token.
    """
    return LlamaConfig(**llama_fields(config, vocabulary, positions, end, pad))


def llama_fields(config: ModelConfig, vocabulary: int, positions: int, end: int, pad: int) -> dict[str, Any]:
    """Return what Llama and its descendants have in common; arguments as `llama` has them."""
    return {
        "vocab_size": vocabulary,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads or config.num_attention_heads,
        "intermediate_size": config.feed_forward_size,
        "max_position_embeddings": positions,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
        "tie_word_embeddings": True,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": pad,
    }
