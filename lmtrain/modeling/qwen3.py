"""Qwen3 by shape: a Llama whose queries and keys are normalized head by head (Yang et al. 2025).

The norms keep attention's scores in bounds at high rates: at the same rate and time it learns more than
a Llama (`tests/benchmarks/LOG.md`).
"""

from transformers import Qwen3Config

from lmtrain.modeling.config import ModelConfig
from lmtrain.modeling.llama import llama_fields


def qwen3(config: ModelConfig, vocabulary: int, positions: int, end: int, pad: int) -> Qwen3Config:
    """Return the Transformers config of a Qwen3; arguments as `llama` has them."""
    return Qwen3Config(head_dim=config.head_size, **llama_fields(config, vocabulary, positions, end, pad))
