"""A machine that only trains needs neither Ray nor Prefect, and none of the libraries of data work."""

import subprocess
import sys

ABSENT = ("ray", "prefect", "datasets", "numba", "tensorboard")
NEEDED = (
    "lmtrain.training.loop",
    "lmtrain.training.packing",
    "lmtrain.modeling.build",
    "lmtrain.objectives.clm",
)


def test_training_imports_without_ray_prefect_datasets_numba_and_tensorboard():
    blocked = f"import sys\nfor name in {ABSENT}: sys.modules[name] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + "".join(f"import {module}\n" for module in NEEDED)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
