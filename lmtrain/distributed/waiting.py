"""Who holds the CPUs that a training waits for.

Ray waits in silence until its placement group fits. Here is what it would say:
read from the cluster's own tables (placement groups, actors, tasks, jobs),
because the state API needs the dashboard, which a head of our own doesn't run.
"""

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import ray
from ray._private.state import state as cluster
from ray.core.generated import common_pb2, gcs_pb2
from ray.exceptions import RayError

from lmtrain.watch import Watch

PATIENCE_SECONDS = 5.0
"""A wait is told of once it took so long, and again after each `AGAIN_SECONDS`."""

AGAIN_SECONDS = 30.0

gcs: Any = gcs_pb2
common: Any = common_pb2
"""Made by protobuf when they are imported: a type checker sees nothing in them."""

ENDED = {common.TaskStatus.FINISHED, common.TaskStatus.FAILED}


@dataclass(frozen=True)
class Holder:
    """Something that CPUs were given to: what it is, and the program that started it."""

    what: str
    program: str
    cpus: float


def who_holds_cpus() -> str:
    """Return in one line how many CPUs are free, and what holds the others.

    Tasks are known to the tables about a second after they began.

    Raises:
        RayError: the cluster doesn't answer.
    """
    total = ray.cluster_resources().get("CPU", 0.0)
    free = ray.available_resources().get("CPU", 0.0)
    by_name: Counter[tuple[str, str]] = Counter()
    cpus: defaultdict[tuple[str, str], float] = defaultdict(float)
    for holder in holders():
        by_name[holder.what, holder.program] += 1
        cpus[holder.what, holder.program] += holder.cpus
    told = [
        f"{cpus[key]:g} by {f'{count} × ' if count > 1 else ''}{key[0]} of `{key[1]}`"
        for key, count in sorted(by_name.items())
    ]
    return f"{free:g} of {total:g} CPUs are free; held: {', '.join(told) or 'nothing that is known of'}"


def held_by_others() -> str | None:
    """Return what `who_holds_cpus` says, or None where this program has CPUs itself or nobody else has."""
    programs = {holder.program for holder in holders()}
    if not programs or any(program.endswith(f", pid {os.getpid()}") for program in programs):
        return None
    return who_holds_cpus()


def holders() -> list[Holder]:
    """Return what holds CPUs: placement groups whole, and the actors and tasks outside of them."""
    jobs = {job["JobID"]: f"{job['Entrypoint']}, pid {job['DriverPid']}" for job in cluster.job_table()}
    return [*_groups(jobs), *_actors(jobs), *_tasks(jobs)]


def _groups(jobs: dict[str, str]) -> Iterator[Holder]:
    for encoded in cluster._connect_and_get_accessor().get_placement_group_table():
        group = gcs.PlacementGroupTableData.FromString(encoded)
        if group.state == gcs.PlacementGroupTableData.CREATED:
            cpus = sum(bundle.unit_resources.get("CPU", 0.0) for bundle in group.bundles)
            if cpus:
                what = f"placement group {group.name}".rstrip()
                yield Holder(what, _program(jobs, group.creator_job_id), cpus)


def _actors(jobs: dict[str, str]) -> Iterator[Holder]:
    for encoded in cluster._connect_and_get_accessor().get_actor_table(None, "ALIVE"):
        actor = gcs.ActorTableData.FromString(encoded)
        cpus = actor.required_resources.get("CPU", 0.0)
        if cpus and not _in_group(actor.required_resources):
            name = f"{actor.class_name} {actor.name}".rstrip()
            yield Holder(f"actor {name} (pid {actor.pid})", _program(jobs, actor.job_id), cpus)


def _tasks(jobs: dict[str, str]) -> Iterator[Holder]:
    for event in cluster._get_all_task_events():
        task = event.task_info
        stamps = event.state_updates.state_ts_ns
        running = any(status >= common.TaskStatus.RUNNING for status in stamps)
        cpus = task.required_resources.get("CPU", 0.0)
        normal = task.type == common.TaskType.NORMAL_TASK
        if normal and cpus and running and not ENDED & set(stamps) and not _in_group(task.required_resources):
            yield Holder(f"task {task.name}", _program(jobs, event.job_id), cpus)


def _in_group(resources: Iterable[str]) -> bool:
    """Tell whether resources, by name, are taken from a placement group, which is counted whole."""
    return any("_group_" in name for name in resources)


def _program(jobs: dict[str, str], job: bytes) -> str:
    return jobs.get(job.hex(), "a program that has ended")


def tell_while_waiting(
    watch: Watch,
    ready: threading.Event,
    *,
    patience: float = PATIENCE_SECONDS,
    again: float = AGAIN_SECONDS,
    look: Callable[[], str | None] = held_by_others,
) -> threading.Thread:
    """Log, from a thread of its own, that the run waits for CPUs and who holds them, until it is ready.

    Args:
        watch: told in its log, as rank -1.
        ready: set by the caller when what was waited for is there, or was given up.
        patience: seconds of waiting that aren't worth a word.
        again: seconds between two lines.
        look: says who holds the CPUs; None where nothing is waited for.

    Returns:
        The thread; it ends by itself once `ready` is set.
    """

    def tell() -> None:
        wait = patience
        while not ready.wait(wait):
            wait = again
            try:
                held = look()
            except RayError as error:
                held = f"who holds them can't be told ({error})"
            if held is not None:
                watch.log(-1, "", f"waiting for CPUs: {held}")

    thread = threading.Thread(target=tell, name="tell-while-waiting", daemon=True)
    thread.start()
    return thread
