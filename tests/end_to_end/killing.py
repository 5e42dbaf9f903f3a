"""Workers of a Ray cluster, seen from outside by what their processes are called, and killed at a moment."""

import os
import random
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.002
"""Some tasks are over in a blink."""

Tasks = dict[int, str]
"""What workers are at, as `step/part`, by process id."""


def tasks_of(commands: dict[int, str]) -> Tasks:
    """Return what processes are at, of those that are Ray workers at a task of `map_shards`."""
    busy = {process: command for process, command in commands.items() if command.startswith("ray::")}
    return {process: command.removeprefix("ray::") for process, command in busy.items() if "/" in command}


def tasks_of_own_cluster() -> Tasks:
    """Return the tasks of the cluster that this process started: its workers are children of its children."""
    found = {}
    for child in _children(os.getpid()):
        for worker in _children(child):
            with suppress(OSError):
                found[worker] = Path(f"/proc/{worker}/cmdline").read_text().partition("\0")[0].strip()
    return tasks_of(found)


def _children(process: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, thread.read_text().split())
    return found


@dataclass(frozen=True)
class Moment:
    """So many seconds after a run's n-th task was seen: the same whatever the machine's speed."""

    tasks: int
    seconds: float


class Onlooker(threading.Thread):
    """Sees which tasks a run goes through, and kills a worker at each of the given moments.

    Attributes:
        moments: those that are still to come.
        seen: seconds for which each task was seen, in the order of their first sight.
        killed: tasks whose workers were killed.
    """

    def __init__(self, moments: Sequence[Moment] = (), seed: int = 0) -> None:
        super().__init__(daemon=True)
        self.moments = sorted(moments, key=lambda moment: moment.tasks)
        self.random = random.Random(seed)
        self.seen: dict[str, float] = {}
        self.killed: list[str] = []
        self._first: dict[str, float] = {}
        self._reached: float | None = None
        self._over = threading.Event()

    def __enter__(self) -> "Onlooker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Look until the run is over."""
        while not self._over.wait(POLL_SECONDS):
            tasks, now = tasks_of_own_cluster(), time.monotonic()
            for task in tasks.values():
                self.seen[task] = now - self._first.setdefault(task, now)
            if tasks and self._is_due(now):
                self._kill(tasks)

    def _is_due(self, now: float) -> bool:
        if not self.moments or len(self.seen) < self.moments[0].tasks:
            return False
        if self._reached is None:
            self._reached = now
        return now >= self._reached + self.moments[0].seconds

    def _kill(self, tasks: Tasks) -> None:
        process = self.random.choice(sorted(tasks))
        with suppress(ProcessLookupError):  # it ended meanwhile: the next one, then
            os.kill(process, signal.SIGKILL)
            self.killed.append(tasks[process])
            self.moments, self._reached = self.moments[1:], None


def random_moments(undisturbed: Onlooker, seed: int, count: int) -> list[Moment]:
    """Choose moments all over a run: in each of so many stretches of its tasks, one.

    Args:
        undisturbed: saw the run without a kill.
        seed: of the choice.
        count: how many.
    """
    chance = random.Random(seed)
    durations = list(undisturbed.seen.values())
    moments = []
    for stretch in range(count):
        place = int(len(durations) * (stretch + chance.random()) / count)
        moments.append(Moment(place + 1, chance.uniform(0, durations[place])))
    return moments
