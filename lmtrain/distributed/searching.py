"""Trainings with different settings on Ray Tune, where ASHA gives the worse ones up early.

In: a training function and settings. Out: what each trial saw at its looks at
the validation set. The settings are the caller's, so that they are the same
everywhere. Which trials are given up is ASHA's word (Li et al. 2020, "A system
for massively parallel hyperparameter tuning"): at looks 1, r, r², … (times the
grace) a trial goes on if it is among the best 1/r of those that came so far
before it. One trial at a time (`resources.workers` 1) always decides alike; of
several at once, who comes first depends on the machines, and so may who goes on.
"""

import math
import os
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple

import ray
import torch
from ray import tune
from ray.exceptions import RayActorError
from ray.tune.logger import JsonLoggerCallback
from ray.tune.schedulers import ASHAScheduler

from lmtrain.config import Resources
from lmtrain.distributed.cluster import connect
from lmtrain.distributed.waiting import tell_while_waiting
from lmtrain.errors import CancelledError, DivergedError, LmtrainError, LostWorkerError
from lmtrain.training.process import Process
from lmtrain.watch import Watch

Settings = dict[str, Any]
"""Fields of a training's config that a trial sets."""

TrialFunction = Callable[[dict[str, Any], int, Settings, Process], None]
"""`function(spec, number, settings, process)`: trains; the process is told steps and validation losses."""

Ended = Literal["whole", "stopped", "diverged"]
"""How a trial ended: by itself, given up by ASHA, or with a loss that isn't finite."""

MOST_LOOKS = 10**6
"""ASHA asks how long a trial may be; those that no trial reaches don't count."""

DIVERGED_LOSS = 1e30
"""What ASHA is told of a trial that diverged: percentiles of infinity aren't numbers."""


class Look(NamedTuple):
    """What a trial saw of the validation set after some steps."""

    step: int
    validation_loss: float


@dataclass
class Trial:
    """One training of a search."""

    looks: list[Look] = field(default_factory=list)
    ended: Ended = "stopped"


class Rungs(NamedTuple):
    """When ASHA compares trials: after `grace` looks, then each time after `reduction` times as many."""

    grace: int
    reduction: int


def search(
    function: TrialFunction,
    spec: dict[str, Any],
    settings: Sequence[Settings],
    rungs: Rungs,
    resources: Resources,
    watch: Watch,
    *,
    known: Mapping[int, Trial],
    keep: Callable[[int, Trial], None],
) -> list[Trial]:
    """Try settings, `resources.workers` trials at once, each in one process.

    Args:
        function: importable by name on every worker; a trial that ASHA gives up ends with SystemExit
            where it tells its look.
        spec: its first argument; holds absolute URLs only, because workers run in other folders.
        settings: of each trial.
        rungs: when trials are compared.
        resources: threads and device of a trial, and how many run at once.
        watch: told the trials that are done; asked whether to stop.
        known: trials that an earlier search finished, by number: ASHA is told what they saw, and nothing
            is trained again.
        keep: called with each other trial once it has ended.

    Returns:
        A trial for each of the settings, in their order.

    Raises:
        LmtrainError: as raised by the function, but for DivergedError.
        LostWorkerError: a trial's process died.
        CancelledError: the watch was asked to stop.
    """
    connect(resources)
    watch.log(-1, "", f"trying {len(settings)} settings, {resources.workers} at once")
    started = threading.Event()
    tell_while_waiting(watch, started)
    seen = _Seen(watch, len(settings), known, keep, started)
    threads, gpu = resources.threads_per_worker, _on_gpus(resources)
    work = tune.with_parameters(
        partial(_try, function=function, threads=threads, gpu=gpu),
        spec=spec,
        settings=list(settings),
        known=dict(known),
    )
    seen.tell()
    with tempfile.TemporaryDirectory(prefix="lmtrain-ray-") as folder:
        try:
            results = tune.Tuner(
                tune.with_resources(work, {"CPU": threads, **({"GPU": 1} if gpu else {})}),
                param_space={"number": tune.grid_search(list(range(len(settings))))},
                tune_config=tune.TuneConfig(
                    metric="validation_loss",
                    mode="min",
                    scheduler=ASHAScheduler(
                        time_attr="look",
                        max_t=MOST_LOOKS,
                        grace_period=rungs.grace,
                        reduction_factor=rungs.reduction,
                    ),
                    max_concurrent_trials=resources.workers,
                    reuse_actors=True,  # a process imports torch once
                ),
                run_config=tune.RunConfig(
                    name="search",
                    storage_path=folder,
                    verbose=0,
                    callbacks=[seen, JsonLoggerCallback()],  # Tune warns where it finds no file of its own
                    stop=_Asked(watch),
                    failure_config=tune.FailureConfig(fail_fast=True),
                ),
            ).fit()
        finally:
            started.set()
        for error in results.errors:
            raise _told(error) from error
    if watch.cancelled():
        raise CancelledError("stopped on request; run again to go on with the trials that are left")
    return [seen.trials[number] for number in range(len(settings))]


def _told(error: Exception) -> Exception:
    """Return a trial's error as a person shall read it; a defect stays what it is."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, LmtrainError):
        return cause
    if isinstance(error, RayActorError):
        return LostWorkerError("a trial's process died; run again to go on with the trials that are left")
    return error


def _on_gpus(resources: Resources) -> bool:
    """Tell whether each trial takes a GPU: where they are wanted and there is one."""
    there = ray.cluster_resources().get("GPU", 0) >= 1
    return resources.device == "cuda" or (resources.device == "auto" and there)


def _try(
    config: dict[str, int],
    *,
    function: TrialFunction,
    threads: int,
    gpu: bool,
    spec: dict[str, Any],
    settings: list[Settings],
    known: dict[int, Trial],
) -> None:
    """Run one trial in a process of Tune's, and report each of its looks; here ASHA may end it."""
    number = config["number"]
    reporter = _Reporter()
    if number in known:
        for look in known[number].looks:
            reporter.look(*look)
        reporter.end(known[number].ended)
        return
    torch.set_num_threads(threads)
    device = torch.device("cuda", torch.cuda.current_device()) if gpu else torch.device("cpu")
    try:
        function(spec, number, settings[number], Process(device=device, tell=reporter.tell))
    except DivergedError:
        reporter.end("diverged")
    else:
        reporter.end("whole")


class _Reporter:
    """Turns what a training tells into what ASHA decides by."""

    def __init__(self) -> None:
        self.looks = 0

    def tell(self, kind: str, payload: dict[str, Any]) -> None:
        """Report a look where one is told.

        Raises:
            DivergedError: the validation loss isn't finite.
        """
        if kind == "figures" and "validation_loss" in payload:
            if not math.isfinite(payload["validation_loss"]):
                raise DivergedError(f"step {payload['step']}: the validation loss isn't finite")
            self.look(payload["step"], payload["validation_loss"])

    def look(self, step: int, loss: float) -> None:
        """Report a look; raise SystemExit where the trial is given up."""
        self.looks += 1
        tune.report({"look": self.looks, "step": step, "validation_loss": loss})

    def end(self, how: Ended) -> None:
        """Report the end, which ASHA compares only where the trial diverged."""
        told: dict[str, Any] = {"ended": how, "validation_loss": DIVERGED_LOSS}
        tune.report(told | ({"look": self.looks + 1} if how == "diverged" else {}))


class _Seen(tune.Callback):
    """Keeps what trials report, and tells the watch."""

    def __init__(
        self,
        watch: Watch,
        total: int,
        known: Mapping[int, Trial],
        keep: Callable[[int, Trial], None],
        started: threading.Event,
    ) -> None:
        self.watch, self.total, self.known, self.keep, self.started = watch, total, known, keep, started
        self.trials: dict[int, Trial] = {}
        self.done = 0

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune saves its callbacks, and a watch may hold a terminal."""
        return {}

    def tell(self) -> None:
        """Tell the trials that are done."""
        self.watch.progress(self.done, self.total, "trials")

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Keep a look, or how the trial ended."""
        self.started.set()
        own = self.trials.setdefault(trial.config["number"], Trial())
        if "ended" in result:
            own.ended = result["ended"]
        else:
            own.looks.append(Look(result["step"], result["validation_loss"]))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Keep a whole trial."""
        if self.watch.cancelled():
            return  # it ended because it was asked to
        number = trial.config["number"]
        if number not in self.known:
            self.keep(number, self.trials[number])
        self.done += 1
        self.tell()


class _Asked(tune.Stopper):
    """Ends all trials when the watch says so."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing, as for the callback."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: single trials are ASHA's."""
        return False

    def stop_all(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self.watch.cancelled()


for _name, _value in {
    "RAY_AIR_NEW_OUTPUT": "0",  # prints tables even where nothing is to be said
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # how a trial ended isn't a look
}.items():
    os.environ.setdefault(_name, _value)
