"""Bytes of a source file, unpacked as they are read, in lines of bounded length.

Three kinds of trouble are kept apart: what a file holds is broken (`OSError` or
`EOFError`: the file is rejected from there on, and the other files go on), the
file is gone (`VanishedError`, likewise), and the place it lies at fails
(`StorageError`: worth another try, never a reason to lose a file).
"""

import bz2
import io
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, BinaryIO, cast

import pyarrow as pa

from lmtrain import storage
from lmtrain.errors import LmtrainError, StorageError
from lmtrain.ingestion.forms import compression_of, form_of

BLOCK = 1 << 20
SMALL_BLOCK = 1 << 16
"""Bytes that are unpacked at once: where a file is cut short, at most so many are lost."""
REMOTE_BLOCK = 4 << 20
"""Bytes that are fetched ahead where only a piece of a remote file is read."""
BOMB_BYTES = 1 << 25
BOMB_RATIO = 200
"""A file of which BOMB_BYTES in a row, wherever they stand, unpack from a BOMB_RATIO-th of them is read no
further: text is packed to a third or a tenth, and to a fiftieth where it repeats itself."""
BLANK_BYTES = 1 << 18
"""Nor is a packed file with more white space than that in a row: each of its lines is a record."""
GONE = (404, 410)
"""What a web server says of a file that isn't there any more."""
XZ_MEMORY = 1 << 28
"""Bytes that unpacking .xz may take; `xz -9`, its strongest preset, asks for 65 MiB."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class VanishedError(OSError):
    """A file of the listing isn't there any more."""


class CompressionBombError(OSError):
    """A file unpacks to far more than any text does."""


class _Stored(io.RawIOBase):
    """Reads a stored file; whatever its storage raises becomes a StorageError or a VanishedError."""

    def __init__(self, stream: Any, file: storage.SourceFile, can_seek: bool) -> None:
        super().__init__()
        self.stream = stream
        self.file = file
        self.can_seek = can_seek

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self.can_seek

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
        except FileNotFoundError as error:
            raise VanishedError("the file vanished while it was read") from error
        except Exception as error:  # clients raise their own families: botocore's isn't OSError's
            if getattr(error, "status", None) in GONE:
                raise VanishedError("the file vanished while it was read") from error
            raise StorageError(f"reading {self.file.url} failed: {type(error).__name__}: {error}") from error


class _Unpacked(io.RawIOBase):
    """Reads what is unpacked from a stored file, says where it broke, and stops at a bomb."""

    def __init__(self, unpacked: Any, packed: IO[bytes]) -> None:
        super().__init__()
        self.unpacked = unpacked
        self.packed = packed
        self.given = 0
        self._window = (0, 0)
        self._blank = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self.unpacked.read(min(len(buffer), SMALL_BLOCK))
        except VanishedError:
            raise
        except (OSError, EOFError) as error:
            raise OSError(f"{error} ({self.given} bytes were unpacked before)") from error
        buffer[: len(data)] = data
        self.given += len(data)
        self._check_ratio()
        self._check_blank(data)
        return len(data)

    def _check_ratio(self) -> None:
        taken_before, given_before = self._window
        given = self.given - given_before
        if given > BOMB_BYTES:
            taken = self.packed.tell() - taken_before
            if given > BOMB_RATIO * taken:
                raise CompressionBombError(f"{taken} bytes unpack to {given} ({given_before} before)")
            self._window = (taken_before + taken, self.given)

    def _check_blank(self, data: bytes) -> None:
        text = data.rstrip()
        self._blank = len(data) - len(text) + (0 if text else self._blank)
        if self._blank > BLANK_BYTES:
            raise CompressionBombError(f"more than {BLANK_BYTES} bytes of white space in a row")


class _Gzip:
    """One gzip member, with the methods of bz2's and lzma's decompressors."""

    def __init__(self) -> None:
        self.member = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self.member.eof

    @property
    def unused_data(self) -> bytes:
        return self.member.unused_data

    @property
    def needs_input(self) -> bool:
        return not self.member.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self.member.decompress(self.member.unconsumed_tail + data, max_length)


def _new_xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


DECOMPRESSORS: dict[str, Callable[[], Any]] = {"gzip": _Gzip, "bz2": bz2.BZ2Decompressor, "xz": _new_xz}
"""They give all that can be unpacked before a file is cut short; zstd's is pyarrow's."""


class _Unpacking:
    """Unpacks a file of one packed stream or several, one after the other."""

    def __init__(self, packed: IO[bytes], new: Callable[[], Any]) -> None:
        self.packed = packed
        self.new = new
        self.stream: Any = None

    def read(self, size: int) -> bytes:
        try:
            return self._read(size)
        except (lzma.LZMAError, zlib.error) as error:
            raise OSError(str(error)) from error

    def _read(self, size: int) -> bytes:
        waiting = b""
        while True:
            if self.stream and self.stream.eof:
                waiting, self.stream = self.stream.unused_data, None
            if not waiting and (self.stream is None or self.stream.needs_input):
                waiting = self.packed.read(SMALL_BLOCK)
                if not waiting and self.stream:
                    raise EOFError("the file ends within what is packed")
                if not waiting:
                    return b""
            if self.stream is None:
                waiting = waiting.lstrip(b"\0")  # streams may be padded
                if not waiting:
                    continue
                self.stream = self.new()
            data = self.stream.decompress(waiting, size)
            waiting = b""
            if data:
                return data


@contextmanager
def open_stored(file: storage.SourceFile, piece: bool = False) -> Iterator[io.BufferedReader]:
    """Open a source file as it is stored.

    Args:
        file: which.
        piece: only a piece of it will be read; its storage must give pieces (`gives_pieces`).

    Raises:
        VanishedError: it is gone.
        SourceError: it can't be opened.
        StorageError: reading failed.
    """
    stored = None
    with storage.told_as_source_error(file.url), suppress(FileNotFoundError):
        fs, path = storage.filesystem(file.url)
        stored = fs.open(path, "rb", **_options(file, piece))
    if stored is None:
        raise VanishedError("the file vanished before it was read")
    with stored:
        yield io.BufferedReader(_Stored(stored, file, piece or not storage.is_web(file.url)), BLOCK)


def _options(file: storage.SourceFile, piece: bool) -> dict[str, Any]:
    """Return how a storage client opens a file: what it fetches ahead."""
    if not piece or not storage.is_remote(file.url):
        return {"block_size": 0} if storage.is_web(file.url) else {}  # in one go: few servers need more
    options: dict[str, Any] = {"block_size": REMOTE_BLOCK}
    if form_of(file.name) == "parquet":
        options["cache_type"] = "none"  # its reader holds a block of each column by itself
    if storage.is_web(file.url):
        options["size"] = file.bytes
        options["headers"] = {"Accept-Encoding": "identity"}  # ranges are of the file as it is listed
    return options


def gives_pieces(file: storage.SourceFile) -> bool:
    """Tell whether a file's storage gives pieces of it; of web servers it is found out by asking."""
    if not storage.is_web(file.url):
        return True
    try:
        with open_stored(file, piece=True) as stream:
            stream.seek(file.bytes - 1)
            return len(stream.read(2)) == 1
    except (OSError, LmtrainError):  # reading it whole will tell what is wrong
        return False


@contextmanager
def open_source(file: storage.SourceFile, piece: bool = False) -> Iterator[BinaryIO]:
    """Open a source file for reading, unpacked by its suffix (.gz, .zst, .bz2, .xz).

    Reading raises OSError where the packed data is cut short or broken, and CompressionBombError.
    For the arguments and what opening raises see `open_stored`.
    """
    codec = compression_of(file.name)
    with open_stored(file, piece) as plain:
        if codec is None:
            yield cast(BinaryIO, plain)
            return
        if codec in DECOMPRESSORS:
            unpacked: Any = _Unpacking(plain, DECOMPRESSORS[codec])
        else:
            unpacked = pa.CompressedInputStream(pa.PythonFile(plain, mode="r"), "zstd")
        yield cast(BinaryIO, io.BufferedReader(_Unpacked(unpacked, plain), BLOCK))


def bounded_lines(
    stream: IO[bytes], limit: int, start: int = 0, stop: int | None = None
) -> Iterator[tuple[bytes | None, int]]:
    r"""Yield each line and its size in bytes; of a line longer than the limit only the size.

    Lines end in \n, which is kept; a byte order mark at the beginning of the file isn't.

    Args:
        stream: bytes.
        limit: the longest line that is held in memory, in bytes.
        start: only lines that begin at this byte or after it; the stream must be able to seek.
        stop: only lines that begin before this byte.
    """
    position = seek_line(stream, start) if start else 0
    while stop is None or position < stop:
        line = stream.readline(limit + 1)
        if not line:
            return
        size = len(line)
        if not position:
            line = line.removeprefix(BYTE_ORDER_MARK)
        if size > limit and not line.endswith(b"\n"):
            line = None
            size += _skip_line(stream)
        position += size
        yield line, size


def seek_line(stream: IO[bytes], start: int) -> int:
    """Go to the first line that begins at `start` or after it, and return where that is."""
    stream.seek(start - 1)
    return start - 1 + _skip_line(stream)


def _skip_line(stream: IO[bytes]) -> int:
    size = 0
    while tail := stream.readline(BLOCK):
        size += len(tail)
        if tail.endswith(b"\n"):
            break
    return size


def count_lines(stream: IO[bytes], start: int, stop: int) -> int:
    """Return how many lines begin in [start, stop): as many as `bounded_lines` yields.

    Args:
        stream: can seek.
        start: a byte.
        stop: a byte, at most the size of the file.
    """
    position = max(start - 1, 0)
    stream.seek(position)
    lines = 0 if start else 1
    while block := stream.read(min(BLOCK, stop - 1 - position)):
        lines += block.count(b"\n")
        position += len(block)
    return lines


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
