"""The two workers whose trainings many tests look at."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

PROGRAM = Path(__file__).with_name("two_workers_program.py")


@dataclass
class Found:
    """What two workers found (`two_workers_program`).

    Attributes:
        folder: of the files that they left.
        figures: what can be told as JSON, by name.
    """

    folder: Path
    figures: dict[str, Any]


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Matrices this small are multiplied fastest by one thread, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """One session of torchrun, in which a worker is killed twice and all are started again."""
    folder = tmp_path_factory.mktemp("two-workers")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, "--max-restarts=2", "--monitor-interval=0.1", str(PROGRAM), str(folder)],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    return Found(folder, json.loads((folder / "found.json").read_text()))
