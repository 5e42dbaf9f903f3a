"""One process of a training: which it is, on what it runs, and whom it tells.

The same loop runs alone, under `torchrun`, or under Ray Train; only who makes
the `Process` differs.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from lmtrain.errors import LostWorkerError, ResourceError

Tell = Callable[[str, dict[str, Any]], None]

SAME_SIGNAL_SECONDS = 1.0

TELLING_SECONDS = 3.0
"""Within which all whose collective failed have said so: they wait equally long, so they fail together."""


def _tell_nobody(kind: str, payload: dict[str, Any]) -> None:
    """Tell nobody."""


@dataclass
class Process:
    """A training process.

    Attributes:
        rank: its number, from 0.
        world: how many there are.
        device: where its model lies.
        tell: called with ("progress" | "figures" | "log", payload).
        cancelled: tells whether somebody asked to stop; asked on rank 0 only.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    tell: Tell = _tell_nobody
    cancelled: Callable[[], bool] = lambda: False
    _terminated: threading.Event = field(default_factory=threading.Event, init=False, repr=False)
    _step: int = field(default=0, init=False, repr=False)

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    def log(self, line: str, level: int = logging.INFO) -> None:
        """Tell a line, with rank and host."""
        self.tell("log", {"rank": self.rank, "host": socket.gethostname(), "line": line, "level": level})

    def sum(self, values: list[float], group: dist.ProcessGroup | None = None) -> list[float]:
        """Return the sums over all processes, or those of a group, in float64."""
        if self.world == 1:
            return values
        device = self.device if self.device.type == "cuda" else torch.device("cpu")
        tensor = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(tensor, group=group)
        return tensor.tolist()

    @contextmanager
    def heeding_signals(self) -> Iterator[None]:
        """Let SIGTERM and Ctrl-C ask for a stop: a scheduler sends the one, a person the other.

        A second one ends the process at once. `torchrun` passes on what the terminal has sent to
        its processes already, so that within a moment two are one.
        """
        if threading.current_thread() is not threading.main_thread():  # Ray ends its workers in its own way
            yield
            return
        asked_at = 0.0

        def ask(number: int, frame: Any) -> None:
            nonlocal asked_at
            if self._terminated.is_set() and time.monotonic() - asked_at > SAME_SIGNAL_SECONDS:
                raise KeyboardInterrupt
            if not self._terminated.is_set():
                asked_at = time.monotonic()
                self._terminated.set()

        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def terminated(self) -> bool:
        """Whether this process was asked to end."""
        return self._terminated.is_set()

    @contextmanager
    def naming_who_is_late(self) -> Iterator[None]:
        """Turn a collective's failure into an error that names the ranks that are behind, and their steps.

        Raises:
            LostWorkerError: a collective timed out, or a worker is gone.
        """
        try:
            yield
        except RuntimeError as error:
            if self.world == 1 or not _is_of_a_collective(error):
                raise
            raise LostWorkerError(
                f"rank {self.rank} waited in vain for the others at step {self._step}: {self._who_is_late()}"
            ) from error

    def _who_is_late(self) -> str:
        """Return whom this one waited for: of those who don't tell in a moment that they waited, too, all."""
        try:
            store = _store()
            store.set(_key("waited", self.rank), "")
            time.sleep(TELLING_SECONDS)
            others = [rank for rank in range(self.world) if rank != self.rank]
            late = [rank for rank in others if not store.check([_key("waited", rank)])] or others
            told = [f"rank {rank} was last seen at step {_last_step(store, rank)}" for rank in late]
        except RuntimeError:
            return "the process that keeps their steps, rank 0's or the launcher, is gone"
        return f"{', '.join(told)}; look at what it logged last"

    def beat(self, step: int) -> None:
        """Tell the others which step this process is at."""
        self._step = step
        if self.world > 1:
            _store().set(_key("step", self.rank), str(step))


def _store() -> Any:
    return dist.distributed_c10d._get_default_store()


def _key(kind: str, rank: int) -> str:
    return f"lmtrain/{kind}/{rank}"


def _last_step(store: Any, rank: int) -> int:
    key = _key("step", rank)
    return int(store.get(key)) if store.check([key]) else 0  # to get what isn't there would wait for it


def _is_of_a_collective(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower() or "nccl" in str(error).lower()


def _store_of_this_life(timeout: timedelta) -> Any:
    """Return the store in which processes find each other.

    With `--max-restarts`, torchrun keeps the one in which the dead ones left their addresses (2.13), and who
    is faster than rank 0 would call those: what each life writes has a name of its own.
    """
    store, _, _ = next(rendezvous("env://", timeout=timeout))
    return PrefixStore(f"life-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def torchrun_process(tell: Tell = _tell_nobody, timeout_seconds: int = 1800, device: str = "auto") -> Process:
    """Join the process group that `torchrun` describes in the environment, or be alone without one.

    Args:
        tell: as for `Process`.
        timeout_seconds: how long a collective may take.
        device: `cpu`, `cuda`, or `auto` for a GPU where there is one.

    Raises:
        ResourceError: a GPU is asked for and there are fewer than processes.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    index = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda" and torch.cuda.device_count() <= index:
        raise ResourceError(
            f"resources.device is cuda, but {socket.gethostname()} has {torch.cuda.device_count()} GPUs for "
            f"{os.environ.get('LOCAL_WORLD_SIZE', '1')} processes: set it to cpu, or start fewer"
        )
    on = torch.device("cpu")
    if device != "cpu" and torch.cuda.device_count() > index:
        on = torch.device("cuda", index)
        torch.cuda.set_device(on)
    if world > 1 and not dist.is_initialized():
        timeout = timedelta(seconds=timeout_seconds)
        dist.init_process_group(
            "cuda:nccl,cpu:gloo" if on.type == "cuda" else "gloo",
            store=_store_of_this_life(timeout),
            rank=int(os.environ["RANK"]),
            world_size=world,
            timeout=timeout,
        )
    return Process(int(os.environ.get("RANK", "0")), world, on, tell)
