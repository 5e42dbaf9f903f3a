"""What a pretraining will take: memory, speed and hours for each way to shard and to recompute.

In: a pretraining's config, the size of its vocabulary, and a device. Out: a choice for each
way, the cheapest that fits among them. Nothing is trained and no artifact is needed.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, get_args
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from lmtrain.config import Resources
from lmtrain.modeling.build import new_causal_lm, parameter_count, repeated_layers
from lmtrain.objectives import cross_entropy
from lmtrain.objectives.base import Batch, Objective
from lmtrain.objectives.packed import PackedRow
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.registry import OBJECTIVES
from lmtrain.training.devices import Device
from lmtrain.training.flops import flops_per_token, recomputed_flops_per_token
from lmtrain.training.memory import StepMemory, pretended_workers, step_memory
from lmtrain.training.precision import Precision
from lmtrain.training.recomputing import Recompute
from lmtrain.training.schedule import batch_size
from lmtrain.training.sharding import Sharding

RESERVE = 0.1
"""Share of a device's memory that is left to its driver, to buffers of collectives and to gaps."""

TRACED_LAYERS = (3, 6)
"""A model of more layers than the second is traced with each of these, and the rest follows in a line."""

END, PAD = 0, 1
"""Ids of tokens: memory doesn't depend on them."""


@dataclass(frozen=True)
class Choice:
    """One way to train, and what it takes.

    Attributes:
        sharding: as `Resources.sharding`; `none` with one worker.
        recompute: as `Resources.recompute`.
        offload: as `Resources.offload`.
        memory: of one worker.
        device_bytes: what stands on the device at most.
        host_bytes: what waits in main memory, for each worker.
        tokens_per_second: of all workers.
        hours: of the whole training.
        fits: whether the device holds it with some reserve.
    """

    sharding: str
    recompute: str
    offload: bool
    memory: StepMemory
    device_bytes: int
    host_bytes: int
    tokens_per_second: float
    hours: float
    fits: bool


@dataclass(frozen=True)
class Estimate:
    """A training's size, and its choices, the cheapest first."""

    parameters: int
    tokens: int
    flops_per_token: float
    choices: list[Choice]

    @property
    def best(self) -> Choice | None:
        """The first that fits."""
        return next((choice for choice in self.choices if choice.fits), None)


def estimate(
    config: PretrainConfig,
    vocabulary: int,
    resources: Resources,
    device: Device,
    mfu: float,
    tell: Callable[[int, int], None] | None = None,
) -> Estimate:
    """Estimate each way to shard and to recompute.

    Args:
        config: of the pretraining.
        vocabulary: entries of the tokenizer.
        resources: workers, and rows in a micro-batch.
        device: of each worker.
        mfu: share of the device's operations that the training uses.
        tell: called with how many choices are traced, of how many.
    """
    whole = _without_content(config, vocabulary)
    flops = flops_per_token(whole, config.row_tokens)
    again = recomputed_flops_per_token(whole, config.row_tokens)
    rows = sum(batch_size(step, config.max_steps, config) for step in range(config.max_steps))
    rate, tokens = device.flops * mfu * resources.workers, rows * config.row_tokens
    ways = _ways(resources.workers)
    choices = []
    with pretended_workers(resources.workers) if resources.workers > 1 else nullcontext():
        for index, (recompute, sharding) in enumerate(ways):
            how = resources.model_copy(update={"sharding": sharding, "recompute": recompute})
            memory = _memory(config, vocabulary, how, device)
            speed = rate / (flops + (again if recompute == "full" else 0.0))
            for offload in (False, True) if resources.workers > 1 and device.is_gpu else (False,):
                host = memory.state if offload else 0
                choices.append(
                    Choice(
                        sharding=sharding if resources.workers > 1 else "none",
                        recompute=recompute,
                        offload=offload,
                        memory=memory,
                        device_bytes=memory.peak - host,
                        host_bytes=host,
                        tokens_per_second=speed,
                        hours=tokens / speed / 3600,
                        fits=memory.peak - host <= device.memory * (1 - RESERVE),
                    )
                )
            if tell is not None:
                tell(index + 1, len(ways))
    choices.sort(key=lambda choice: choice.offload)
    return Estimate(parameter_count(whole), tokens, flops, choices)


def _ways(workers: int) -> list[tuple[Recompute, Sharding]]:
    """Return what is tried, the cheapest first: sharding costs messages, recomputing costs operations."""
    shardings = get_args(Sharding) if workers > 1 else ("ddp",)
    return list(product(get_args(Recompute), shardings))


def _memory(config: PretrainConfig, vocabulary: int, resources: Resources, device: Device) -> StepMemory:
    """Return what a worker needs; of a deep model by a line through two shallow ones."""
    few, many = TRACED_LAYERS
    layers = config.num_hidden_layers
    if layers <= many:
        return _traced(config, vocabulary, resources, device)
    low, high = (
        _traced(config.model_copy(update={"num_hidden_layers": depth}), vocabulary, resources, device)
        for depth in TRACED_LAYERS
    )
    by_line = {
        name: round(value + (value - getattr(low, name)) / (many - few) * (layers - many))
        for name, value in vars(high).items()
    }
    return StepMemory(**by_line)


def _traced(config: PretrainConfig, vocabulary: int, resources: Resources, device: Device) -> StepMemory:
    rows = -(-config.train_batch_size // resources.workers)
    micro_batch = min(resources.micro_batch_size, rows)
    # Tensors without content pretend to be on the CPU: those of a GPU need its driver.
    chunks = {"cpu": cross_entropy.CHUNK_VALUES["cuda" if device.is_gpu else "cpu"]}
    with mock.patch.dict(cross_entropy.CHUNK_VALUES, chunks):
        return step_memory(
            partial(_new_model, config, vocabulary),
            _batch(config, micro_batch),
            min(2, -(-rows // micro_batch)),  # all after the first one are alike
            config,
            resources,
            partial(Precision(config.precision, 0.0).autocast, torch.device("cpu")),
        )


def _new_model(config: PretrainConfig, vocabulary: int) -> tuple[Any, list[nn.Module], Objective]:
    """Return what is trained, as `lmtrain.pretraining.worker` makes it, uncompiled."""
    model = new_causal_lm(config, vocabulary, config.row_tokens, END, PAD, 0, torch.device("cpu"))
    return model, repeated_layers(model), OBJECTIVES.get(config.objective)(PAD)


def _without_content(config: PretrainConfig, vocabulary: int) -> Any:
    with FakeTensorMode():
        return _new_model(config, vocabulary)[0]


def _batch(config: PretrainConfig, rows: int) -> Batch:
    """Return a micro-batch as the loader makes it."""
    tokens = config.row_tokens
    document = (np.arange(tokens) >= tokens // 2).astype(np.int64)  # several in a row, which need a mask
    row = PackedRow(np.full(tokens + 1, END), document)
    objective = OBJECTIVES.get(config.objective)(PAD)
    places = np.arange(rows)
    return objective.collate([row] * rows, places, np.zeros_like(places), config.seed)
