"""Whole files or none: what is written is there whole, and of many writers of one file one wins."""

import errno
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lmtrain.errors import StorageError
from lmtrain.storage.places import filesystem, in_one_line, is_remote

BLOCK = 1 << 20
EXCLUSIVE_TRIES = 3
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def exists(url: str) -> bool:
    """Tell whether there is a file or folder."""
    fs, path = filesystem(url)
    return bool(fs.exists(path))


def size(url: str) -> int | None:
    """Return a file's size in bytes, or None where there is no file."""
    fs, path = filesystem(url)
    try:
        info = fs.info(path)
    except FileNotFoundError:
        return None
    return int(info["size"]) if info["type"] == "file" else None


def read_bytes(url: str) -> bytes:
    """Return a file's content."""
    fs, path = filesystem(url)
    return bytes(fs.cat_file(path))


def write_bytes(url: str, data: bytes) -> None:
    """Write a whole file; on local disk a reader sees the old one or the new one, never a part."""
    fs, path = filesystem(url)
    if is_remote(url):
        fs.pipe_file(path, data)
        return
    temporary = Path(_beside(path))
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def told_when_full() -> Iterator[None]:
    """Turn the error of a disk without room into one line that says what to do.

    Raises:
        StorageError: the disk, a quota, or the largest size of a file is used up.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        place = f" at {error.filename}" if error.filename else ""
        raise StorageError(
            f"no room to write{place}: {in_one_line(error)}; nothing that was finished is lost: make room "
            "and run again"
        ) from error


def write_exclusive(url: str, data: bytes) -> bool:
    """Write a file unless it exists; return whether this call wrote it.

    Of several writers at once exactly one wins: on S3 by `If-None-Match: *`, on
    local disk by linking a file that is already whole.
    """
    fs, path = filesystem(url)
    if is_remote(url):
        return _create_remote(fs, path, url, data)
    temporary = Path(_beside(path))
    try:
        temporary.write_bytes(data)
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _create_remote(fs: Any, path: str, url: str, data: bytes) -> bool:
    """PUT with `If-None-Match: *`; a conflict of two at once is neither's win yet, so it is tried again."""
    tries = 0
    while True:
        tries += 1
        try:
            fs.pipe_file(path, data, mode="create")
        except StorageError:
            raise
        except Exception as error:  # clients raise their own families: botocore's isn't OSError's
            if fs.exists(path):
                return False
            if tries == EXCLUSIVE_TRIES:
                raise StorageError(f"could not write {url}: {in_one_line(error)}") from error
        else:
            return True


def _beside(path: str) -> str:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return f"{path}.{uuid.uuid4().hex[:8]}.tmp"


def move_in(local: Path, url: str) -> None:
    """Move a finished local file to its URL: a rename on local disk, an upload elsewhere."""
    fs, path = filesystem(url)
    if is_remote(url):
        fs.put_file(str(local), path)
        local.unlink()
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.replace(local, path)


def delete(url: str) -> None:
    """Delete a file or a folder with all in it; what isn't there, or is just being deleted, is no error."""
    fs, path = filesystem(url)
    with suppress(FileNotFoundError):
        if fs.exists(path):
            fs.rm(path, recursive=True)


def walk(url: str) -> list[str]:
    """Return the URLs of all files below a folder, sorted."""
    fs, path = filesystem(url)
    prefix = url.split("://", 1)[0] + "://" if is_remote(url) else ""
    below = path.rstrip("/") + "/"  # some servers list an emptied folder as a file of its own name
    return sorted(prefix + name for name in fs.find(path) if name.startswith(below))


def download(url: str, target: Path) -> Path:
    """Copy a file to a local path, whole or not at all."""
    fs, path = filesystem(url)
    temporary = Path(_beside(str(target)))
    fs.get_file(path, str(temporary))
    os.replace(temporary, target)
    return target


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a local file, in hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_folder() -> Path:
    """Return where this machine keeps what it can make again: `LMTRAIN_CACHE`, else ~/.cache/lmtrain."""
    return Path(os.environ.get("LMTRAIN_CACHE") or Path.home() / ".cache" / "lmtrain")


def remembered_sha256(path: str | Path) -> str:
    """Return a local file's SHA-256, remembered on this machine by path, size and modification time."""
    status = os.stat(path)
    key = f"{os.path.abspath(path)}\0{status.st_size}\0{status.st_mtime_ns}"
    note = cache_folder() / "sha256" / hashlib.sha256(key.encode()).hexdigest()
    if note.exists():
        return note.read_text()
    found = file_sha256(path)
    write_bytes(str(note), found.encode())
    return found
