"""Training needs little: a lone GPU machine has no Ray, no Prefect, and none of what makes the data."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
NEEDED = {"numpy", "pyarrow", "pydantic", "torch", "transformers"}
THEY_NEED = {"fsspec", "huggingface-hub", "jinja2", "pyyaml", "safetensors", "tokenizers", "tqdm"}
"""What these depend on themselves."""

PROGRAM = """
import sys
from pathlib import Path
for name in {absent!r}:
    sys.modules[name] = None  # importing it fails as if it weren't installed
import lmtrain.modeling.build, lmtrain.modeling.isolation
import lmtrain.objectives.clm
import lmtrain.training.loop, lmtrain.training.packing
from lmtrain.training.metrics import MetricsLog
log = MetricsLog(Path({folder!r}) / "log", [])
log.add(1, loss=2.0)
log.close()
"""


def absent() -> list[str]:
    """Import names of all that the project depends on beside what training needs."""
    listed = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    names = {re.split(r"[\\[<>=,! ]", one)[0] for one in listed}
    other = {"scikit-learn": "sklearn", "pyyaml": "yaml"}
    return [other.get(name, name.replace("-", "_")) for name in sorted(names - NEEDED - THEY_NEED)]


def test_it_is_imported_without_what_makes_data_and_runs_flows(tmp_path):
    gone = absent()
    assert {"ray", "prefect", "datasets", "numba", "tensorboard"} <= set(gone)
    program = PROGRAM.format(absent=gone, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "log" / "metrics.jsonl").read_text()
