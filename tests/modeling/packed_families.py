"""A tiny model with random weights of every family that is packed, in float64."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel

VOCABULARY, PAD, LENGTH = 40, 1, 24

DECODER = {
    "vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 64,
    "pad_token_id": PAD, "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip
ENCODER = {
    "vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3,
    "num_attention_heads": 2, "max_position_embeddings": 64, "pad_token_id": PAD, "embedding_size": 8,
    "bos_token_id": 0, "eos_token_id": 0, "cls_token_id": 0, "sep_token_id": 0,
}  # fmt: skip
T5 = {
    "vocab_size": VOCABULARY, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2,
    "relative_attention_num_buckets": 8, "relative_attention_max_distance": 16, "pad_token_id": PAD,
}  # fmt: skip
LAYERS = ["sliding_attention", "full_attention", "sliding_attention"]

SHAPES: dict[str, dict[str, Any]] = {
    "llama": DECODER,
    "gpt2": {
        "vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 64,
        "bos_token_id": 0, "eos_token_id": 0,
    },
    "gemma": DECODER,
    "gemma2": {**DECODER, "layer_types": LAYERS, "sliding_window": 3, "query_pre_attn_scalar": 8},
    "gemma3_text": {**DECODER, "layer_types": LAYERS, "sliding_window": 3, "query_pre_attn_scalar": 8},
    "mistral": {**DECODER, "sliding_window": 3},
    "mixtral": {**DECODER, "num_local_experts": 3, "sliding_window": 4},
    "olmo2": DECODER,
    "qwen2": {**DECODER, "use_sliding_window": True, "sliding_window": 3, "layer_types": LAYERS},
    "qwen3": {**DECODER, "use_sliding_window": False},
    "bert": ENCODER,
    "albert": ENCODER,
    "distilbert": {
        "vocab_size": VOCABULARY, "dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 24,
        "max_position_embeddings": 64, "pad_token_id": PAD,
    },
    "electra": ENCODER,
    "roberta": ENCODER,
    "xlm-roberta": ENCODER,
    "modernbert": {**ENCODER, "layer_types": LAYERS, "local_attention": 6},
    "gpt_neox": {**DECODER, "rotary_pct": 0.5},
    "phi3": {**DECODER, "sliding_window": 3},
    "qwen3_moe": {**DECODER, "num_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 8},
    "t5": T5,
    "mt5": T5,
}  # fmt: skip


def tiny(family: str, attention: str) -> PreTrainedModel:
    """Return a model without its head; its weights are large enough to tell tokens apart."""
    torch.manual_seed(0)
    shape = AutoConfig.for_model(family, **SHAPES[family])
    experts = {"experts_implementation": "eager"} if family in ("mixtral", "qwen3_moe") else {}
    model = AutoModel.from_config(shape, attn_implementation=attention, **experts).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.4)
    return model
