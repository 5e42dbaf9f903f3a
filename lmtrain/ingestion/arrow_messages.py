"""Where the record batches of an Arrow IPC file or stream lie, found without reading them.

Both hold the same messages, and a message tells its length; a stream tells no more, and the footer of
a file tells no rows (Arrow Columnar Format 1.5, "Serialization and Interprocess Communication").
"""

import io
import struct
from collections.abc import Iterator
from typing import IO, cast

import pyarrow as pa

ARROW_FILE = b"ARROW1\0\0"
"""What an Arrow IPC file begins with, and a stream doesn't."""
CONTINUATION = b"\xff\xff\xff\xff"
SCHEMA, RECORD_BATCH = 1, 3
"""Values of MessageHeader in Message.fbs; 2 is a dictionary."""
_MOST_METADATA = 1 << 26


class NotSplittableError(Exception):
    """A file that can only be read whole; reading it tells why, if something is wrong with it."""


def record_batches(stream: IO[bytes]) -> tuple[pa.Schema, Iterator[tuple[int, int, int, int]]]:
    """Return the schema, and (start, stop, rows, bytes) of each record batch, dictionaries excepted.

    Args:
        stream: can seek.

    Raises:
        NotSplittableError: of what comes, batches can't be read by themselves: there are dictionaries,
            or it is of before Arrow 0.15.
        EOFError: it is cut short.
    """
    is_file = stream.read(len(ARROW_FILE)) == ARROW_FILE
    begin = len(ARROW_FILE) if is_file else 0
    stream.seek(begin)
    schema = pa.ipc.read_schema(pa.ipc.read_message(pa.PythonFile(cast(io.IOBase, stream), mode="r")))
    return schema, _walked(stream, begin)


def _walked(stream: IO[bytes], position: int) -> Iterator[tuple[int, int, int, int]]:
    stream.seek(0, 2)
    end = stream.tell()
    while position < end:
        stream.seek(position)
        head = stream.read(8)
        length = struct.unpack("<i", head[4:])[0] if len(head) == 8 else -1
        if not head.startswith(CONTINUATION) or not 0 <= length <= _MOST_METADATA:
            raise NotSplittableError
        if not length:
            return
        kind, rows, body = _told(stream.read(length))
        after = position + len(head) + length + body
        if kind not in (SCHEMA, RECORD_BATCH) or after > end or body < 0:
            raise NotSplittableError
        if kind == RECORD_BATCH:
            yield position, after, rows, after - position
        position = after


def _told(metadata: bytes) -> tuple[int, int, int]:
    """Return the kind of a message, its rows and the bytes of its body, from its Flatbuffers table."""
    try:
        table = struct.unpack_from("<I", metadata)[0]
        kind = _field(metadata, table, 1, "<B")
        pointer = _place(metadata, table, 2)
        header = pointer + struct.unpack_from("<I", metadata, pointer)[0]
        rows = _field(metadata, header, 0, "<q") if kind == RECORD_BATCH else 0
        return kind, rows, _field(metadata, table, 3, "<q")
    except struct.error:
        raise NotSplittableError from None


def _field(metadata: bytes, table: int, field: int, form: str) -> int:
    place = _place(metadata, table, field)
    return struct.unpack_from(form, metadata, place)[0] if place else 0


def _place(metadata: bytes, table: int, field: int) -> int:
    """Return where a field of a Flatbuffers table stands; 0: it has its default."""
    vtable = table - struct.unpack_from("<i", metadata, table)[0]
    known = struct.unpack_from("<H", metadata, vtable)[0]
    entry = 4 + 2 * field
    offset = struct.unpack_from("<H", metadata, vtable + entry)[0] if entry < known else 0
    return table + offset if offset else 0
