"""How many operations a token costs: the measure of a model's and a machine's speed."""

from typing import Any

from torch import nn


def matrix_weights(model: Any) -> int:
    """Return the weights that every token is multiplied with: matrices, and the output layer once.

    An embedding that is only looked up costs nothing; one that is the output layer, too, does.
    """
    head = model.get_output_embeddings()
    looked_up = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    if head is not None:
        looked_up.discard(id(head.weight))
    return sum(
        weight.numel() for weight in model.parameters() if weight.ndim >= 2 and id(weight) not in looked_up
    )


def attention_width(model: Any) -> int:
    """Return the width over which queries meet keys, of all layers together."""
    config = model.config
    heads = config.num_attention_heads
    return config.num_hidden_layers * heads * getattr(config, "head_dim", config.hidden_size // heads)


def flops_per_token(model: Any, row_tokens: int, *, causal: bool = True) -> float:
    """Return the operations of one token's forward and backward pass.

    6 for each weight of a matrix (Kaplan et al. 2020), and for attention 12 for each token that is
    seen and each channel (PaLM, Chowdhery et al. 2022, appendix B), of which a causal model needs half:
    what is masked isn't counted, whether a kernel computes it or not.

    Args:
        model: a Transformers model.
        row_tokens: tokens in a row, all of which can be seen.
        causal: whether a token sees only those before it.
    """
    seen = row_tokens / 2 if causal else row_tokens
    return 6 * matrix_weights(model) + 12 * attention_width(model) * seen


def recomputed_flops_per_token(model: Any, row_tokens: int, *, causal: bool = True) -> float:
    """Return what a token costs on top where whole layers are computed again: their forward pass."""
    head = model.get_output_embeddings()
    outside = head.weight.numel() if head is not None else 0
    seen = row_tokens / 2 if causal else row_tokens
    return 2 * (matrix_weights(model) - outside) + 4 * attention_width(model) * seen
