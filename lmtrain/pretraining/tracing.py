"""A few steps of a pretraining under a profiler; nothing of them is kept but the trace."""

import math
import tempfile
from pathlib import Path
from typing import Any

from lmtrain.building import Attempt
from lmtrain.config import Resources
from lmtrain.manifest import Address
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.worker import new_job
from lmtrain.training.loop import Trainer
from lmtrain.training.process import Process
from lmtrain.training.profiling import WARMUP_STEPS, Profile, Profiled, new_profiler, seen


def trace_steps(
    inputs: dict[str, list[str]],
    config: PretrainConfig,
    resources: Resources,
    process: Process,
    steps: int,
    folder: Path,
) -> Profile:
    """Train for a few steps and write a trace of them.

    Args:
        inputs: as for `lmtrain.pretraining.work.pretrained`; removals don't count.
        config: model, objective, training.
        resources: with what it is trained.
        process: this one; all of a group call together, and each writes its own trace.
        steps: to trace, after `WARMUP_STEPS` that aren't.
        folder: where the trace goes.
    """
    resources = resources.model_copy(update={"checkpoint_seconds": math.inf})
    profiler = new_profiler(steps, process.device)
    profiled = Profiled(process.rank, process.world, process.device, process.tell, profiler=profiler)
    with tempfile.TemporaryDirectory(prefix="lmtrain-profile-") as scratch:
        spec: dict[str, Any] = {
            "config": config,
            "resources": resources,
            "attempt": Attempt(scratch, Address("model", "profile", "0" * 12), "profile"),
            "shards": inputs["shards"][0],
            "tokenizer": inputs["tokenizer"][0],
            "removed": None,
        }
        job, _ = new_job(spec, profiled)
        job.validation, job.steps = None, WARMUP_STEPS + steps
        with profiler:
            Trainer(job, resources, profiled).run()
    return seen(profiler, steps, process.device, folder, process.rank)
