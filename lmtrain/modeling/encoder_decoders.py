"""Encoder-decoders by shape, as Transformers' configs: a text is read whole, another written token by token.

Every function takes the shape, the entries of the vocabulary, the most tokens of a
row, and the special tokens. Both sides share their embeddings.
"""

from typing import Any

from transformers import BartConfig, M2M100Config, MarianConfig, PegasusConfig, T5Config

from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.special_ids import SpecialIds


def t5(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> T5Config:
    """T5: positions by distance, norms without means (Raffel et al. 2020). It reads rows of any length."""
    shape = config.shape
    start: dict[str, Any] = {"decoder_start_token_id": ids.pad}
    return T5Config(
        vocab_size=vocabulary,
        d_model=shape.hidden_size,
        d_kv=shape.head_dim,
        d_ff=shape.intermediate_size,
        num_layers=shape.num_hidden_layers,
        num_heads=shape.num_attention_heads,
        dropout_rate=config.dropout,
        **start,
        eos_token_id=ids.end,
        pad_token_id=ids.pad,
    )


def bart(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> BartConfig:
    """BART: learned positions, norms behind each part (Lewis et al. 2020)."""
    return BartConfig(bos_token_id=ids.begin, **_common(config, vocabulary, positions, ids, start=ids.end))


def pegasus(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> PegasusConfig:
    """Pegasus: fixed positions, norms before each part (Zhang et al. 2020)."""
    return PegasusConfig(scale_embedding=True, **_common(config, vocabulary, positions, ids, start=ids.pad))


def marian(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> MarianConfig:
    """Marian: fixed positions, norms behind each part, Swish (Junczys-Dowmunt et al. 2018)."""
    return MarianConfig(
        scale_embedding=True,
        activation_function="swish",
        **_common(config, vocabulary, positions, ids, start=ids.pad),
    )


def m2m100(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> M2M100Config:
    """M2M100: fixed positions, norms before each part, one model for many languages (Fan et al. 2021)."""
    common = _common(config, vocabulary, positions, ids, start=ids.end)
    return M2M100Config(
        bos_token_id=ids.begin, encoder_layerdrop=0.0, decoder_layerdrop=0.0, scale_embedding=True, **common
    )


def _common(
    config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds, start: int
) -> dict[str, Any]:
    """Return what the configs of BART and of its next of kin have in common."""
    shape = config.shape
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (
            ("layers", shape.num_hidden_layers),
            ("attention_heads", shape.num_attention_heads),
            ("ffn_dim", shape.intermediate_size),
        )
    }
    return {
        "vocab_size": vocabulary,
        "d_model": shape.hidden_size,
        "max_position_embeddings": positions,
        "dropout": config.dropout,
        "attention_dropout": config.dropout,
        "decoder_start_token_id": start,
        "eos_token_id": ids.end,
        "forced_eos_token_id": None,  # a text ends where the model says so
        "pad_token_id": ids.pad,
        **sides,
    }
