"""A peer's own environment: packages that ours neither has nor could have beside its own."""

import hashlib
import shutil
import subprocess
import sys
import venv

from lmtrain import storage

DATATROVE_NAME = "datatrove 0.10.1"
DATATROVE = [
    "datatrove==0.10.1", "orjson", "pyarrow", "regex", "spacy[ja]>=3.8", "jieba",
    "fasttext-numpy2-wheel", "fasteners", "xxhash<4", "tokenizers",
]  # fmt: skip
TRAINER_NAME = "Transformers' Trainer 5.23.0"
TRAINER = ["torch==2.13.0", "transformers[torch]==5.23.0"]
LITGPT_NAME = "litgpt 0.5.13"
LITGPT = ["torch==2.13.0", "litgpt==0.5.13"]
SIGNERS = ["gaoya==0.2.2", "rensa==0.5.0", "numpy"]


def python_of(name: str, requirements: list[str]) -> str:
    """Return the Python of an environment with these packages; installed the first time, then kept.

    Args:
        name: of the peer.
        requirements: as pip takes them.

    Raises:
        CalledProcessError: pip failed.
    """
    mark = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:12]
    folder = storage.cache_folder() / "benchmarks" / f"{name}-{mark}"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing {name} and what it needs in {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, *requirements], check=True)
        (folder / "installed").write_text("\n".join(requirements))
    return str(python)
