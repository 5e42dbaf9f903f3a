"""The one contract between stages: an artifact is a manifest and the files that it lists.

An artifact's address follows from the stage's config and the digests of its
inputs alone: whoever asks for the same thing again finds the same manifest.
`lmtrain.building` makes artifacts; here is what they are and how they are read.

    {root}/{kind}/{label}-{digest}/manifest.json
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
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
    """Return the address of what a stage makes of these inputs, `unaddressed_inputs` left aside."""
    inputs = {role: given for role, given in inputs.items() if role not in config.unaddressed_inputs}
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
    lost = lost_files(root, address, manifest)
    if lost:
        logger.warning("%s is made again: %s is missing or cut short", address.folder, lost[0])
        return False
    now = {"lmtrain": __version__, **package_versions()}
    then = {"lmtrain": manifest.code_version, **manifest.packages}
    changed = [f"{name} {then.get(name)} → {now[name]}" for name in now if now[name] != then.get(name)]
    if changed:
        logger.warning("%s was made by other versions: %s", address.folder, ", ".join(changed))
    return True


def lost_files(root: str, address: Address, manifest: Manifest) -> list[str]:
    """Return the paths of an artifact's files that are missing or not of their size."""
    fs, folder = storage.filesystem(storage.join(root, address.folder))
    base = folder.rstrip("/").removesuffix(address.folder)
    sizes = {path.removeprefix(base): info["size"] for path, info in fs.find(folder, detail=True).items()}
    return [record.path for record in manifest.files if sizes.get(record.path) != record.bytes]


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
