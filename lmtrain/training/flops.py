"""How many operations a token costs: the measure of a model's and a machine's speed."""

from typing import Any

from torch import nn


def matrix_weights(model: Any, head_share: float = 1.0) -> float:
    """Return the weights that a token is multiplied with: matrices, each as often as it is gone through.

    An embedding that is only looked up costs nothing; one that is the output layer, too, does. Of experts
    those count that a token takes, and a layer that stands for several as often as it does.

    Args:
        model: a Transformers model.
        head_share: of the tokens that go through the output layer.
    """
    head = model.get_output_embeddings()
    looked_up = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    outside = looked_up | ({id(head.weight)} if head is not None else set())
    weights = sum(
        weight.numel() * _times(model.config, name)
        for name, weight in model.named_parameters()
        if weight.ndim >= 2 and id(weight) not in outside
    )
    return weights + (head.weight.numel() * head_share if head is not None else 0)


def _times(config: Any, name: str) -> float:
    """Return how often a token goes through a weight."""
    if config.model_type == "albert" and ".albert_layer_groups." in name:
        return config.num_hidden_layers / config.num_hidden_groups
    if ".experts." in name:
        return config.num_experts_per_tok / config.num_local_experts
    return 1


def attention_width(model: Any) -> int:
    """Return the width over which queries meet keys, of all layers together; 0 where there are none."""
    config = model.config
    heads = getattr(config, "num_attention_heads", None)
    if heads is None:
        return 0
    return (
        config.num_hidden_layers * heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
    )


def flops_per_token(model: Any, row_tokens: int, *, causal: bool = True, head_share: float = 1.0) -> float:
    """Return the operations of one token's forward and backward pass.

    6 for each weight of a matrix (Kaplan et al. 2020), and for attention 12 for each token that is
    seen and each channel (PaLM, Chowdhery et al. 2022, appendix B), of which a causal model needs half:
    what is masked isn't counted, whether a kernel computes it or not.

    Args:
        model: a Transformers model.
        row_tokens: tokens in a row, all of which can be seen.
        causal: whether a token sees only those before it.
        head_share: of the tokens that go through the output layer.
    """
    seen = row_tokens / 2 if causal else row_tokens
    return 6 * matrix_weights(model, head_share) + 12 * attention_width(model) * seen


def recomputed_flops_per_token(model: Any, row_tokens: int, *, causal: bool = True) -> float:
    """Return what a token costs on top where whole layers are computed again: their forward pass."""
    seen = row_tokens / 2 if causal else row_tokens
    return 2 * matrix_weights(model, 0.0) + 4 * attention_width(model) * seen
