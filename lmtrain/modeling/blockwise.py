"""Causal attention block by block, for models that are compiled on a CPU.

A block of queries meets only the keys that aren't behind it: of two halves of
the score matrix the upper one is never worked out. The compiler fuses what
stands between the products, and works out again in the backward pass what is
cheap. PyTorch's own CPU kernel multiplies the whole square whatever the mask says.
"""

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv
from transformers.masking_utils import sdpa_mask

NAME = "causal_blocks"
BLOCK = 128
"""Queries in a block: fewer save more of the square and make smaller products."""


def causal_blocks(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: object,
) -> tuple[Tensor, None]:
    """Return causal attention, as an attention function of Transformers.

    Args:
        module: the attention layer.
        query: shape (rows, heads, T, width).
        key: shape (rows, key-value heads, T, width).
        value: as key.
        attention_mask: what is added to the scores, shape (rows, 1, T, T), or a boolean one that says
            what may be seen; None for causal. It never shows what comes later.
        scaling: of the scores; 1/sqrt(width) by default.
        dropout: of the weights.

    Returns:
        Shape (rows, T, heads, width), and no weights.
    """
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    query = query * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    found = []
    for low in range(0, query.shape[2], BLOCK):
        high = min(low + BLOCK, query.shape[2])
        scores = query[:, :, low:high] @ key[:, :, :high].mT
        scores = scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores
        if attention_mask is None:
            later = torch.ones(high - low, high, dtype=torch.bool, device=query.device).triu(low + 1)
            scores = scores.masked_fill(later, float("-inf"))
        elif attention_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attention_mask[:, :, low:high, :high], float("-inf"))
        else:
            scores = scores + attention_mask[:, :, low:high, :high]
        weights = nn.functional.dropout(scores.softmax(dim=-1).to(value.dtype), dropout, module.training)
        found.append(weights @ value[:, :, :high])
    return torch.cat(found, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, causal_blocks)
AttentionMaskInterface.register(NAME, sdpa_mask)
