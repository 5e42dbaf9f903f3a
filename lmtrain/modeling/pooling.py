"""A text's vector from those of its tokens."""

from typing import Literal

import torch
from torch import Tensor

Pooling = Literal["first", "mean", "last"]


def pooled(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Return a vector for each row, shape (rows, width).

    Args:
        hidden: last hidden states, shape (rows, T, width).
        mask: 1 beside tokens, 0 beside padding behind them, shape (rows, T).
        pooling: the first token's vector, the last one's (a decoder's sees all before it), or their mean.
    """
    if pooling == "first":
        return hidden[:, 0]
    if pooling == "last":
        return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(dim=1) - 1]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
