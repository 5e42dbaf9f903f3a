"""A machine that only trains needs neither Ray nor Prefect, and none of the libraries of data work."""

import subprocess
import sys

import numpy as np

from lmtrain.training.order import permute

ABSENT = ("ray", "prefect", "datasets", "numba", "tensorboard")
NEEDED = (
    "lmtrain.training.loop",
    "lmtrain.training.packing",
    "lmtrain.modeling.build",
    "lmtrain.objectives.clm",
)


PRINTS_AN_ORDER = "print(*lmtrain.training.order.permute(numpy.arange(100), 100, 3, 1))"


def test_training_imports_without_ray_prefect_datasets_numba_and_tensorboard():
    """And rows come in the same order there."""
    blocked = f"import sys\nfor name in {ABSENT}: sys.modules[name] = None\nimport numpy\n"
    program = blocked + "".join(f"import {module}\n" for module in NEEDED) + PRINTS_AN_ORDER
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", program],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert [int(row) for row in done.stdout.split()] == permute(np.arange(100), 100, 3, 1).tolist()
