"""Launches a training function on Ray Train workers, and carries what they tell to a watch."""

import logging
import os
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
import torch
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig, get_context
from ray.train.torch import TorchConfig, TorchTrainer

from lmtrain.building import Attempt, Built
from lmtrain.config import Resources
from lmtrain.distributed.cluster import connect
from lmtrain.distributed.relay import Relay
from lmtrain.distributed.waiting import tell_while_waiting
from lmtrain.errors import LmtrainError, LostWorkerError
from lmtrain.training.process import Process
from lmtrain.watch import Watch

TrainingFunction = Callable[[dict[str, Any], Process], dict[str, Any]]
"""`function(spec, process)`: runs on every worker; what rank 0 returns is the result."""

POLL_SECONDS = 0.5
RESTARTS = 2
ELASTIC_RESTARTS = 20
"""Machines that leave unannounced are counted as failures; announced ones (preemption) Ray doesn't count."""

START_SECONDS = "25"
"""How long elastic workers may take to find their machines before fewer are started. Ray 2.60 counts machines
every 20 s: right after one died it waits for as many workers as there were, by itself for 60 s."""

RESIZE_SECONDS = 60.0
"""How often Ray looks for machines that came: a training is cut off at its last checkpoint to take them."""


def train_model(
    function: TrainingFunction, spec: dict[str, Any], attempt: Attempt, resources: Resources, watch: Watch
) -> Built:
    """Run a training function that leaves its model in the attempt's shard `model`, unless it is there.

    Args:
        function: gets `spec` with `attempt` and `resources` added.
        spec: the config, and the URLs of what the training reads.
        attempt: what the model belongs to.
        resources: on what it is trained.
        watch: as for `launch`.
    """
    result = attempt.finished("model")
    if result is None:
        whole = {**spec, "attempt": attempt, "resources": resources}
        launch(function, whole, resources, watch, name=f"{attempt.address.label}-{attempt.id}")
        result = attempt.finished("model")
        assert result is not None, "rank 0 recorded it"
    return Built(result.files, result.stats)


def launch(
    function: TrainingFunction, spec: dict[str, Any], resources: Resources, watch: Watch, name: str
) -> dict[str, Any]:
    """Run a training function on `resources.workers` workers; return what rank 0 returned.

    A worker that dies is started again with all others, and the function goes
    on from its own checkpoint. With `resources.min_workers` there may be fewer
    then, and more once machines come.

    Args:
        function: importable by name on every worker.
        spec: its argument; holds absolute URLs only, because workers run in other folders.
        resources: how many workers, on what.
        watch: told what the workers tell; asked whether to stop.
        name: of the Ray run; must be new, because a known name silently resumes.

    Raises:
        LmtrainError: as raised by the function.
    """
    connect(resources)
    fewest = "" if resources.min_workers is None else f"{resources.min_workers} to "
    watch.log(-1, "", f"starting {fewest}{resources.workers} training workers")
    if resources.min_workers is not None:
        os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", START_SECONDS)
    relay: Any = ray.remote(num_cpus=0)(Relay).remote()
    started = threading.Event()
    tell_while_waiting(watch, started)
    with (
        tempfile.TemporaryDirectory(prefix="lmtrain-ray-") as storage,
        _relayed(relay, watch, started),
        _sigint_kept(),
    ):
        try:
            _trainer(
                function,
                spec,
                resources,
                relay,
                RunConfig(
                    name=name,
                    storage_path=storage,
                    logging_config=LoggingConfig(log_level="WARNING"),
                    failure_config=FailureConfig(
                        max_failures=RESTARTS if resources.min_workers is None else ELASTIC_RESTARTS
                    ),
                ),
            ).fit()
        except SystemExit as stop:  # what the handler of Ctrl-C that `fit` sets ends with
            raise KeyboardInterrupt from stop
        except Exception:
            _, error = ray.get(relay.outcome.remote())
            if error is not None:
                raise error from None
            raise
    result, error = ray.get(relay.outcome.remote())
    ray.kill(relay)
    if error is not None:
        raise error
    assert result is not None, "rank 0 ended without a result"
    return result


def _trainer(
    function: TrainingFunction, spec: dict[str, Any], resources: Resources, relay: Any, run: RunConfig
) -> TorchTrainer:
    """Return what runs the function on GPUs where they are wanted and there, else on CPUs."""
    gpu = resources.device == "cuda" or (
        resources.device == "auto" and ray.cluster_resources().get("GPU", 0) >= resources.least_workers
    )
    threads = resources.threads_per_worker
    return TorchTrainer(
        _work,
        train_loop_config={
            "function": function,
            "spec": spec,
            "relay": relay,
            "threads": threads,
            "gpu": gpu,
            "elastic": resources.min_workers is not None,
        },
        scaling_config=ScalingConfig(
            num_workers=resources.workers
            if resources.min_workers is None
            else (resources.min_workers, resources.workers),
            elastic_resize_monitor_interval_s=max(RESIZE_SECONDS, 2 * resources.checkpoint_seconds),
            use_gpu=gpu,
            resources_per_worker={"CPU": threads, **({"GPU": 1} if gpu else {})},
        ),
        torch_config=TorchConfig(
            backend="cuda:nccl,cpu:gloo" if gpu else "gloo", timeout_s=resources.collective_timeout_seconds
        ),
        run_config=run,
    )


def _work(config: dict[str, Any]) -> None:
    """Run the function in one worker."""
    context = get_context()
    rank, relay = context.get_world_rank(), config["relay"]
    torch.set_num_threads(config["threads"])
    device = torch.device("cpu")
    if config["gpu"]:
        device = torch.device("cuda", torch.cuda.current_device())
    process = Process(
        rank=rank,
        world=context.get_world_size(),
        device=device,
        tell=lambda kind, payload: relay.tell.remote(kind, payload) and None,
        cancelled=lambda: ray.get(relay.stopped.remote()),
    )
    process.tell("started", {})
    if process.leads and config["elastic"]:
        process.log(f"{process.world} workers train")
    logging.getLogger().addHandler(_Forward(process))
    try:
        result = config["function"](config["spec"], process)
    except LostWorkerError as error:
        process.log(str(error), logging.WARNING)
        ray.get(relay.lose.remote(error))
        raise
    except LmtrainError as error:
        # A person's error is the same on every restart: end in order and let the launcher raise it.
        ray.get(relay.finish.remote(None, error))
        return
    except Exception:
        process.log(traceback.format_exc(), logging.ERROR)
        raise
    if rank == 0:
        ray.get(relay.finish.remote(result, None))


class _Forward(logging.Handler):
    """Sends a worker's warnings to the watch, with rank and host."""

    def __init__(self, process: Process) -> None:
        super().__init__(logging.WARNING)
        self.process = process

    def emit(self, record: logging.LogRecord) -> None:
        self.process.log(record.getMessage(), record.levelno)


@contextmanager
def _relayed(relay: Any, watch: Watch, started: threading.Event) -> Iterator[None]:
    """Carry what is told to the watch while the main thread waits in `fit`."""
    done = threading.Event()

    def carry() -> None:
        while True:
            last = done.wait(POLL_SECONDS)
            for kind, payload in ray.get(relay.take.remote(watch.cancelled())):
                if kind == "progress":
                    watch.progress(payload["done"], payload["total"], payload["unit"])
                elif kind == "figures":
                    watch.figures(**payload)
                elif kind == "started":
                    started.set()
                else:
                    watch.log(**payload)
            if last:
                return

    thread = threading.Thread(target=carry, name="lmtrain-relay", daemon=True)
    thread.start()
    try:
        yield
    finally:
        started.set()
        done.set()
        thread.join(timeout=10)


@contextmanager
def _sigint_kept() -> Iterator[None]:
    """Put the handler of Ctrl-C back, which `fit` replaces and doesn't restore."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
