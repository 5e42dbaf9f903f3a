"""How many bytes the tensors of a training step take, without running it.

In: a way to make a model and its optimizers. Out: what they hold, and the most that
stood at once. The step is the very code that trains, on tensors that have shapes and
no content (PyTorch's FakeTensorMode), in a process group that sends nothing (PyTorch's
backend `fake`), so that sharding by any number of workers, recomputing and optimizers
need no formulas of their own here.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lmtrain.config import Resources
from lmtrain.objectives.base import Batch, Objective
from lmtrain.training.config import TrainingConfig
from lmtrain.training.job import Trained
from lmtrain.training.optimizers import Optimizers
from lmtrain.training.process import Process
from lmtrain.training.recomputing import recompute
from lmtrain.training.sharding import set_gradient_sync, shard


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the tensors that operators make, as long as their memory lives.

    What an operator takes and gives back within itself isn't seen.

    Attributes:
        live: bytes that stand now.
        peak: the most that stood at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}
        self._references: dict[int, weakref.ref] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run an operator and count what it returns."""
        if DTensor in types:
            return NotImplemented  # its parts come by here, too
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor):
                self._watch(leaf.untyped_storage())
        return made

    def watch(self, tensors: Iterable[Any]) -> None:
        """Count tensors that are there already: of distributed ones the part that is here, all else not."""
        for one in tensors:
            if isinstance(one, Tensor):
                self._watch((one.to_local() if isinstance(one, DTensor) else one).untyped_storage())

    def __enter__(self):
        """Begin to count; sharding frees memory by resizing it, which is no operator."""
        original = torch.UntypedStorage.resize_

        def resize_(storage: torch.UntypedStorage, size: int) -> Any:
            resized = original(storage, size)
            if storage._cdata in self._sizes:
                self._record(storage._cdata, size)
            return resized

        self._patch = mock.patch.object(torch.UntypedStorage, "resize_", resize_)
        self._patch.start()
        return super().__enter__()

    def __exit__(self, *raised):
        """Stop counting."""
        self._patch.stop()
        return super().__exit__(*raised)

    def _watch(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._references:
            return
        self._references[key] = weakref.ref(storage, lambda _: self._forget(key))
        self._record(key, storage.nbytes())

    def _record(self, key: int, size: int) -> None:
        self.live += size - self._sizes.get(key, 0)
        self._sizes[key] = size
        self.peak = max(self.peak, self.live)

    def _forget(self, key: int) -> None:
        self.live -= self._sizes.pop(key, 0)
        self._references.pop(key, None)


@dataclass(frozen=True)
class StepMemory:
    """Bytes of one worker.

    Attributes:
        weights: parameters and buffers, the best so far included where they are kept.
        gradients: that stand when the optimizer steps.
        optimizer: its state.
        peak: the most at once, all of it.
    """

    weights: int
    gradients: int
    optimizer: int
    peak: int

    @property
    def state(self) -> int:
        """Weights, gradients and optimizer."""
        return self.weights + self.gradients + self.optimizer

    @property
    def activations(self) -> int:
        """What comes on top: activations, logits, gathered weights, and scratch space."""
        return self.peak - self.state


@contextmanager
def pretended_workers(count: int) -> Iterator[None]:
    """Be rank 0 of so many workers, of which no other is there and nothing is sent.

    Raises:
        AssertionError: this process belongs to a group already.
    """
    from torch.testing._internal.distributed.fake_pg import FakeStore  # registers the backend `fake`

    assert not dist.is_initialized(), "this process has real workers"
    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=count)
    try:
        yield
    finally:
        dist.destroy_process_group()


def step_memory(
    new_model: Callable[[], tuple[Any, list[nn.Module], Objective]],
    batch: Batch,
    micro_batches: int,
    config: TrainingConfig,
    resources: Resources,
    autocast: Callable[[], AbstractContextManager],
) -> StepMemory:
    """Return what one step takes on each of `resources.workers` workers. Several need `pretended_workers`.

    Args:
        new_model: returns a new model, its repeated layers and its objective, on the CPU.
        batch: one micro-batch.
        micro_batches: of one worker in a step.
        config: optimizer, and whether the best weights are kept.
        resources: sharding and recomputing. Offloading is left aside.
        autocast: what the model is run in.
    """
    process = Process(0, resources.workers)
    resources = resources.model_copy(update={"offload": False})
    tensors = FakeTensorMode(allow_non_fake_inputs=True)
    with tensors:
        model, layers, objective = new_model()
        inputs = {name: tensors.from_tensor(value) for name, value in batch.items()}
    recompute(layers, resources.recompute)
    trained = Trained(model, objective)
    shard(trained, layers, resources, process)
    with tensors, LiveBytes() as made:
        made.watch(model.state_dict().values())
        weights = made.live
        optimizers = Optimizers(model, config)
        optimizer = made.live - weights
        made.peak = made.live
        for index in range(micro_batches):
            set_gradient_sync(trained, resources.sharding, index == micro_batches - 1)
            with autocast():
                loss = trained(inputs)
            loss.sum().backward()
            del loss
        held = LiveBytes()
        held.watch(one.gradient for one in optimizers.shards)
        optimizers.step(1.0)
    kept = weights if config.early_stopping_patience is not None else 0
    return StepMemory(weights + kept, held.live, optimizer, kept + made.peak)
