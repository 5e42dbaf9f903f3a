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
from lmtrain.modeling.build import parameter_count
from lmtrain.modeling.layers import repeated_layers
from lmtrain.modeling.special_ids import SpecialIds
from lmtrain.objectives import cross_entropy
from lmtrain.objectives.base import Batch, Objective, Pretraining, TakesPartners
from lmtrain.objectives.packed import PackedBatch
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.making import flops_of, model_of, objective_of
from lmtrain.training.devices import Device
from lmtrain.training.flops import recomputed_flops_per_token
from lmtrain.training.memory import StepMemory, pretended_workers, step_memory
from lmtrain.training.precision import Precision
from lmtrain.training.recomputing import Recompute
from lmtrain.training.schedule import batch_size
from lmtrain.training.sharding import Sharding

RESERVE = 0.1
"""Share of a device's memory that is left to its driver, to buffers of collectives and to gaps."""

TRACED_LAYERS = (3, 6)
"""A model of more layers than the second is traced with each of these, and the rest follows in a line."""

IDS = SpecialIds(begin=0, end=1, pad=2, mask=3, sentinels=tuple(range(4, 104)))
"""Of tokens: memory doesn't depend on them."""

FIRST_TOKEN = 104
"""Of text."""

BETWEEN_STARTS = 8
"""Tokens from where something begins to where the next does."""


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
    whole = _without_content(config, vocabulary, resources)
    flops = flops_of(config, whole) or 6.0 * parameter_count(whole)
    again = recomputed_flops_per_token(getattr(whole, "discriminator", whole), config.row_tokens)
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
    layers = config.shape.num_hidden_layers
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
            partial(_new_model, config, vocabulary, resources),
            _batch(config, vocabulary, resources, micro_batch),
            min(2, -(-rows // micro_batch)),  # all after the first one are alike
            config,
            resources,
            partial(Precision(config.precision, 0.0).autocast, torch.device("cpu")),
        )


def _new_model(
    config: PretrainConfig, vocabulary: int, resources: Resources
) -> tuple[Any, list[nn.Module], Objective]:
    """Return what is trained, as `lmtrain.pretraining.worker` makes it, uncompiled."""
    model = model_of(config, IDS, vocabulary, torch.device("cpu"), compiled=False)
    return model, repeated_layers(model), _objective(config, vocabulary, resources)


def _objective(config: PretrainConfig, vocabulary: int, resources: Resources) -> Pretraining:
    return objective_of(config, IDS, vocabulary, resources.model_copy(update={"compile": False}))


def _without_content(config: PretrainConfig, vocabulary: int, resources: Resources) -> Any:
    with FakeTensorMode():
        return _new_model(config, vocabulary, resources)[0]


def _batch(config: PretrainConfig, vocabulary: int, resources: Resources, rows: int) -> Batch:
    """Return a micro-batch as the loader makes it, of rows that are full."""
    objective = _objective(config, vocabulary, resources)
    frame = objective.frame
    taken = 2 * rows if isinstance(objective, TakesPartners) else rows
    shape = (taken, config.row_tokens if frame is None else frame.full)
    tokens = np.broadcast_to(FIRST_TOKEN + np.arange(shape[1]) % (vocabulary - FIRST_TOKEN), shape)
    several = config.packing != "none"  # in a row, which need a mask
    document = np.broadcast_to(np.arange(shape[1]) * 2 // shape[1] * several, shape)
    starts = np.broadcast_to(np.arange(shape[1]) % BETWEEN_STARTS == 0, shape)
    tokens, document, starts = (one.copy() for one in (tokens, document, starts))  # torch writes to none
    given = PackedBatch(
        tokens, tokens, document, dict.fromkeys(frame.starts, starts) if frame else {}, np.arange(taken)
    )
    places = np.arange(rows)
    return objective.collate(given, places, np.zeros_like(places), config.seed)
