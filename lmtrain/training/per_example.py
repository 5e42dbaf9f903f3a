"""Gradients of single examples, clipped and added up: a private step before its noise (Abadi et al. 2016).

They are vectorized by torch.func over the whole model. So every layer of every family has them, shared
weights get the sum of their uses, and what dropout drops is drawn for each example. (With the hooks of
Opacus 1.6, GPT-2's position embeddings and T5's relative ones have one gradient a batch, because Transformers
looks them up once a batch.)
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, eager_mask, sdpa_mask
from transformers.models.bloom.modeling_bloom import BloomGelu

from lmtrain.objectives.base import IGNORED, Batch
from lmtrain.objectives.cross_entropy import left_to_autograd
from lmtrain.training.job import Trained


class ClippedSum:
    """The sum over examples of their clipped gradients.

    An example's loss is the mean over its targets, or the sum of such means where there are several
    losses; its gradient is that of all trained parameters together.

    Attributes:
        parameters: that are trained, by name.
        sums: of clipped gradients, by the parameter's name and in its shape.
    """

    def __init__(self, trained: Trained, max_norm: float) -> None:
        """Begin with zeros.

        Args:
            trained: a model with its objective, not sharded.
            max_norm: to which an example's gradient is clipped.
        """
        for module in trained.modules():
            if isinstance(getattr(module, "gelu_impl", None), BloomGelu):
                # Bloom's own is the same function, with a backward pass that can't be vectorized.
                module.gelu_impl = nn.GELU(approximate="tanh")
        self.trained = trained
        self.max_norm = max_norm
        self.parameters = {name: value for name, value in trained.named_parameters() if value.requires_grad}
        self.sums: dict[str, Tensor] = {}
        self.clear()

    def clear(self) -> None:
        """Forget what was added."""
        self.sums = {name: torch.zeros_like(value) for name, value in self.parameters.items()}

    def add(self, batch: Batch, examples: Tensor) -> None:
        """Add the clipped gradients of a batch's examples.

        Args:
            batch: tensors of shape (rows, …).
            examples: of which example each row is, numbered from 0, shape (rows,); all rows of an example
                are in one batch.

        Raises:
            FloatingPointError: a gradient isn't finite; nothing was added.
        """
        count = int(examples.max()) + 1
        gradients = self._of_rows(batch, self._shares(batch, examples, count))
        if count < len(examples):
            gradients = {
                name: value.new_zeros(count, *value.shape[1:]).index_add_(0, examples, value)
                for name, value in gradients.items()
            }
        norms = torch.stack([value.flatten(1).norm(dim=1) for value in gradients.values()]).norm(dim=0)
        if not bool(norms.isfinite().all()):
            raise FloatingPointError("the gradient of an example isn't finite")
        factors = (self.max_norm / norms).clamp(max=1.0)
        for name, value in gradients.items():
            self.sums[name] += torch.einsum("e,e...->...", factors.to(value), value)

    def _shares(self, batch: Batch, examples: Tensor, count: int) -> Tensor:
        """Return by what each row's summed losses are multiplied, shape (rows, losses)."""
        targets = torch.stack(
            [
                (batch[name] != IGNORED).flatten(1).sum(dim=1)
                if batch[name].ndim > 1
                else (batch[name] != IGNORED).long()
                for name in self.trained.objective.targets.values()
            ],
            dim=1,
        )
        of_example = targets.new_zeros(count, targets.shape[1]).index_add_(0, examples, targets)
        return 1.0 / of_example.clamp(min=1)[examples]

    def _of_rows(self, batch: Batch, shares: Tensor) -> dict[str, Tensor]:
        """Return the gradient of each row, shape (rows, *parameter)."""

        def loss(parameters: dict[str, Tensor], row: Batch, share: Tensor) -> Tensor:
            alone = {name: value[None] for name, value in row.items()}
            losses: Any = functional_call(self.trained, parameters, (alone,))
            return (losses * share).sum()

        parameters = {name: value.detach() for name, value in self.parameters.items()}
        with _vectorizable():
            return vmap(grad(loss), in_dims=(None, 0, 0), randomness="different")(parameters, batch, shares)


@contextmanager
def _vectorizable() -> Iterator[None]:
    """Choose what can be vectorized: of attention's kernels one can; what can't in a router is repeated."""
    with warnings.catch_warnings(), whole_masks(), left_to_autograd(), sdpa_kernel(SDPBackend.MATH):
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        yield


@contextmanager
def whole_masks() -> Iterator[None]:
    """Let models make attention masks without looking whether there is padding: a mask has no value here."""
    interface: Any = ALL_MASK_ATTENTION_FUNCTIONS
    makers: Mapping[str, Any] = {"eager": eager_mask, "sdpa": sdpa_mask}
    for name, maker in makers.items():
        interface[name] = _without_skips(maker)
    try:
        yield
    finally:
        for name in makers:
            del interface[name]


def _without_skips(maker: Any) -> Any:
    def made(*args: Any, **options: Any) -> Tensor:
        return maker(
            *args, **{**options, "allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
        )

    return made
