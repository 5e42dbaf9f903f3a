"""What lies at a place: the files of a source, each with its name, size and fingerprint."""

import glob
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lmtrain.errors import LmtrainError, SourceError
from lmtrain.storage.checks import check_reachable
from lmtrain.storage.files import BLOCK, remembered_sha256
from lmtrain.storage.places import HUB_SCHEME, filesystem, fixed_part, in_one_line, is_remote, is_web, resolve


@dataclass(frozen=True)
class SourceFile:
    """One file of a source's listing.

    Attributes:
        url: where to read it.
        name: its place in the source, with no absolute local path in it.
        bytes: its size.
        fingerprint: an ETag or a SHA-256: changes when the content does.
    """

    url: str
    name: str
    bytes: int
    fingerprint: str


def list_files(pattern: str) -> list[SourceFile]:
    """Resolve a path, a folder or a glob to its files, sorted by name.

    Raises:
        SourceError: nothing is there, or it can't be read.
    """
    base = resolve(pattern)
    listing = _list_remote(base) if is_remote(base) else _list_local(base)
    found = sorted(listing, key=lambda file: file.name)
    if not found:
        raise SourceError(f"no file at {pattern}: check the path, or the pattern if it is one")
    return found


def _list_local(base: str) -> Iterator[SourceFile]:
    if os.path.isdir(base):
        pattern, start = os.path.join(glob.escape(base), "**", "*"), base
    elif os.path.exists(base):  # whatever its name holds, it isn't a pattern
        pattern, start = glob.escape(base), os.path.dirname(base)
    else:
        pattern, start = base, os.path.dirname(fixed_part(base))
    for path in glob.glob(pattern, recursive=True):
        if os.path.isfile(path):
            if not os.access(path, os.R_OK):
                raise SourceError(f"can't read {path}: permission denied")
            yield SourceFile(
                url=path,
                name=os.path.relpath(path, start),
                bytes=os.path.getsize(path),
                fingerprint=remembered_sha256(path),
            )


def _list_remote(base: str) -> Iterator[SourceFile]:
    with told_as_source_error(base):
        check_reachable(base)
        fs, path = filesystem(base)
        if base.startswith(HUB_SCHEME):
            path = _at_commit(fs, path)
        if is_web(base) and not glob.has_magic(path):
            yield _web_file(fs, path, os.path.basename(path.partition("?")[0]))
            return
        pattern = glob.has_magic(path)
        entries = fs.glob(path, detail=True) if pattern else fs.find(path, detail=True)
        start = os.path.dirname(fixed_part(path)) if pattern or path in entries else path
        for name, info in entries.items():
            inside = os.path.relpath(name, start)
            hidden = any(part.startswith(".") for part in inside.split("/"))  # as glob does on local disk
            emptied_folder = name == path and not info["size"]  # as some servers list it
            if info["type"] != "file" or hidden or emptied_folder:
                continue
            if is_web(base):
                yield _web_file(fs, name, inside)
                continue
            known = info.get("blob_id") or info.get("ETag") or info.get("LastModified") or info["size"]
            url = f"{base.split('://', 1)[0]}://{name}"
            yield SourceFile(url, inside, int(info["size"]), str(known).strip('"'))


def _at_commit(fs: Any, path: str) -> str:
    """Return a path on the hub at the commit that its branch has now: it can't change while it is read."""
    from huggingface_hub import HfApi

    place = fs.resolve_path(path)
    commit = HfApi(endpoint=fs.endpoint).dataset_info(place.repo_id, revision=place.revision).sha
    return f"datasets/{place.repo_id}@{commit}/{place.path_in_repo}".rstrip("/")


def _web_file(fs: Any, url: str, name: str) -> SourceFile:
    """Ask a web server about a file; where it tells nothing that changes with the content, read it."""
    info = fs.info(url)
    known = info.get("ETag") or info.get("Last-Modified")
    size = info.get("size")
    if known and size is not None:
        return SourceFile(url, name, int(size), known.strip('"'))
    hashed, size = hashlib.sha256(), 0
    with fs.open(url, "rb", block_size=0) as stream:
        while block := stream.read(BLOCK):
            hashed.update(block)
            size += len(block)
    return SourceFile(url, name, size, hashed.hexdigest())


@contextmanager
def told_as_source_error(url: str) -> Iterator[None]:
    """Turn what a storage client raises about a place into one line that names it."""
    try:
        yield
    except SourceError:
        raise
    except LmtrainError as error:
        raise SourceError(str(error)) from error
    except Exception as error:  # clients raise their own families: botocore's isn't OSError's
        raise SourceError(f"can't read {url}: {type(error).__name__}: {in_one_line(error)}") from error
