"""Every family by name and size: published shapes, and what it is refused."""

import pytest
from transformers import (
    BartConfig,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    GemmaConfig,
    GPT2Config,
    M2M100Config,
    MistralConfig,
    MixtralConfig,
    ModernBertConfig,
    PegasusConfig,
    RobertaConfig,
)

from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.registry import ARCHITECTURES

IDS = SpecialIds(begin=0, end=2, pad=1, mask=3)
NAMES = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "num_key_value_heads",
    "head_dim", "embedding_size", "num_local_experts", "num_experts_per_tok", "d_model", "d_kv", "d_ff",
    "encoder_layers", "decoder_layers", "encoder_ffn_dim", "decoder_ffn_dim", "encoder_attention_heads",
    "dim", "hidden_dim", "n_layers", "n_heads", "n_embd", "n_layer", "n_head",
)  # fmt: skip


@pytest.mark.parametrize(
    ("family", "size", "published"),
    [
        ("bert", "base", BertConfig()),
        ("roberta", "base", RobertaConfig()),
        ("distilbert", "base", DistilBertConfig()),
        ("electra", "small", ElectraConfig()),
        ("modernbert", "base", ModernBertConfig()),
        ("gpt2", "base", GPT2Config(n_inner=3072)),
        ("mistral", "base", MistralConfig()),
        ("mixtral", "base", MixtralConfig()),
        ("gemma", "large", GemmaConfig()),
        ("bart", "large", BartConfig()),
        ("m2m100", "base", M2M100Config()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_sizes_are_those_that_transformers_has_as_its_defaults(family, size, published):
    made = ARCHITECTURES.get(family)(ModelConfig(architecture=family, size=size), 100, 512, IDS)
    for name in NAMES:
        if getattr(published, name, None) is not None:
            assert getattr(made, name) == getattr(published, name), name


def test_pegasus_large_has_sixteen_layers_on_each_side():
    made = ARCHITECTURES.get("pegasus")(ModelConfig(architecture="pegasus", size="large"), 100, 512, IDS)
    assert isinstance(made, PegasusConfig)
    assert (made.encoder_layers, made.decoder_layers, made.d_model) == (16, 16, 1024)


def test_what_is_not_given_follows_the_width():
    shape = ModelConfig(architecture="llama", size="base", hidden_size=256).shape
    assert (shape.num_attention_heads, shape.head_dim, shape.num_key_value_heads) == (4, 64, 4)
    assert shape.intermediate_size == 704
    assert shape.num_hidden_layers == 16
    assert ModelConfig(architecture="gpt2", hidden_size=256).shape.intermediate_size == 1024


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"architecture": "bert", "num_key_value_heads": 1},
            "num_key_value_heads is for .*llama.*: leave it out",
        ),
        ({"architecture": "llama", "embedding_size": 64}, "embedding_size is for albert, electra"),
        ({"architecture": "bert", "rope_theta": 5.0}, "rope_theta is for"),
        ({"architecture": "bert", "hidden_size": 100, "num_attention_heads": 3}, "multiple of num_attention"),
        ({"architecture": "llama", "hidden_size": 30, "num_attention_heads": 2}, "even multiple"),
        ({"architecture": "llama", "num_attention_heads": 4, "num_key_value_heads": 3}, "must divide"),
        ({"architecture": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 3}, "at most"),
    ],
)
def test_what_is_no_model_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        ModelConfig(**given)
