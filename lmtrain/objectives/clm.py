"""Causal language modeling: predict the next token of the same document."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from lmtrain.modeling.heads import output_layer
from lmtrain.modeling.isolation import isolating
from lmtrain.modeling.products import product_of
from lmtrain.objectives.base import IGNORED, Batch, Setting
from lmtrain.objectives.cross_entropy import chunked_cross_entropy
from lmtrain.objectives.packed import positions, stacked


class CausalLM:
    """Next-token prediction over packed rows, in which no token sees another document."""

    frame = None

    def __init__(
        self,
        pad: int,
        *,
        compiled: bool = False,
        packed: bool = True,
        z_loss: float = 0.0,
        router_balance: float = 0.0,
    ) -> None:
        """Learn the next token.

        Args:
            pad: id of the padding token.
            compiled: whether the loss is compiled.
            packed: whether rows hold several documents. One alone in its row, with padding behind it, needs
                neither mask nor position numbers: a causal model doesn't see what comes after.
            z_loss: weight of the squared logarithm of the normalizer, in training only.
            router_balance: weight of the loss that spreads tokens over experts, for models that have some.
        """
        self.targets = {"clm": "labels", **({"router": "labels"} if router_balance else {})}
        self.pad = pad
        self.compiled = compiled
        self.packed = packed
        self.z_loss = z_loss
        self.router_balance = router_balance

    @classmethod
    def of(cls, setting: Setting) -> Self:
        """Return the objective as a recipe asks for it."""
        return cls(
            setting.ids.pad,
            compiled=setting.compiled,
            packed=setting.packed,
            z_loss=setting.config.z_loss,
            router_balance=setting.config.router_balance if setting.routes else 0.0,
        )

    def collate(self, rows: Sequence, indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Stack packed rows.

        Args:
            rows: packed rows of one width (`lmtrain.objectives.packed.PackedRow`, or a batch of them).
            indices: not used; nothing here is random.
            epochs: not used.
            seed: not used.

        Returns:
            `input_ids`, `labels`, `position_ids`, `document`, each of shape (rows, T); where a row is
            padded `attention_mask` too, 1 beside what isn't. `document` is left out where every row has
            one: what is merely causal needs no mask. A compiled model always gets it, because another kind
            of mask would have it compiled again.
        """
        given = stacked(rows)
        used = given.inputs >= 0
        batch = {
            "input_ids": np.where(used, given.inputs, self.pad),
            "labels": np.where(used & (given.targets >= 0), given.targets, IGNORED),
            "position_ids": positions(given.document),
            "document": given.document,
        }
        if not self.compiled and (given.document == given.document[:, :1]).all():
            del batch["document"]
        if not used.all():
            batch["attention_mask"] = used.astype(np.int64)
        return {name: torch.from_numpy(value) for name, value in batch.items()}

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """Return the summed loss in nats, and with experts that of the router, shape (losses,)."""
        several = self.packed and "document" in batch
        apart = isolating(model, batch["document"], batch["position_ids"]) if several else {}
        wanted = {"output_router_logits": True} if self.router_balance else {}
        found = model.base_model(input_ids=batch["input_ids"], use_cache=False, **apart, **wanted)
        hidden, head = found.last_hidden_state, output_layer(model)
        loss = chunked_cross_entropy(
            hidden,
            head.weight,
            batch["labels"],
            z_loss=self.z_loss if model.training else 0.0,
            compiled=self.compiled,
            product=product_of(head, hidden),
        )
        if not self.router_balance:
            return loss[None]
        counted = batch["labels"] != IGNORED
        uneven = imbalance(found.router_logits, counted, model.config.num_experts_per_tok)
        return torch.stack([loss, self.router_balance * uneven])


def imbalance(logits: Sequence[Tensor], counted: Tensor, chosen: int) -> Tensor:
    """Return how unevenly tokens are spread over experts, summed over tokens; 1 for each that are even.

    The loss of Fedus et al. (2022), E times the sum over experts of the share of tokens that choose one and
    its mean probability, here within each row: so it is the same however rows are dealt to workers.

    Args:
        logits: of each layer's router, shape (rows * T, E).
        counted: which tokens count, shape (rows, T).
        chosen: experts that a token takes.
    """
    weights = counted.float() / counted.sum(dim=1, keepdim=True).clamp(min=1)
    total = weights.new_zeros(len(counted))
    for one in logits:
        probabilities = one.float().softmax(dim=-1).view(*counted.shape, -1)
        taken = torch.zeros_like(probabilities).scatter_(2, probabilities.topk(chosen, dim=-1).indices, 1.0)
        share, mean = (torch.einsum("rt,rte->re", weights, some) for some in (taken / chosen, probabilities))
        total = total + probabilities.shape[-1] * (share * mean).sum(dim=-1)
    return (total / len(logits) * counted.sum(dim=1)).sum()
