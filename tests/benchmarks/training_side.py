"""What the sides of the training benchmark share: each is given a case, and trains some steps when asked.

One JSON object a line comes in, one goes out. The first says what to train;
`{"steps": n}` trains n more and answers with the seconds that they took and the
losses; what is printed otherwise goes to the standard error. Needs torch and
numpy alone, so that it runs in the environment of every peer.
"""

import json
import os
import resource
import sys
import time
from dataclasses import dataclass
from typing import IO, Any, NoReturn

import numpy as np
import torch


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        rows: file of packed rows, int64, shape (rows, tokens + 1).
        folder: of a Transformers Llama with the initial weights.
        shape: vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size.
        batch: rows in a step.
        precision: `fp32` or `bf16`.
        compiled: whether through torch.compile.
        threads: of this process.
        steps: all that will be asked for.
    """

    rows: str
    folder: str
    shape: dict[str, int]
    batch: int
    precision: str
    compiled: bool
    threads: int
    steps: int
    learning_rate: float = 1e-3
    weight_decay: float = 0.1

    def batches(self) -> np.ndarray:
        """Return the rows of all steps in order, over and over, shape (steps, batch, tokens + 1)."""
        rows = np.load(self.rows)
        places = np.arange(self.steps * self.batch) % len(rows)
        return rows[places].reshape(self.steps, self.batch, -1)


class Side:
    """One side's conversation with the benchmark."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        """Take the case, which is the first request."""
        self.requests = requests
        self.answers = answers
        self.case = Case(**self._request())
        torch.set_num_threads(self.case.threads)
        self.before = _resident()
        self.left = 0
        self.losses: list[float] = []
        self.begun = 0.0

    def wait(self) -> None:
        """Say that everything is ready, and wait for the first request."""
        self._answer()

    def stepped(self, loss: float | None = None) -> None:
        """Count a step that was done; answer and wait where it was the last one asked for."""
        if loss is not None:
            self.losses.append(loss)
        self.left -= 1
        if self.left == 0:
            self._answer()

    def _answer(self) -> None:
        seconds = time.perf_counter() - self.begun if self.begun else 0.0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        said = {"seconds": seconds, "losses": self.losses, "peak_bytes": peak - self.before}
        self.answers.write(json.dumps(said) + "\n")
        self.answers.flush()
        self.losses = []
        self.left = int(self._request()["steps"])
        self.begun = time.perf_counter()

    def _request(self) -> dict[str, Any]:
        line = self.requests.readline()
        return json.loads(line) if line else self._end()

    def _end(self) -> NoReturn:
        """Leave at once: compilers' and loaders' helper processes would take seconds to end."""
        self.answers.close()
        os._exit(0)


def of_standard_streams() -> Side:
    """Return a side that is asked by the standard input and answers on the standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    return Side(sys.stdin, answers)


def _resident() -> int:
    """Return the bytes of main memory that this process holds."""
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
