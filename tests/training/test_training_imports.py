"""A machine that only trains needs neither Ray nor Prefect, and none of the libraries of data work."""

import subprocess
import sys

import pytest

ABSENT = ("ray", "prefect", "datasets", "numba", "tensorboard")


@pytest.mark.parametrize(
    "module", ["lmtrain.training.loop", "lmtrain.modeling.build", "lmtrain.objectives.clm"]
)
def test_training_imports_without_ray_prefect_datasets_numba_and_tensorboard(module):
    blocked = f"import sys\nfor name in {ABSENT}: sys.modules[name] = None\nimport {module}\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
