"""Whether a place can be used, asked before any compute is spent."""

import glob
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import fsspec

from lmtrain.errors import RecipeError, StorageError
from lmtrain.storage.files import delete, write_bytes
from lmtrain.storage.places import (
    client_options,
    fixed_part,
    in_one_line,
    is_remote,
    is_s3,
    join,
    resolve,
)


def check_reachable(url: str) -> None:
    """Ask a remote place for one name, impatiently: who waits for it later has been told in seconds.

    Raises:
        RecipeError: the bucket doesn't exist, or may not be read.
        StorageError: nobody answers there.
    """
    with _told_as_place_error(url):
        _look_at(url)


def check_writable(root: str) -> None:
    """Write a file below a root and take it away again, before any compute is spent.

    Raises:
        RecipeError: the folder or bucket doesn't exist and can't be made, or may not be written.
        StorageError: nobody answers there.
    """
    with _told_as_place_error(root):
        if is_remote(root):
            _look_at(root)
        probe = join(resolve(root), f".probe-{uuid.uuid4().hex[:12]}")
        write_bytes(probe, b"written to see whether one may; nobody needs this file")
        delete(probe)


def _look_at(url: str) -> None:
    fs, path = fsspec.core.url_to_fs(url, **client_options(url, patient=False))
    if not is_s3(url):
        fs.exists(path)
        return
    fs.retries = 1  # s3fs tries again by itself, on top of what botocore does
    bucket, _, prefix = path.partition("/")
    fixed = fixed_part(prefix) if glob.has_magic(prefix) else prefix
    fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=fixed, MaxKeys=1)


@contextmanager
def _told_as_place_error(url: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, FileExistsError, NotADirectoryError, PermissionError) as error:
        raise RecipeError(f"can't use {url}: {in_one_line(error)}") from error
    except StorageError:
        raise
    except Exception as error:  # clients raise their own families: botocore's isn't OSError's
        raise StorageError(f"can't reach {url}: {in_one_line(error)}") from error
