"""The one contract between stages: an artifact is a manifest and the files that it lists.

A stage calls `build_once` with its config and the URLs of its inputs. The
address follows from these alone; whoever asks for the same thing again gets
the same manifest, and whoever continues after a crash adopts the shards that
were finished.

    {root}/{kind}/{label}-{digest}/manifest.json        written last, exclusively
    {root}/{kind}/{label}-{digest}/attempts/{id}/...    files, by attempt
    {root}/{kind}/{label}-{digest}/done/{shard}.json    what is finished, for later attempts
"""

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from lmtrain import __version__, storage
from lmtrain.config import StageConfig
from lmtrain.errors import CorruptArtifactError

logger = logging.getLogger(__name__)

FORM = 1
"""Version of the canonical form that digests are taken over."""

RECORDED_PACKAGES = ("torch", "transformers", "tokenizers", "pyarrow", "numpy", "numba", "ray", "datasets")


@dataclass(frozen=True)
class Address:
    """Where an artifact lies below a root: a kind, a readable label, and a digest."""

    kind: str
    label: str
    digest: str

    @property
    def folder(self) -> str:
        """The artifact's folder, relative to the root."""
        return f"{self.kind}/{self.label}-{self.digest}"

    def url(self, root: str) -> str:
        """Return the manifest's URL under a root."""
        return storage.join(root, self.folder, "manifest.json")

    @classmethod
    def parse(cls, url: str) -> tuple[str, "Address"]:
        """Split a manifest URL into root and address.

        Raises:
            CorruptArtifactError: the URL isn't that of a manifest.
        """
        found = re.fullmatch(r"(.+)/([a-z_]+)/([^/]+)-([0-9a-f]{12})/manifest\.json", url)
        if not found:
            raise CorruptArtifactError(
                f"not the URL of a manifest: {url} (it ends in kind/label-digest/manifest.json)"
            )
        root, kind, label, digest = found.groups()
        return root, cls(kind, label, digest)


def address_of(config: StageConfig, inputs: dict[str, list[Address]]) -> Address:
    """Return the address of what a stage makes of these inputs."""
    canonical = json.dumps(
        {
            "form": FORM,
            "stage": config.stage,
            "version": config.version,
            "config": config.addressed(),
            "inputs": {role: [given.digest for given in many] for role, many in inputs.items()},
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:12]
    label = config.label({role: [given.label for given in many] for role, many in inputs.items()})
    return Address(config.kind, re.sub(r"[^\w.+-]+", "-", label)[:80], digest)


class Record(BaseModel):
    """Base of what stands in a manifest: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(Record):
    """One data file. `path` is relative to the root."""

    path: str
    bytes: int
    sha256: str
    role: str
    rows: int | None = None
    split: str | None = None
    source: str | None = None


class InputRecord(Record):
    """One input artifact: its URL relative to the root, and what it was when it was read."""

    role: str
    url: str
    digest: str
    manifest_sha256: str


class Manifest(Record):
    """What an artifact is, what it was made of, and which files belong to it."""

    schema_version: int = 1
    stage: str
    kind: str
    label: str
    digest: str
    stage_version: int
    config: dict[str, Any]
    inputs: list[InputRecord]
    files: list[FileRecord]
    stats: dict[str, Any]
    attempt: str
    created_at: str
    seconds: float
    code_version: str
    packages: dict[str, str]


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
    """One try at building an artifact. Travels to workers: it holds strings only."""

    root: str
    address: Address
    id: str

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
        base = storage.join(self.base, "done")
        recorded = {
            url[len(base) + 1 :].removesuffix(".json") for url in storage.walk(storage.join(base, step))
        }
        return {name: self.finished(name) if name in recorded else None for name in names}

    def open(self, record: FileRecord) -> Path:
        """Return the local path of a file of this artifact, as `Artifact.open` does."""
        return open_record(self.root, record)

    def _done_url(self, name: str) -> str:
        return storage.join(self.base, "done", f"{name}.json")


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
    attempt = Attempt(root, address, uuid.uuid4().hex[:12])
    try:
        built = work(attempt)
        _publish(attempt, _manifest_of(attempt, config, inputs, built, time.monotonic() - started))
    except Exception:
        if not is_hit(root, address):
            raise
        _tidy(attempt, read_manifest(url))  # another builder won, and tidied up what this one was using
    return url


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


def is_hit(root: str, address: Address) -> bool:
    """Tell whether the artifact is there with every file at its size.

    A manifest that is damaged or whose files are missing is no hit, and said: the
    artifact is made again. One of other code or packages is a hit, and said.
    """
    url = address.url(root)
    if not storage.exists(url):
        return False
    try:
        manifest = read_manifest(url)
    except CorruptArtifactError as error:
        logger.warning("%s is made again: %s", address.folder, error)
        return False
    fs, folder = storage.filesystem(storage.join(root, address.folder))
    base = folder.rstrip("/").removesuffix(address.folder)
    sizes = {path.removeprefix(base): info["size"] for path, info in fs.find(folder, detail=True).items()}
    lost = [record.path for record in manifest.files if sizes.get(record.path) != record.bytes]
    if lost:
        logger.warning("%s is made again: %s is missing or cut short", address.folder, lost[0])
        return False
    now = {"lmtrain": __version__, **package_versions()}
    then = {"lmtrain": manifest.code_version, **manifest.packages}
    changed = [f"{name} {then.get(name)} → {now[name]}" for name in now if now[name] != then.get(name)]
    if changed:
        logger.warning("%s was made by other versions: %s", address.folder, ", ".join(changed))
    return True


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that can change a result, of those installed."""
    installed = {}
    for name in RECORDED_PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def read_manifest(url: str) -> Manifest:
    """Read and check a manifest.

    Raises:
        CorruptArtifactError: it isn't one.
    """
    try:
        return Manifest.model_validate_json(storage.read_bytes(url))
    except FileNotFoundError as error:
        raise CorruptArtifactError(f"no manifest at {url}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CorruptArtifactError(f"{url} is not a manifest: {where}: {first['msg']}") from error


class Artifact:
    """A manifest opened for reading."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.root, self.address = Address.parse(url)
        self.manifest = read_manifest(url)

    @property
    def stats(self) -> dict[str, Any]:
        """The stage's own account of what it made."""
        return self.manifest.stats

    def files(self, role: str, *, split: str | None = None, source: str | None = None) -> list[FileRecord]:
        """Return the files of a role in the manifest's order."""
        return [
            record
            for record in self.manifest.files
            if record.role == role and split in (None, record.split) and source in (None, record.source)
        ]

    def open(self, record: FileRecord) -> Path:
        """Return a local path of a file, checked against its SHA-256 when it is first read here.

        Raises:
            CorruptArtifactError: the content isn't what the manifest says.
        """
        return open_record(self.root, record)

    def folder(self, role: str) -> Path:
        """Return the local folder that holds all files of a role under their own names."""
        records = self.files(role)
        paths = [self.open(record) for record in records]
        if not paths:
            raise CorruptArtifactError(f"{self.url} has no files of role {role!r}")
        return min((path.parent for path in paths), key=lambda folder: len(folder.parts))

    def tables(
        self, role: str, *, split: str | None = None, columns: list[str] | None = None
    ) -> Iterator[pa.Table]:
        """Yield the Parquet files of a role as tables."""
        for record in self.files(role, split=split):
            yield pq.read_table(self.open(record), columns=columns)

    def inputs(self, role: str) -> list["Artifact"]:
        """Open the input artifacts of a role."""
        return [
            Artifact(_inside(self.root, given.url)) for given in self.manifest.inputs if given.role == role
        ]


def open_record(root: str, record: FileRecord) -> Path:
    """Return a local path of a recorded file, fetched if it is remote and checked once.

    Raises:
        CorruptArtifactError: the path leaves its root, or the content isn't what the record says.
    """
    url = _inside(root, record.path)
    if not storage.is_remote(url):
        path = Path(url)
    else:
        key = hashlib.sha256(root.encode()).hexdigest()[:12]
        path = storage.cache_folder() / "files" / key / record.path
        if not _matches(path, record):  # not fetched yet, or the cached copy was damaged
            _fetch(url, path)
    if not _matches(path, record):
        raise CorruptArtifactError(f"{url} isn't what its manifest says: delete its folder and run again")
    return path


def _inside(root: str, path: str) -> str:
    if path.startswith("/") or "://" in path or ".." in path.split("/"):
        raise CorruptArtifactError(f"a manifest lists {path!r}, which lies outside its root")
    return storage.join(root, path)


def _matches(path: Path, record: FileRecord) -> bool:
    return path.exists() and storage.remembered_sha256(path) == record.sha256


def _fetch(url: str, path: Path) -> None:
    try:
        storage.download(url, path)
    except FileNotFoundError as error:
        raise CorruptArtifactError(f"{url} is gone, though its manifest lists it: run again") from error
