"""Qwen3 by shape: a Llama whose queries and keys are normalized head by head (Yang et al. 2025).

The norms keep attention's scores in bounds at high rates: at the same rate and time it learns more than
a Llama (`tests/benchmarks/LOG.md`).
"""

from transformers import Qwen3Config

from lmtrain.modeling.config import ModelConfig


def qwen3(config: ModelConfig, vocabulary: int, positions: int, end: int, pad: int) -> Qwen3Config:
    """Return the Transformers config of a Qwen3.

    Args:
        config: the shape.
        vocabulary: entries of the tokenizer.
        positions: longest row, in tokens.
        end: id of the token that opens and closes documents.
        pad: id of the padding token.
    """
    return Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads or config.num_attention_heads,
        head_dim=config.head_size,
        intermediate_size=config.feed_forward_size,
        max_position_embeddings=positions,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        tie_word_embeddings=True,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=pad,
    )
