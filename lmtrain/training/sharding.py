"""ZeRO by FSDP2, and a view of parameters that optimizers can work on without distributed tensors.

ZeRO-3 gives parameters back after the forward pass; ZeRO-2 keeps them and
reduces gradients at every micro-batch; ZeRO-1 reduces at the last one. `ddp` is
FSDP2 over a mesh whose shards have one member: every worker holds everything.
Any of them may be hybrid: sharded over the workers of a group (a machine), the same in
every group. With one worker nothing is sharded and nothing is communicated.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.utils import get_total_norm

from lmtrain.config import Resources
from lmtrain.errors import ResourceError
from lmtrain.training.config import TrainingConfig
from lmtrain.training.process import Process

Sharding = Literal["ddp", "zero1", "zero2", "zero3"]


def shard(model: nn.Module, layers: list[nn.Module], resources: Resources, process: Process) -> None:
    """Shard a model in place, layer by layer. Gradients become sums over workers, not means.

    Args:
        model: the whole model.
        layers: its repeated blocks, each gathered by itself.
        resources: what is sharded, over how many workers, and whether it waits in main memory.
        process: this process; with one worker the model stays as it is.

    Raises:
        ResourceError: groups of that size don't make up all workers.
    """
    if process.world == 1:
        return
    reshards = resources.sharding == "zero3"
    offloads: dict[str, Any] = {}
    if resources.offload and process.device.type == "cuda":
        offloads = {"offload_policy": CPUOffloadPolicy()}
    mesh = _mesh(resources, process)
    for module in [*layers, model]:
        fully_shard(module, mesh=mesh, reshard_after_forward=reshards, **offloads)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_force_sum_reduction_for_comms(True)
            module.set_gradient_divide_factor(1.0)


def _mesh(resources: Resources, process: Process) -> DeviceMesh:
    """Return the workers as groups by members: parameters are sharded within a group."""
    size = 1 if resources.sharding == "ddp" else resources.shard_group or process.world
    if process.world % size:
        raise ResourceError(
            f"resources.shard_group is {size}, which doesn't divide the {process.world} workers"
        )
    if size == process.world:
        return init_device_mesh(process.device.type, (size,), mesh_dim_names=("shard",))
    shape = (process.world // size, size)
    return init_device_mesh(process.device.type, shape, mesh_dim_names=("replicate", "shard"))


def set_gradient_sync(model: nn.Module, sharding: Sharding, last: bool) -> None:
    """Say before a micro-batch's backward whether gradients are reduced after it."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(last or sharding in ("zero2", "zero3"))


@dataclass(eq=False)
class Shard:
    """A parameter as one worker holds it.

    Attributes:
        name: the parameter's name in the model.
        parameter: the parameter, a distributed tensor where it is sharded.
        local: this worker's part, sharing the parameter's memory.
        embeds: whether it holds a vector for each token or position.
        rate_share: of the learning rate, with which it is trained.
        first_step: from which it is trained.
        is_frozen: whether that step is still to come.
    """

    name: str
    parameter: nn.Parameter
    local: Tensor
    embeds: bool = False
    rate_share: float = 1.0
    first_step: int = 0
    is_frozen: bool = False

    @property
    def gradient(self) -> Tensor | None:
        """This worker's part of the gradient; None while the parameter is frozen."""
        if self.is_frozen:
            return None
        gradient = self.parameter.grad
        return gradient.to_local() if isinstance(gradient, DTensor) else gradient

    @property
    def group(self) -> dist.ProcessGroup | None:
        """The workers that together hold the parameter; None where this one holds it whole."""
        if not isinstance(self.parameter.data, DTensor):
            return None
        mesh = self.parameter.data.device_mesh
        mesh = mesh["shard"] if mesh.ndim > 1 else mesh
        return mesh.get_group() if mesh.size() > 1 else None

    @property
    def is_hidden_matrix(self) -> bool:
        """Whether it maps one hidden state to another: a matrix within a repeated block, no embedding."""
        return self.parameter.ndim == 2 and not self.embeds and re.search(r"\.\d+\.", self.name) is not None

    def decay(self, config: TrainingConfig) -> float:
        """Return its weight decay: that of matrices, and none for vectors (norms, biases)."""
        if self.parameter.ndim < 2 or (self.embeds and not config.decay_embeddings):
            return 0.0
        return config.weight_decay

    def with_rows(self, local: Tensor) -> Tensor:
        """Return this worker's part of something that has the parameter's rows as a distributed tensor."""
        data = self.parameter.data
        if not isinstance(data, DTensor):
            return local
        whole = torch.empty((data.shape[0], *local.shape[1:]), device="meta")
        return DTensor.from_local(
            local,
            data.device_mesh,
            data.placements,
            shape=whole.shape,
            stride=whole.stride(),
            run_check=False,
        )


def local_shards(
    model: nn.Module,
    rate_shares: Mapping[str, float] | None = None,
    first_steps: Mapping[str, int] | None = None,
) -> Iterator[Shard]:
    """Yield the trainable parameters as this worker holds them, in the model's order.

    Args:
        model: sharded, or whole.
        rate_shares: of the learning rate, by the parameter's name; 1 for those that aren't named.
        first_steps: from which they are trained, by the parameter's name; 0 for those that aren't named.
    """
    shares, begins = rate_shares or {}, first_steps or {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            data = parameter.data
            local = data.to_local() if isinstance(data, DTensor) else data
            embeds = isinstance(model.get_submodule(name.rpartition(".")[0]), nn.Embedding)
            known = name.replace("_orig_mod.", "")
            yield Shard(known, parameter, local, embeds, shares.get(known, 1.0), begins.get(known, 0))


def own_norm(shards: list[Shard]) -> Tensor:
    """Return the norm of the gradients' parts that are here, where they are: nothing waits for it yet."""
    return get_total_norm(_gradients(shards))


def clip_gradients(shards: list[Shard], own: float, max_norm: float, process: Process) -> float:
    """Scale gradients so that their global norm is at most `max_norm`; return the norm before.

    Args:
        shards: the parameters.
        own: the norm of this worker's parts.
        max_norm: of the parts of all.
        process: this worker.

    Raises:
        FloatingPointError: the norm isn't finite; gradients and weights are left as they are.
    """
    squares = own**2
    group = next((one.group for one in shards if one.group is not None), None)
    if group is not None:
        squares = process.sum([squares], group)[0]
    norm = squares**0.5
    if norm != norm or norm == float("inf"):
        raise FloatingPointError(f"the gradient's norm is {norm}")
    if norm > max_norm:
        for gradient in _gradients(shards):
            gradient.mul_(max_norm / (norm + 1e-6))
    return norm


def _gradients(shards: list[Shard]) -> list[Tensor]:
    return [gradient for one in shards if (gradient := one.gradient) is not None and gradient.numel()]
