"""Checkpoints that are whole or not there, and that another number of workers can go on from.

Each is a folder of torch.distributed.checkpoint files; `complete.json`, written
last, lists their SHA-256. The `.metadata` file among them is a pickle, so it is
read only after its hash matched. Where the root is remote, files are written
locally first and each worker uploads its own.
"""

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.distributed.checkpoint.state_dict_loader import load as load_distributed
from torch.distributed.checkpoint.state_dict_saver import save as save_distributed

from lmtrain import storage
from lmtrain.errors import CorruptArtifactError
from lmtrain.training.process import Process

logger = logging.getLogger(__name__)

KEPT = 2
COMPLETE = "complete.json"


@dataclass
class Checkpoints:
    """The checkpoints of one training.

    An attempt writes its own and goes on from the newest of all, so that two
    builders at once don't write into each other's.

    Attributes:
        url: the folder of all attempts' checkpoints.
        attempt: names this attempt's own among them.
        process: this process; all call `save` and `load` together.
    """

    url: str
    attempt: str
    process: Process

    def save(self, step: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Write one checkpoint and drop those beyond the last two.

        Args:
            step: optimizer steps done.
            tensors: by name; distributed ones are written by part.
            facts: what else there is to remember, as JSON.
        """
        target = storage.join(self.url, self.attempt, f"step-{step:08d}")
        remote = storage.is_remote(target)
        local = Path(tempfile.mkdtemp(prefix="checkpoint-")) if remote else Path(target)
        if self.process.leads and not remote:
            storage.delete(target)  # what a crash left
        self.process.barrier()
        with self._alone():
            save_distributed(tensors, checkpoint_id=str(local), no_dist=self.process.world == 1)
        if remote:
            for path in sorted(local.iterdir()):
                storage.move_in(path, storage.join(target, path.name))
            shutil.rmtree(local)
        self.process.barrier()
        if self.process.leads:
            self._complete(target, facts)
            for old in self._whole(storage.join(self.url, self.attempt))[:-KEPT]:
                storage.delete(old)

    def _complete(self, target: str, facts: dict[str, Any]) -> None:
        hashes = {url.rsplit("/", 1)[1]: _sha256(url) for url in storage.walk(target)}
        record = json.dumps({"files": hashes, "facts": facts})
        storage.write_bytes(storage.join(target, COMPLETE), record.encode())

    def _whole(self, folder: str) -> list[str]:
        """Return the URLs of the whole checkpoints below a folder, by step."""
        if not storage.exists(folder):
            return []
        found = [url.rsplit("/", 1)[0] for url in storage.walk(folder) if url.endswith(f"/{COMPLETE}")]
        return sorted(found, key=lambda url: (url.rsplit("/", 1)[1], url))

    def steps(self) -> list[int]:
        """Return the steps of the whole checkpoints, in order."""
        return [int(url.rsplit("-", 1)[1]) for url in self._whole(self.url)]

    def load(self, tensors: dict[str, Tensor]) -> dict[str, Any] | None:
        """Read the newest whole checkpoint into tensors; return its facts, or None if there is none.

        Raises:
            CorruptArtifactError: a file isn't what was written.
        """
        whole = self._whole(self.url)
        if not whole:
            return None
        source = whole[-1]
        record = json.loads(storage.read_bytes(storage.join(source, COMPLETE)))
        local = Path(source)
        if storage.is_remote(source):
            local = Path(tempfile.mkdtemp(prefix="checkpoint-"))
            for name in record["files"]:
                storage.download(storage.join(source, name), local / name)
        for name, digest in record["files"].items():
            if storage.file_sha256(local / name) != digest:
                raise CorruptArtifactError(f"{source}/{name} is damaged: delete {source} and run again")
        with self._alone():
            load_distributed(tensors, checkpoint_id=str(local), no_dist=self.process.world == 1)
        if storage.is_remote(source):
            shutil.rmtree(local)
        return record["facts"]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Silence the warning that a single process is one: here it is meant."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled, unavailable or unini")
            yield


def _sha256(url: str) -> str:
    if not storage.is_remote(url):
        return storage.file_sha256(url)
    with tempfile.TemporaryDirectory() as folder:
        return storage.file_sha256(storage.download(url, Path(folder) / "file"))
