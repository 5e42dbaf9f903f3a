"""Records of WARC files (ISO 28500): the pages of a crawl, and texts taken out of them before (.wet).

A file is cut into records by their lengths, and where a length isn't right, at
the next line that begins a record: fastwarc, which parses each record by
itself, would swallow or lose what follows a broken one. Members of .warc.gz are
unpacked one by one for the same reason.
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

from lmtrain.ingestion.forms import compression_of
from lmtrain.ingestion.pages import page_record
from lmtrain.ingestion.records import Item, Items, Layout, Part, Record, Refusal, too_long
from lmtrain.ingestion.streams import BLOCK

GZIP_MAGIC = b"\x1f\x8b\x08"
CHUNK = 1 << 16
HEADER_BYTES = 1 << 15
"""A header that doesn't end within so many bytes isn't one."""
LINE = b"\r\n\r\n"
LOST = LINE + b"a gzip member that is lost" + LINE
VERSION = b"WARC/1."
NEXT = b"\n" + VERSION
DOCUMENT_TYPES = ("response", "resource", "conversion")
PAGE_TYPES = ("text/html", "application/xhtml+xml")


class GzipMembers(io.RawIOBase):
    """Unpacks gzip members; where one is broken, or something else stands, the next one is looked for.

    What is lost leaves LOST in its place, a line that is no record, so that it is counted as one.

    Args:
        packed: the file, or a piece of it that begins with a member.
        stop: where the piece ends; None: at the end of the file.

    Attributes:
        begins: where members begin in the packed file, by where they begin in what is unpacked.

    Raises on reading:
        OSError: not one member of the file is whole.
    """

    def __init__(self, packed: IO[bytes], stop: int | None = None) -> None:
        super().__init__()
        self.packed = packed
        self.stop = stop
        self.begins: dict[int, int] = {}
        self._position = 0
        self._input = b""
        self._output = b""
        self._member: Any = None
        self._given = 0
        self._after_error = False
        self._whole = 0

    def buffered(self) -> IO[bytes]:
        """Return this as a stream that reads ahead."""
        return cast(IO[bytes], io.BufferedReader(self, BLOCK))

    def readable(self) -> bool:
        """Tell that it is: io.BufferedReader asks."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the next bytes go; return how many they are."""
        while not self._output:
            if not self._input:
                self._input = self._read_packed()
            if not self._input:
                return self._end()
            self._output = self._unpacked(CHUNK) if self._member else self._found_member()
        data, self._output = self._output[: len(buffer)], self._output[len(buffer) :]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _read_packed(self) -> bytes:
        left = CHUNK if self.stop is None else self.stop - self.packed.tell()
        return self.packed.read(min(CHUNK, left))

    def _end(self) -> int:
        if self.stop is None and self.packed.tell() and not self._whole:
            raise OSError("not one gzip member is whole")
        return 0

    def _unpacked(self, size: int) -> bytes:
        """Return the next bytes of the member; what stands for it where it is broken."""
        given = self._input
        try:
            data = self._member.decompress(given, size)
        except zlib.error:
            self._member, self._after_error = None, True
            self._input = given[1:] if given.startswith(GZIP_MAGIC) else given
            return LINE if self._given else LOST
        self._given += len(data)
        self._input = self._member.unconsumed_tail
        if self._member.eof:
            self._input = self._member.unused_data
            self._member = None
            self._whole += 1
        return data

    def _found_member(self) -> bytes:
        """Go to the next place where a member with a WARC record begins; return what stands for the rest."""
        skipped = False
        while len(self._input) >= CHUNK or self._more():
            place = self._input.find(GZIP_MAGIC)
            skipped = skipped or bool(self._input[: place if place >= 0 else None].strip(b"\0"))
            if place < 0:
                block = self._read_packed()
                self._input = self._input[1 - len(GZIP_MAGIC) :] + block if block else b""
                continue
            self._input = self._input[place:]
            self._more()
            if _begins_record(self._input):
                self._member, self._given = zlib.decompressobj(zlib.MAX_WBITS | 16), 0
                break
            skipped, self._input = True, self._input[1:]
        told = skipped and not self._after_error
        self._after_error = False
        if self._member and not told:
            self.begins[self._position + len(LINE)] = self.packed.tell() - len(self._input)
        return LOST if told else LINE

    def _more(self) -> bool:
        """Have CHUNK bytes of input or more, where there are so many; tell whether there are any."""
        if len(self._input) < CHUNK:
            self._input += self._read_packed()
        return bool(self._input)


def _begins_record(packed: bytes) -> bool:
    try:
        return (
            zlib.decompressobj(zlib.MAX_WBITS | 16)
            .decompress(packed[:CHUNK], 64)
            .lstrip()
            .startswith(VERSION)
        )
    except zlib.error:
        return False


@dataclass(frozen=True)
class Raw:
    """A record as it stands: its bytes (None: beyond the limit), their number, and whether it is whole."""

    content: bytes | None
    size: int
    offset: int
    whole: bool


class RawRecords:
    """Cuts an unpacked WARC file into records.

    Args:
        stream: at the beginning of the file or of a record.
        limit: bytes of the longest record that is held.
        offset: where the stream is in what is unpacked.
        stop: only records that begin before this offset.
    """

    def __init__(self, stream: IO[bytes], limit: int, offset: int = 0, stop: int | None = None) -> None:
        self.stream = stream
        self.limit = limit
        self.offset = offset
        self.stop = stop
        self._buffer = bytearray()

    def __iter__(self) -> Iterator[Raw]:
        while True:
            self._skip_space()
            if not self._buffer or (self.stop is not None and self.offset >= self.stop):
                return
            offset = self.offset
            length = self._length()
            if length is None:
                yield Raw(b"", self._skip_to_next(len(VERSION)), offset, whole=False)
            elif length > self.limit:
                yield Raw(None, self._skip_to_next(len(VERSION)), offset, whole=True)  # its length may lie
            else:
                yield self._record(length, offset)

    def _fill(self, size: int) -> bool:
        while len(self._buffer) < size:
            block = self.stream.read(BLOCK)
            if not block:
                return False
            self._buffer += block
        return True

    def _taken(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.offset += len(taken)
        return taken

    def _skip_space(self) -> None:
        while self._fill(1):
            space = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))
            self._taken(space)
            if self._buffer:
                return

    def _length(self) -> int | None:
        """Return the bytes of the record that begins here, header included; None: there is no header."""
        self._fill(HEADER_BYTES)
        if not self._buffer.startswith(VERSION):
            return None
        end = self._buffer.find(b"\r\n\r\n", 0, HEADER_BYTES)
        for line in bytes(self._buffer[: max(end, 0)]).split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                return end + 4 + int(value)
        return None

    def _record(self, length: int, offset: int) -> Raw:
        there = self._fill(length + 4)
        tail = bytes(self._buffer[length : length + 4])
        ends_well = tail == b"\r\n\r\n" if there else len(self._buffer) >= length and not tail.strip(b"\r\n")
        inner = self._buffer.find(NEXT, len(VERSION), length) if not ends_well else -1
        if ends_well:
            return Raw(self._taken(length), length, offset, whole=True)
        if inner >= 0:
            return Raw(b"", len(self._taken(inner + 1)), offset, whole=False)
        return Raw(b"", self._skip_to_next(min(length, len(self._buffer))), offset, whole=False)

    def _skip_to_next(self, size: int) -> int:
        """Drop `size` bytes and all up to the next line that begins a record; return how many they were."""
        skipped = len(self._taken(size))
        while self._fill(len(NEXT)):
            place = self._buffer.find(NEXT)
            if place >= 0:
                return skipped + len(self._taken(place + 1))
            skipped += len(self._taken(len(self._buffer) - len(NEXT) + 1))
            if not self._fill(len(self._buffer) + 1):
                break
        return skipped + len(self._taken(len(self._buffer)))


def read_warc(part: Part, stream: IO[bytes], layout: Layout) -> Items:
    """Yield a record for each page or text of a WARC file; numbers are those of all its records.

    Documents are `response`, `resource` and `conversion` records of HTML or plain text, responses
    with status 200. Other types (requests, metadata, revisits) aren't read: they are about pages.
    A document's columns are those of the WARC header (`WARC-Record-ID`, `WARC-Date`) and its text.
    """
    in_file = compression_of(part.file.name) is None  # else the stream itself ends with the part
    if in_file and part.start:
        stream.seek(part.start)
    records = RawRecords(stream, layout.limit, part.offset, part.stop if in_file else None)
    for number, raw in enumerate(records, part.first):
        if not raw.whole:
            detail = f"at byte {raw.offset} of what is unpacked"
            yield Refusal(number, "broken_record", detail, raw.size)
        elif raw.content is None:
            yield too_long(number, raw.size, layout)
        else:
            item = _document(number, raw, layout)
            if item:
                yield item


def cuts(part: Part, stream: IO[bytes], target_bytes: int, limit: int) -> Iterator[tuple[int, ...]]:
    """Yield rows of (start, stop, records, bytes, offset) of pieces of a WARC file, plain or in gzip.

    A piece begins with a record that follows a whole one, in gzip with its member: from there on, reading
    goes as it would have from the beginning.

    Args:
        part: the whole file.
        stream: the file as it is stored.
        target_bytes: about so many bytes in a piece.
        limit: bytes of the longest record that is held.
    """
    members = GzipMembers(stream) if compression_of(part.file.name) == "gzip" else None
    start = count = offset = 0
    after_whole = False
    for raw in RawRecords(members.buffered() if members else stream, limit):
        place = members.begins.pop(raw.offset, None) if members else raw.offset
        if after_whole and place is not None and place - start >= target_bytes:
            yield start, place, count, place - start, offset
            start, count, offset = place, 0, raw.offset - (len(LINE) if members else 0)
        count += 1
        after_whole = raw.whole and raw.content is not None
    yield start, part.file.bytes, count, part.file.bytes - start, offset


def _document(number: int, raw: Raw, layout: Layout) -> Item | None:
    from fastwarc.warc import WarcRecord

    assert raw.content is not None
    try:
        record = WarcRecord.from_reader(io.BytesIO(raw.content))
        if str(record.record_type) not in DOCUMENT_TYPES:
            return None
        if record.is_http:
            record.parse_http(auto_decode="all", strict_mode=False)
            if record.http_headers.status_code is None:
                raise ValueError("no HTTP status")
        payload = record.reader.read(layout.limit + 1)  # it may be packed once more
    except (OSError, ValueError) as error:
        return Refusal(number, "broken_record", f"at byte {raw.offset}: {error}", raw.size)
    return _of_payload(number, record, payload, layout)


def _of_payload(number: int, record: Any, payload: bytes, layout: Layout) -> Item:
    size = len(payload)
    kind, charset = _content_type(record)
    if record.is_http_parsed and record.http_headers.status_code != 200:
        return Refusal(number, "http_status", str(record.http_headers.status_code), size)
    if size > layout.limit:
        return too_long(number, size, layout)
    url = (record.headers.get("WARC-Target-URI") or "").strip("<> ") or None
    if kind in PAGE_TYPES:
        item = page_record(number, payload, charset, layout, url)
    elif kind == "text/plain":
        item = _plain(number, payload, charset, layout, url)
    else:
        return Refusal(number, "content_type", kind or "none", size)
    if isinstance(item, Record):
        item.values.update({**dict(record.headers.items()), **item.values})
    return item


def _content_type(record: Any) -> tuple[str, str]:
    if record.is_http_parsed:
        return (record.http_content_type or "").strip().lower(), record.http_charset or ""
    kind, _, rest = (record.headers.get("Content-Type") or "").partition(";")
    return kind.strip().lower(), rest.partition("charset=")[2].strip(" \"'")


def _plain(number: int, payload: bytes, charset: str, layout: Layout, url: str | None) -> Item:
    from lmtrain.ingestion.page_helper import decoded

    try:
        text = decoded(payload, charset)
    except (UnicodeError, LookupError) as error:
        return Refusal(number, "undecodable", str(error), len(payload))
    return Record(number, {layout.text_column: text}, len(payload), url)
