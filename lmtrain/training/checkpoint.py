"""Checkpoints that are whole or not there, and that another number of workers can go on from.

Each is a folder of torch.distributed.checkpoint files; `complete.json`, written
last, lists their SHA-256. The `.metadata` file among them is a pickle, so it is
read only after its hash matched. Where the root is remote, files are written
locally first and each worker uploads its own.

A save copies the tensors and returns; a thread writes the copy while the
training goes on. Its workers agree through a process group of their own, so that
nothing that the training sends is mixed up with it.
"""

import json
import logging
import math
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch.distributed.checkpoint.state_dict_loader import load as load_distributed
from torch.distributed.checkpoint.state_dict_saver import save as save_distributed

from lmtrain import storage
from lmtrain.errors import CorruptArtifactError, StorageError
from lmtrain.training.process import Process

logger = logging.getLogger(__name__)

COMPLETE = "complete.json"


@dataclass
class Checkpoints:
    """The checkpoints of one training.

    An attempt writes its own and goes on from the newest of all, so that two
    builders at once don't write into each other's.

    Attributes:
        url: the folder of all attempts' checkpoints.
        attempt: names this attempt's own among them.
        process: this process; all call `save`, `wait` and `load` together.
        kept: how many of the last ones stay.
    """

    url: str
    attempt: str
    process: Process
    kept: int = 2
    _group: Any = field(default=None, init=False, repr=False)
    _writer: ThreadPoolExecutor = field(init=False, repr=False)
    _writing: Future | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="lmtrain-checkpoint")
        if self.process.world > 1:
            self._group = dist.new_group(backend="gloo")

    def save(self, step: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Copy the tensors and begin to write them; the checkpoint before must be written by then.

        Args:
            step: optimizer steps done.
            tensors: by name; distributed ones are written by part.
            facts: what else there is to remember, as JSON; `loss`, if there, is the validation loss.

        Raises:
            StorageError: the one before couldn't be written.
        """
        self.wait()
        staged = _copied(tensors)
        self._writing = self._writer.submit(self._write, step, staged, json.dumps(facts))

    def wait(self) -> None:
        """Wait until what was saved is written and can be gone on from.

        Raises:
            StorageError: it couldn't be; the ones before are still there.
        """
        if self._writing is None:
            return
        error = self._writing.exception()
        self._writing = None
        failed = self.process.sum([float(error is not None)])[0]
        if failed:
            told = f": {type(error).__name__}: {error}" if error else ""
            raise StorageError(
                f"a checkpoint couldn't be written to {self.url} on {failed:.0f} of {self.process.world} "
                f"workers{told}; the ones before are still there: make room and run again"
            ) from error

    def close(self) -> None:
        """Wait for what is being written, and end."""
        self.wait()
        self._writer.shutdown()

    def _write(self, step: int, tensors: dict[str, Tensor], facts: str) -> None:
        """Write one checkpoint and drop those beyond the last; runs in the thread."""
        target = storage.join(self.url, self.attempt, f"step-{step:08d}")
        if self.process.leads:
            storage.delete(target)  # what a crash left
        remote = storage.is_remote(target)
        local = Path(tempfile.mkdtemp(prefix="checkpoint-")) if remote else Path(target)
        with self._all_or_none():
            with _alone():
                save_distributed(
                    tensors,
                    checkpoint_id=str(local),
                    process_group=self._group,
                    no_dist=self.process.world == 1,
                )
            if remote:
                for path in sorted(local.iterdir()):
                    storage.move_in(path, storage.join(target, path.name))
                shutil.rmtree(local)
        if self.process.leads:
            self._complete(target, json.loads(facts))
            self._drop_old()

    @contextmanager
    def _all_or_none(self) -> Iterator[None]:
        """Wait for all workers at the end, and fail if one of them did."""
        error = None
        try:
            yield
        except Exception as raised:  # noqa: BLE001 (whatever it is, nobody may wait for this worker)
            error = raised
        failed = torch.tensor([float(error is not None)])
        if self._group is not None:
            dist.all_reduce(failed, group=self._group)
        if error is not None:
            raise error
        if failed:
            raise StorageError("another worker couldn't write its part")

    def _drop_old(self) -> None:
        """Delete all but the last ones and the one with the least validation loss."""
        whole = self._whole(storage.join(self.url, self.attempt))
        losses = {url: self._record(url)["facts"].get("loss", math.inf) for url in whole}
        best = min(whole, key=lambda url: losses[url])
        for url in whole[: -self.kept]:
            if url != best or losses[url] == math.inf:
                storage.delete(url)

    def _record(self, url: str) -> dict[str, Any]:
        return json.loads(storage.read_bytes(storage.join(url, COMPLETE)))

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
        record = self._record(source)
        local = Path(source)
        if storage.is_remote(source):
            local = Path(tempfile.mkdtemp(prefix="checkpoint-"))
            for name in record["files"]:
                storage.download(storage.join(source, name), local / name)
        for name, digest in record["files"].items():
            if storage.file_sha256(local / name) != digest:
                raise CorruptArtifactError(f"{source}/{name} is damaged: delete {source} and run again")
        with _alone():
            load_distributed(tensors, checkpoint_id=str(local), no_dist=self.process.world == 1)
        if storage.is_remote(source):
            shutil.rmtree(local)
        return record["facts"]


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy on the CPU that the training doesn't change."""
    options = StagingOptions(
        use_pinned_memory=False, use_shared_memory=False, use_async_staging=False, use_non_blocking_copy=False
    )
    stager = DefaultStager(options)
    staged: Any = stager.stage(tensors)
    stager.close()
    return staged


@contextmanager
def _alone() -> Iterator[None]:
    """Silence the warning that a single process is one: here it is meant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled, unavailable or unini")
        yield


def _sha256(url: str) -> str:
    if not storage.is_remote(url):
        return storage.file_sha256(url)
    with tempfile.TemporaryDirectory() as folder:
        return storage.file_sha256(storage.download(url, Path(folder) / "file"))
