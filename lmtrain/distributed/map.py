"""A function over shards: one task, one split, one done record; what tasks warn of reaches the watch.

Tasks are idempotent. What an earlier attempt finished is adopted after its
hash was checked; a task whose worker dies is run again by Ray.
"""

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayTaskError, WorkerCrashedError

from lmtrain.building import Attempt, ShardOutput, ShardResult
from lmtrain.config import Resources
from lmtrain.distributed.cluster import connect
from lmtrain.distributed.waiting import tell_while_waiting
from lmtrain.errors import CancelledError, LmtrainError, ResourceError
from lmtrain.watch import Watch

TRIES = 4
"""How often a task whose worker dies is begun, the first time included."""


@dataclass(frozen=True)
class Split:
    """A part of the input: its name names the output, and must not depend on the number of workers."""

    name: str
    payload: Any


ShardFunction = Callable[[Any, Any, ShardOutput], None]
"""`function(payload, shared, output)`: writes files through `output`, and tells `output.stats`."""


def map_shards(
    function: ShardFunction,
    splits: Sequence[Split],
    attempt: Attempt,
    resources: Resources,
    watch: Watch,
    *,
    step: str,
    shared: Any = None,
    unit: str = "shards",
) -> list[ShardResult]:
    """Run a function over splits as Ray tasks; return the results in the order of the splits.

    Args:
        function: importable by name on every worker.
        splits: what to work on.
        attempt: the attempt that the output belongs to.
        resources: at most `workers` tasks run at once.
        watch: told each finished shard.
        step: names this pass among the passes of a stage.
        shared: an object that every task reads; shipped once.
        unit: what a split is called in the progress.

    Raises:
        CancelledError: the watch was asked to stop.
        ResourceError: a task's worker died each time it was tried.
        LmtrainError: as raised by the function.
    """
    names = {split.name: f"{step}/{split.name}" for split in splits}
    assert len(names) == len(splits), f"{step}: two splits have the same name"
    found = attempt.finished_among(names.values(), step)
    results = {name: found[recorded] for name, recorded in names.items()}
    waiting = [split for split in splits if results[split.name] is None]
    watch.progress(len(splits) - len(waiting), len(splits), unit)
    if waiting:
        connect(resources)
        shared_ref = ray.put(shared)

        def begin(split: Split) -> ray.ObjectRef:
            return _run.options(name=names[split.name]).remote(function, step, split, shared_ref, attempt)

        first = threading.Event()
        tell_while_waiting(watch, first)
        try:
            for name, result in _run_all(begin, waiting, resources.workers, watch, step):
                first.set()
                results[name] = result
                watch.progress(sum(map(bool, results.values())), len(splits), unit)
        finally:
            first.set()
    return [result for split in splits if (result := results[split.name]) is not None]


def _run_all(
    begin: Callable[[Split], ray.ObjectRef], splits: Sequence[Split], workers: int, watch: Watch, step: str
) -> Iterator[tuple[str, ShardResult]]:
    """Yield names and results as they come, with at most `workers` tasks under way."""
    running: dict[ray.ObjectRef, Split] = {}
    waiting = list(reversed(splits))
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                split = waiting.pop()
                running[begin(split)] = split
            finished, _ = ray.wait(list(running), timeout=1.0)
            for reference in finished:
                split = running.pop(reference)
                done = _result(reference, f"{step}/{split.name}")
                for level, line in done.warnings:
                    watch.log(-1, done.host, f"{step}/{split.name}: {line}", level)
                yield split.name, done.result
            if watch.cancelled():
                raise CancelledError("stopped on request; run again to go on from here")
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


@dataclass(frozen=True)
class _Done:
    """What a task returns: its shard, and what it warned of on which host."""

    result: ShardResult
    host: str
    warnings: list[tuple[int, str]]


def _result(reference: ray.ObjectRef, name: str) -> _Done:
    try:
        return ray.get(reference)
    except (WorkerCrashedError, OutOfMemoryError) as error:
        raise ResourceError(
            f"{name}: its worker died {TRIES} times, most likely for want of memory: "
            "give the machine more, or set resources.workers lower"
        ) from error
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, LmtrainError):
            raise cause from None
        raise


@ray.remote(num_cpus=1, max_retries=TRIES - 1)
def _run(function: ShardFunction, step: str, split: Split, shared: Any, attempt: Attempt) -> _Done:
    name, host = f"{step}/{split.name}", socket.gethostname()
    with _warnings_kept() as warnings:
        try:
            with attempt.shard(name) as output:
                function(split.payload, shared, output)
        except Exception as error:
            error.add_note("\n".join([f"in {name} on {host}", *(line for _, line in warnings)]))
            raise
    assert output.result is not None, "leaving the shard records it"
    return _Done(output.result, host, warnings)


@contextmanager
def _warnings_kept() -> Iterator[list[tuple[int, str]]]:
    """Collect what is logged at WARNING or above, as (level, line)."""
    handler = _Keep(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield handler.kept
    finally:
        logging.getLogger().removeHandler(handler)


class _Keep(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.kept: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append((record.levelno, record.getMessage()))
