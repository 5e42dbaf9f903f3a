"""Bytes of a source file, decompressed as they are read, in lines of bounded length.

Two kinds of trouble are kept apart: what a file holds is broken (`OSError` or
`EOFError`: the file is rejected and the rest goes on), and the place it lies at
fails (`StorageError`: worth another try, never a reason to lose a file).
"""

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, Literal, cast

import pyarrow as pa

from lmtrain import storage
from lmtrain.errors import StorageError

BLOCK = 1 << 20
CODECS: dict[str, Literal["gzip", "zstd"]] = {".gz": "gzip", ".zst": "zstd"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Stored(io.RawIOBase):
    """Reads a stored file; whatever its storage raises becomes a StorageError."""

    def __init__(self, stream: Any, url: str) -> None:
        super().__init__()
        self.stream = stream
        self.url = url

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._ask(self.stream.read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._ask(self.stream.seek, offset, whence)

    def tell(self) -> int:
        return self._ask(self.stream.tell)

    def _ask(self, method: Any, *arguments: int) -> Any:
        try:
            return method(*arguments)
        except Exception as error:  # clients raise their own families: botocore's isn't OSError's
            raise StorageError(f"reading {self.url} failed: {type(error).__name__}: {error}") from error


@contextmanager
def open_source(file: storage.SourceFile) -> Iterator[BinaryIO]:
    """Open a source file for reading, decompressed by its suffix (.gz, .zst).

    Reading raises OSError where the compressed data is cut short or broken.

    Raises:
        SourceError: the file is gone or can't be opened.
        StorageError: reading failed.
    """
    with storage.told_as_source_error(file.url):
        fs, path = storage.filesystem(file.url)
        stored = fs.open(path, "rb")
    with stored:
        plain = io.BufferedReader(_Stored(stored, file.url), BLOCK)
        codec = CODECS.get(os.path.splitext(file.name.lower())[1])
        if codec is None:
            yield cast(BinaryIO, plain)
        else:
            inflated = pa.CompressedInputStream(pa.PythonFile(plain, mode="r"), codec)
            yield cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, inflated), BLOCK))


def form_of(file: storage.SourceFile) -> str:
    """Return a file's form, `.jsonl`, from its name without the suffix of a compression."""
    name = file.name.lower()
    for suffix in CODECS:
        name = name.removesuffix(suffix)
    return name[name.rindex(".") :]


def is_compressed(file: storage.SourceFile) -> bool:
    """Tell whether a file's name ends in the suffix of a compression."""
    return file.name.lower().endswith(tuple(CODECS))


def bounded_lines(stream: IO[bytes], limit: int) -> Iterator[tuple[bytes | None, int]]:
    r"""Yield each line and its size in bytes; of a line longer than the limit only the size.

    Lines end in \n, which is kept; a byte order mark at the beginning of the file isn't.

    Args:
        stream: bytes.
        limit: the longest line that is held in memory, in bytes.
    """
    first = True
    while line := stream.readline(limit + 1):
        size = len(line)
        if first:
            line = line.removeprefix(BYTE_ORDER_MARK)
            first = False
        if size <= limit or line.endswith(b"\n"):
            yield line, size
            continue
        while tail := stream.readline(BLOCK):
            size += len(tail)
            if tail.endswith(b"\n"):
                break
        yield None, size


def bounded_content(stream: IO[bytes], limit: int) -> tuple[bytes | None, int]:
    """Return the whole content and its size; of more bytes than the limit only the size."""
    content = stream.read(limit + 1)
    size = len(content)
    if size <= limit:
        return content.removeprefix(BYTE_ORDER_MARK), size
    while block := stream.read(BLOCK):
        size += len(block)
    return None, size


@contextmanager
def spooled(stream: IO[bytes]) -> Iterator[IO[bytes]]:
    """Copy a stream that can't seek to a temporary file that can.

    Raises:
        StorageError: the temporary file can't be written.
    """
    with tempfile.TemporaryFile() as spool:
        while block := stream.read(BLOCK):
            try:
                spool.write(block)
            except OSError as error:
                raise StorageError(f"can't unpack to {tempfile.gettempdir()}: {error.strerror}") from error
        spool.seek(0)
        yield spool
