"""Ours and a peer in turns on one core: both see the same machine, however busy it is."""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np


def pin() -> int:
    """Keep this process, and those that it starts, on one core; return which."""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


class Peer:
    """A peer's program in its own Python: takes one JSON object a line, and answers each with one."""

    def __init__(self, python: str, script: str) -> None:
        self.process = subprocess.Popen(
            [python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def __enter__(self) -> "Peer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request; return the answer.

        Raises:
            RuntimeError: the program ended; what it said stands above.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the peer's program ended with {self.process.wait()}")
        return json.loads(answer)


class Spent(NamedTuple):
    """Seconds that a run took."""

    wall: float
    """By the clock: what counts."""
    processor: float
    """Of the process: about the same where nothing else ran, and less where something did."""


@dataclass
class Paired:
    """What each round took."""

    ours: list[Spent]
    peer: list[Spent]

    @property
    def ratios(self) -> list[float]:
        """How many times as fast ours was by the clock, by round."""
        return [theirs.wall / mine.wall for mine, theirs in zip(self.ours, self.peer, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of them."""
        return statistics.median(self.ratios)

    @property
    def processor_ratio(self) -> float:
        """The same by processor time: far from the other, the machine was busy."""
        pairs = zip(self.ours, self.peer, strict=True)
        return statistics.median(theirs.processor / mine.processor for mine, theirs in pairs)


def in_turns(ours: Callable[[], Spent], peer: Callable[[], Spent], rounds: int) -> Paired:
    """Run both in turns, after one run each that isn't counted; who begins alternates.

    Args:
        ours: does its work once; returns what it took.
        peer: the same.
        rounds: pairs of runs that count.
    """
    ours()
    peer()
    found = Paired([], [])
    for number in range(rounds):
        turns = [(ours, found.ours), (peer, found.peer)]
        for run, spent in turns if number % 2 == 0 else reversed(turns):
            spent.append(run())
    return found


def spent_by(work: Callable[[], object]) -> Spent:
    """Do some work; return what it took."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - clock, time.process_time() - processor)


def median_wall(runs: Sequence[Spent]) -> float:
    """Return the median of the seconds by the clock."""
    return statistics.median(run.wall for run in runs)


def interval_of_median(values: Sequence[float], resamples: int = 10_000) -> tuple[float, float]:
    """Return the 95 % interval of the median of values, by bootstrap."""
    drawn = np.random.default_rng(0).choice(np.asarray(values), size=(resamples, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return float(low), float(high)
