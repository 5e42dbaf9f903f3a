"""How the documents of a packed row are kept apart, family by family.

In: a model's config and, for a batch, the number of each token's document and its
place there. Out: the arguments that its forward pass takes. A mask is made once for
all layers, and outside of what is compiled: one made while tracing is followed by a
second compilation.

Families that have no position numbers to reset (BART, Pegasus, Marian, M2M100) or
whose positions come with their mask (BLOOM) can't be packed, nor can LSTMs, which have no mask.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from transformers import PretrainedConfig, PreTrainedModel

from lmtrain.errors import RecipeError

FULL, SLIDING = "full_attention", "sliding_attention"
"""What Transformers' configs call the two types of layers."""


@dataclass(frozen=True)
class Family:
    """What models of a family take.

    Attributes:
        causal: a token sees only what stands before it.
        positions: they take position numbers; others have relative ones, for which the mask is enough.
        by_layer_type: they take a mask for each type of layer.
        behind_padding: position numbers begin behind the id of the padding token.
        without: kernels that Transformers (5.23) doesn't have for them, or that fail: with flex attention it
            takes T5's biases, which all rows share, for those of the first row.
    """

    causal: bool = True
    positions: bool = True
    by_layer_type: bool = False
    behind_padding: bool = False
    without: frozenset[str] = frozenset()


FLEX = frozenset({"flex_attention"})

FAMILIES = {
    **dict.fromkeys(("llama", "gemma", "mistral", "mixtral", "olmo2"), Family()),
    "gpt2": Family(without=FLEX),
    **dict.fromkeys(("gemma3_text", "qwen2", "qwen3"), Family(by_layer_type=True)),
    "gemma2": Family(by_layer_type=True, without=frozenset({"sdpa"})),  # its scores are capped
    **dict.fromkeys(("bert", "albert", "distilbert", "electra"), Family(causal=False)),
    **dict.fromkeys(("roberta", "xlm-roberta"), Family(causal=False, behind_padding=True)),
    **dict.fromkeys(("t5", "mt5"), Family(causal=False, positions=False, without=FLEX)),
    "modernbert": Family(causal=False, by_layer_type=True),
    **dict.fromkeys(("gpt_neox", "phi3", "qwen3_moe"), Family()),
}
"""By the config's `model_type`; each is tested to read a packed document as if it stood alone."""


UNPACKED: dict[str, Family] = dict.fromkeys(
    ("bloom", "lmtrain-ulmfit", "lmtrain-elmo"), Family(without=FLEX | {"sdpa"})
)
"""What is known of families that can't be packed; the others lack flex attention alone."""


def check_packable(shape: PretrainedConfig) -> None:
    """Refuse to pack rows for a model that would see other documents.

    Raises:
        RecipeError: names the family and what would be right.
    """
    if shape.model_type not in FAMILIES:
        raise RecipeError(
            f"pretrain.packing: {shape.model_type} models can't keep the documents of a row apart; "
            "set packing: none"
        )


def fitting_kernel(shape: PretrainedConfig, wanted: str) -> str:
    """Return the kernel that is wanted, or the next one that the model's family has."""
    family = FAMILIES.get(shape.model_type, UNPACKED.get(shape.model_type, Family(without=FLEX)))
    order = ("flex_attention", "sdpa", "eager")
    return next(kernel for kernel in order[order.index(wanted) :] if kernel not in family.without)


def isolating(model: PreTrainedModel, document: Tensor, places: Tensor) -> dict[str, Any]:
    """Return the arguments by which a model, or an encoder, sees each document as if it stood alone.

    Args:
        model: its config says how it computes attention.
        document: number of the document of each token, shape (rows, T); padding has one of its own.
        places: place of each token in its document, from 0, shape (rows, T).

    Returns:
        `attention_mask`, and `position_ids` where the family has them.

    Raises:
        RecipeError: the family can't be packed.
    """
    shape = model.config
    check_packable(shape)
    family = FAMILIES[shape.model_type]
    causal = family.causal or bool(getattr(shape, "is_decoder", False))
    kernel = str(shape._attn_implementation)
    masks = {
        kind: attention_mask(document, document, kernel, model.dtype, causal=causal, window=window)
        for kind, window in _windows(shape, family).items()
    }
    arguments: dict[str, Any] = {"attention_mask": masks if family.by_layer_type else masks[FULL]}
    if family.positions:
        first = int(shape.pad_token_id or 0) + 1 if family.behind_padding else 0
        arguments["position_ids"] = places + first
    return arguments


def _windows(shape: PretrainedConfig, family: Family) -> dict[str, int | None]:
    """Return how far each type of layer sees; None for all of the document."""
    window = getattr(shape, "sliding_window", None)
    if not family.by_layer_type:
        return {FULL: window}
    known = {FULL: None, SLIDING: window}
    return {kind: known[kind] for kind in dict.fromkeys(shape.layer_types)}


def attention_mask(
    queries: Tensor,
    keys: Tensor,
    kernel: str,
    dtype: torch.dtype,
    *,
    causal: bool,
    window: int | None = None,
) -> Tensor | BlockMask:
    """Return which token attends to which, in the form that a kernel takes.

    Args:
        queries: number of the document of each token that attends, shape (rows, Q).
        keys: the same of each token that is attended to, shape (rows, K).
        kernel: `eager`, `sdpa` or `flex_attention`.
        dtype: of the model. PyTorch's kernel for CPUs takes a float32 mask for float64 scores as if it were
            float64, and says nothing (2.13).
        causal: only to tokens before it, and to itself.
        window: only to so many tokens, itself included; with tokens behind it as well, so many on each side.

    Returns:
        For `flex_attention` a block mask; else what is added to the scores, shape (rows, 1, Q, K): 0 where
        attention is allowed, and the least number elsewhere; under autocast in the type that it multiplies
        in, so that no layer converts it.
    """
    allowed = _rule(queries, keys, causal, window)
    rows, device = len(queries), queries.device
    lengths = queries.shape[1], keys.shape[1]
    if kernel == "flex_attention":
        return _block_mask_maker(device.type)(allowed, rows, None, *lengths, device=device)
    row, query, key = (torch.arange(size, device=device) for size in (rows, *lengths))
    dense = allowed(row[:, None, None, None], row[:1], query[None, None, :, None], key[None, None, None, :])
    if torch.is_autocast_enabled(device.type):
        dtype = torch.get_autocast_dtype(device.type)
    mask = torch.full(dense.shape, torch.finfo(dtype).min, dtype=dtype, device=device)
    return mask.masked_fill_(dense, 0.0)


def _rule(queries: Tensor, keys: Tensor, causal: bool, window: int | None) -> Callable[..., Tensor]:
    """Return whether a token attends to another, as a function of (row, head, query, key)."""

    def allowed(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        rule = queries[row, query] == keys[row, key]
        if causal:
            rule = rule & (key <= query)
        if window is not None:
            rule = rule & (key > query - window if causal else (query - key).abs() <= window)
        return rule

    return allowed


@cache
def _block_mask_maker(device_type: str) -> Callable[..., BlockMask]:
    """Return what makes block masks: compiled where that is worth it, so that no dense mask ever stands."""
    return torch.compile(create_block_mask) if device_type == "cuda" else create_block_mask
