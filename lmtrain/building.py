"""Building an artifact once, whoever asks for it, and going on after a crash.

A stage calls `build_once` with its config, the URLs of its inputs and a
function that does the work in shards. What is finished is recorded, so that
whoever continues after a crash adopts it; the manifest comes last.

    {root}/{kind}/{label}-{digest}/manifest.json        written last, exclusively
    {root}/{kind}/{label}-{digest}/attempts/{id}/...    files, by attempt
    {root}/{kind}/{label}-{digest}/done/{shard}.json    what is finished, for later attempts;
                                                        below its own folder with unaddressed inputs
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lmtrain import __version__, storage
from lmtrain.config import StageConfig
from lmtrain.manifest import (
    Address,
    FileRecord,
    InputRecord,
    Manifest,
    address_of,
    is_hit,
    open_record,
    package_versions,
    read_manifest,
)

logger = logging.getLogger(__name__)


@dataclass
class ShardResult:
    """What a finished shard of work left behind."""

    name: str
    files: list[FileRecord] = field(default_factory=list)
    stats: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Return the done record."""
        files = [record.model_dump() for record in self.files]
        return json.dumps({"name": self.name, "files": files, "stats": self.stats}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "ShardResult":
        """Read a done record."""
        raw = json.loads(data)
        return cls(raw["name"], [FileRecord(**record) for record in raw["files"]], raw["stats"])


class ShardOutput:
    """Where a shard's files are written: locally first, then moved in whole.

    A file gets a local path from `path(name)`, is written there, and is
    announced with `add(name, ...)`. Names keep their folders, and must be
    unique in the artifact.
    """

    def __init__(self, local: Path) -> None:
        self.local = local
        self.added: dict[str, dict[str, Any]] = {}
        self.stats: dict[str, Any] = {}
        self.result: ShardResult | None = None
        """What was recorded: set once the shard is done."""

    def path(self, name: str) -> Path:
        """Return the local path at which to write the file `name`."""
        path = self.local / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(
        self,
        name: str,
        role: str,
        *,
        rows: int | None = None,
        split: str | None = None,
        source: str | None = None,
    ) -> None:
        """Announce a written file."""
        self.added[name] = {"role": role, "rows": rows, "split": split, "source": source}

    def add_folder(self, name: str, role: str) -> None:
        """Announce every file below a written folder."""
        for path in sorted((self.local / name).rglob("*")):
            if path.is_file():
                self.add(path.relative_to(self.local).as_posix(), role)


@dataclass(frozen=True)
class Attempt:
    """One try at building an artifact. Travels to workers: it holds strings only.

    Attributes:
        root: where artifacts lie.
        address: of the artifact.
        id: of the try.
        variant: names the unaddressed inputs, if there are any: what was finished with others isn't adopted.
    """

    root: str
    address: Address
    id: str
    variant: str = ""

    @property
    def base(self) -> str:
        """URL of the artifact's folder."""
        return storage.join(self.root, self.address.folder)

    @property
    def folder(self) -> str:
        """The attempt's folder, relative to the root."""
        return f"{self.address.folder}/attempts/{self.id}"

    @contextmanager
    def shard(self, name: str) -> Iterator[ShardOutput]:
        """Write the files of one shard; on leaving without an error they are moved in and recorded as done.

        Args:
            name: unique among the artifact's shards; may hold slashes, `step/part-0001`.
        """
        if storage.is_remote(self.root):
            scratch = None
        else:
            scratch = storage.join(self.root, self.folder, "scratch")
            Path(scratch).mkdir(parents=True, exist_ok=True)
        local = Path(tempfile.mkdtemp(prefix="shard-", dir=scratch))
        output = ShardOutput(local)
        try:
            yield output
            result = ShardResult(name, stats=output.stats)
            for filename, about in output.added.items():
                path = local / filename
                record = FileRecord(
                    path=f"{self.folder}/{filename}",
                    bytes=path.stat().st_size,
                    sha256=storage.file_sha256(path),
                    **about,
                )
                storage.move_in(path, storage.join(self.root, record.path))
                result.files.append(record)
            storage.write_bytes(self._done_url(name), result.to_json())
            output.result = result
        finally:
            shutil.rmtree(local, ignore_errors=True)

    def finished(self, name: str) -> ShardResult | None:
        """Return a shard that this or an earlier attempt finished, if its files are what its record says."""
        try:
            result = ShardResult.from_json(storage.read_bytes(self._done_url(name)))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("%s: its done record is damaged and it is made again: %s", name, error)
            return None
        for record in result.files:
            if not _is_intact(self.root, record):
                logger.warning("%s: %s is damaged and is made again", name, record.path)
                return None
        return result

    def finished_among(self, names: Iterable[str], step: str) -> dict[str, ShardResult | None]:
        """Return what `finished` says of each shard below a step, at the price of one listing for all."""
        base = self._done_folder
        recorded = {
            url[len(base) + 1 :].removesuffix(".json") for url in storage.walk(storage.join(base, step))
        }
        return {name: self.finished(name) if name in recorded else None for name in names}

    def open(self, record: FileRecord) -> Path:
        """Return the local path of a file of this artifact, as `Artifact.open` does."""
        return open_record(self.root, record)

    @property
    def _done_folder(self) -> str:
        return storage.join(self.base, "done", self.variant).rstrip("/")

    def _done_url(self, name: str) -> str:
        return storage.join(self._done_folder, f"{name}.json")


def _is_intact(root: str, record: FileRecord) -> bool:
    url = storage.join(root, record.path)
    if storage.size(url) != record.bytes:
        return False
    fs, path = storage.filesystem(url)
    with fs.open(path, "rb") as stream:
        hashed = hashlib.sha256()
        while block := stream.read(storage.BLOCK):
            hashed.update(block)
    return hashed.hexdigest() == record.sha256


@dataclass
class Built:
    """What a stage's work returns: the files of its artifact, and what there is to tell about it."""

    files: list[FileRecord]
    stats: dict[str, Any]


def build_once(
    config: StageConfig, inputs: dict[str, list[str]], root: str, work: Callable[[Attempt], Built]
) -> str:
    """Return the URL of the manifest at this address, building it if it isn't there whole.

    Two builders at once: one wins, the other takes the winner's.

    Args:
        config: the stage's config.
        inputs: URLs of the input manifests by role; they lie under the same root.
        root: where artifacts lie; absolute.
        work: does the work in an attempt.
    """
    root = storage.resolve(root)
    addresses = {role: [Address.parse(url)[1] for url in urls] for role, urls in inputs.items()}
    address = address_of(config, addresses)
    url = address.url(root)
    if is_hit(root, address):
        return url
    started = time.monotonic()
    attempt = Attempt(root, address, uuid.uuid4().hex[:12], _variant(config, addresses))
    try:
        built = work(attempt)
        _publish(attempt, _manifest_of(attempt, config, inputs, built, time.monotonic() - started))
    except Exception:
        if not is_hit(root, address):
            raise
        _tidy(attempt, read_manifest(url))  # another builder won, and tidied up what this one was using
    return url


def _variant(config: StageConfig, inputs: dict[str, list[Address]]) -> str:
    """Return a name of the unaddressed inputs, `removals-0123456789ab`; empty without any."""
    return "-".join(
        "-".join([role, *(given.digest for given in inputs[role])])
        for role in sorted(config.unaddressed_inputs & inputs.keys())
    )


def _manifest_of(
    attempt: Attempt, config: StageConfig, inputs: dict[str, list[str]], built: Built, seconds: float
) -> Manifest:
    address = attempt.address
    records = [_input_record(role, given, attempt.root) for role, urls in inputs.items() for given in urls]
    return Manifest(
        stage=config.stage,
        kind=address.kind,
        label=address.label,
        digest=address.digest,
        stage_version=config.version,
        config=config.addressed(),
        inputs=records,
        files=built.files,
        stats=built.stats,
        attempt=attempt.id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 2),
        code_version=__version__,
        packages=package_versions(),
    )


def _publish(attempt: Attempt, manifest: Manifest) -> None:
    """Write the manifest unless another builder has won; then delete what no manifest lists."""
    paths = [record.path for record in manifest.files]
    assert len(set(paths)) == len(paths), "two shards wrote a file of the same name"
    url = attempt.address.url(attempt.root)
    content = manifest.model_dump_json(indent=2).encode()
    if not storage.write_exclusive(url, content):
        if is_hit(attempt.root, attempt.address):
            manifest = read_manifest(url)
        else:  # what stands there lost its files, which is why this one was built
            storage.write_bytes(url, content)
    _tidy(attempt, manifest)


def _input_record(role: str, url: str, root: str) -> InputRecord:
    inside = url.removeprefix(root.rstrip("/") + "/")
    assert inside != url, f"the input {url} doesn't lie under the root {root}"
    return InputRecord(
        role=role,
        url=inside,
        digest=Address.parse(url)[1].digest,
        manifest_sha256=hashlib.sha256(storage.read_bytes(url)).hexdigest(),
    )


def _tidy(attempt: Attempt, manifest: Manifest) -> None:
    """Delete what attempts left and the manifest doesn't list."""
    listed = {storage.join(attempt.root, record.path) for record in manifest.files}
    listed.add(attempt.address.url(attempt.root))
    for url in storage.walk(attempt.base):
        if url not in listed:
            storage.delete(url)
    if not storage.is_remote(attempt.root):
        for folder, _, _ in os.walk(attempt.base, topdown=False):
            with suppress(OSError):  # it isn't empty, or a rival is tidying up, too
                os.rmdir(folder)
