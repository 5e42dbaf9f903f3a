"""Encoders by shape, as Transformers' configs: each token sees all of its text.

Every function takes the shape, the entries of the vocabulary, the most tokens of a
row, and the special tokens.
"""

from typing import Any

from transformers import (
    AlbertConfig,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    RobertaConfig,
)

from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.special_ids import SpecialIds


def bert(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> BertConfig:
    """BERT: learned positions, two kinds of segments (Devlin et al. 2019)."""
    return BertConfig(**_common(config, vocabulary, positions, ids))


def roberta(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> RobertaConfig:
    """RoBERTa: BERT, whose positions are counted from behind the padding token's id (Liu et al. 2019)."""
    common = _common(config, vocabulary, positions + ids.pad + 1, ids)
    return RobertaConfig(layer_norm_eps=1e-5, **common)


def albert(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> AlbertConfig:
    """ALBERT: narrow embeddings, and one layer that is gone through again and again (Lan et al. 2020)."""
    return AlbertConfig(
        embedding_size=config.shape.embedding_size,
        classifier_dropout_prob=config.dropout,
        **_common(config, vocabulary, positions, ids),
    )


def electra(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> ElectraConfig:
    """ELECTRA's discriminator, which tells real tokens from made ones (Clark et al. 2020)."""
    return ElectraConfig(
        embedding_size=config.shape.embedding_size, **_common(config, vocabulary, positions, ids)
    )


def distilbert(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> DistilBertConfig:
    """DistilBERT: BERT with half of its layers, without segments (Sanh et al. 2019)."""
    shape = config.shape
    return DistilBertConfig(
        vocab_size=vocabulary,
        max_position_embeddings=positions,
        dim=shape.hidden_size,
        n_layers=shape.num_hidden_layers,
        n_heads=shape.num_attention_heads,
        hidden_dim=shape.intermediate_size,
        dropout=config.dropout,
        attention_dropout=config.dropout,
        **_special(ids),
    )


def modernbert(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> ModernBertConfig:
    """ModernBERT: rotary positions, gates, and windows in two layers of three (Warner et al. 2024)."""
    shape = config.shape
    return ModernBertConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.num_hidden_layers,
        num_attention_heads=shape.num_attention_heads,
        intermediate_size=shape.intermediate_size,
        max_position_embeddings=positions,
        attention_dropout=config.dropout,
        embedding_dropout=config.dropout,
        mlp_dropout=config.dropout,
        cls_token_id=ids.begin,
        sep_token_id=ids.end,
        **_special(ids),
    )


def _common(config: ModelConfig, vocabulary: int, positions: int, ids: SpecialIds) -> dict[str, Any]:
    """Return what the configs of BERT and of its next of kin have in common."""
    shape = config.shape
    return {
        "vocab_size": vocabulary,
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_attention_heads": shape.num_attention_heads,
        "intermediate_size": shape.intermediate_size,
        "max_position_embeddings": positions,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        **_special(ids),
    }


def _special(ids: SpecialIds) -> dict[str, Any]:
    return {"bos_token_id": ids.begin, "eos_token_id": ids.end, "pad_token_id": ids.pad}
