"""A trace of a few steps of a training, and where their time goes.

In: a trainer's job. Out: a file that Perfetto opens, the dearest operators, and how a step's time is
split. The spans are those that the loop names by `span`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function, schedule

from lmtrain.training.process import Process

WARMUP_STEPS = 3
"""Steps before those that are traced: compiling, first allocations, and the profiler's own start."""

PARTS = ("data", "forward", "backward", "optimizer")
OPERATORS_SHOWN = 15

OPENING = "open it at https://ui.perfetto.dev or in chrome://tracing"

NO_OPERATORS = ("lmtrain/", "ProfilerStep", "Optimizer.", "FSDP::", "autograd::")
"""How the names of spans begin that hold operators."""

COLLECTIVES = ("gloo:", "nccl:")
"""How the names of collectives begin in a trace."""


def span(part: str) -> record_function:
    """Return the context of a part of a step, one of `PARTS`; it costs a microsecond where nobody traces."""
    return record_function(f"lmtrain/{part}")


@dataclass
class Profiled(Process):
    """A process whose steps a profiler counts."""

    profiler: Any = None

    def beat(self, step: int) -> None:
        """Tell the profiler, too, that a step is over."""
        super().beat(step)
        self.profiler.step()


@dataclass(frozen=True)
class Operator:
    """An operator's own seconds, and how often it is called, in one step."""

    name: str
    seconds: float
    calls: float


@dataclass(frozen=True)
class Profile:
    """What was seen.

    Attributes:
        trace: the file of the trace.
        steps: that were traced.
        seconds: of one step.
        parts: seconds of one step by part; those of collectives overlap with the others.
        operators: the dearest, without what they call.
    """

    trace: Path
    steps: int
    seconds: float
    parts: dict[str, float]
    operators: list[Operator]


def new_profiler(steps: int, device: torch.device) -> profile:
    """Return a profiler of so many steps after `WARMUP_STEPS`."""
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    return profile(
        activities=activities, schedule=schedule(wait=WARMUP_STEPS - 1, warmup=1, active=steps, repeat=1)
    )


def seen(profiler: profile, steps: int, device: torch.device, folder: Path, rank: int = 0) -> Profile:
    """Write the trace of a finished profiler and return what it saw.

    Args:
        profiler: has run for `WARMUP_STEPS` + `steps` steps.
        steps: that were traced.
        device: where the model lies: its time counts.
        folder: where the trace goes.
        rank: of this process; names the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trace = folder / f"trace-rank-{rank}.json.gz"
    profiler.export_chrome_trace(str(trace))
    on_gpu = device.type == "cuda"
    averages = profiler.key_averages()

    def seconds(event: Any) -> float:
        return (event.device_time_total if on_gpu else event.cpu_time_total) / 1e6 / steps

    parts = {part: sum(seconds(one) for one in averages if one.key == f"lmtrain/{part}") for part in PARTS}
    parts["communication"] = sum(seconds(one) for one in averages if one.key.startswith(COLLECTIVES))
    whole = sum(one.cpu_time_total for one in averages if one.key.startswith("ProfilerStep")) / 1e6 / steps
    own = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    named = [one for one in averages if not one.key.startswith((*NO_OPERATORS, *COLLECTIVES))]
    dearest = sorted(named, key=lambda one: getattr(one, own), reverse=True)[:OPERATORS_SHOWN]
    operators = [Operator(one.key, getattr(one, own) / 1e6 / steps, one.count / steps) for one in dearest]
    return Profile(trace, steps, whole, parts, operators)


def told(found: Profile) -> list[str]:
    """Return what was seen as lines of text."""
    lines = [f"{'operator':<50} {'ms a step':>10} {'share':>7} {'calls':>7}"]
    for one in found.operators:
        share = one.seconds / found.seconds
        lines.append(f"{one.name[:50]:<50} {1000 * one.seconds:>10.2f} {share:>7.1%} {one.calls:>7.0f}")
    lines += ["", f"{found.steps} steps of {1000 * found.seconds:.1f} ms"]
    rest = found.seconds - sum(found.parts[part] for part in PARTS)
    for part, seconds in {**found.parts, "the rest": rest}.items():
        lines.append(f"  {part:<20} {1000 * seconds:>10.2f} ms {seconds / found.seconds:>7.1%}")
    return lines
