"""What a source holds right now, resolved before anything is addressed.

The hash of the listing enters the digest of the corpus, so that a new file
under a glob, or a new version of a package, is a new corpus and never a false hit.
"""

import hashlib
import json
from dataclasses import dataclass

from lmtrain import storage
from lmtrain.errors import RecipeError, SourceError
from lmtrain.ingestion.config import DocstringsSource, FilesSource, LabelledFiles

DOCUMENT_SUFFIXES = (".jsonl", ".txt", ".parquet", ".csv")
COMPRESSIONS = ("", ".gz", ".zst")


@dataclass(frozen=True)
class Listing:
    """The files of a source, their hash, and their size in bytes."""

    files: tuple[storage.SourceFile, ...]
    digest: str

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


def list_docstrings(source: DocstringsSource) -> Listing:
    """List the Python files of the source's packages; the hash is over (package, version).

    Raises:
        SourceError: a package isn't installed.
    """
    files = []
    versions = []
    for package in sorted(set(source.packages)):
        folder = storage.package_folder(package)
        versions.append([package, storage.package_version(package)])
        for path in sorted(folder.rglob("*.py")):
            name = path.relative_to(folder.parent).as_posix()
            files.append(storage.SourceFile(str(path), name, path.stat().st_size, ""))
    return Listing(tuple(files), _digest(versions))


def list_source_files(source: FilesSource) -> Listing:
    """List the files of a source.

    Raises:
        SourceError: a pattern matches nothing, everything is empty, or a file is of an unknown form.
    """
    return _list_urls(source.alias, {"": source.urls})


def list_labelled_files(source: LabelledFiles) -> Listing:
    """List the files of a labelled set; files with one label stand under that label's name.

    Raises:
        RecipeError: neither or both of `urls` and `urls_by_label` are given.
        SourceError: as for documents.
    """
    if bool(source.urls) == bool(source.urls_by_label):
        raise RecipeError(f"label {source.alias}: give either urls or urls_by_label")
    return _list_urls(source.alias, source.urls_by_label or {"": source.urls})


def _list_urls(alias: str, urls_by_label: dict[str, list[str]]) -> Listing:
    found: dict[tuple[str, str], storage.SourceFile] = {}
    for label, urls in sorted(urls_by_label.items()):
        for url in urls:
            for file in storage.list_files(url):
                found[label, file.url] = file
    files = tuple(file for _, file in sorted(found.items(), key=lambda item: (item[0][0], item[1].name)))
    for file in files:
        _check_form(alias, file)
    if not any(file.bytes for file in files):
        raise SourceError(f"source {alias}: every file is empty")
    rows = sorted([label, file.name, file.bytes, file.fingerprint] for (label, _), file in found.items())
    return Listing(files, _digest(rows))


def _check_form(alias: str, file: storage.SourceFile) -> None:
    known = [suffix + compression for suffix in DOCUMENT_SUFFIXES for compression in COMPRESSIONS]
    if not file.name.lower().endswith(tuple(known)):
        raise SourceError(
            f"source {alias}: {file.name} is of no known form; known are "
            f"{', '.join(DOCUMENT_SUFFIXES)}, plain or with .gz or .zst"
        )


def _digest(rows: list) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
