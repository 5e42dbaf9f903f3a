"""Records of tables: .csv, .tsv, .parquet and .arrow (Arrow IPC, as a file or as a stream)."""

import csv
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmtrain import storage
from lmtrain.ingestion.arrow_messages import ARROW_FILE
from lmtrain.ingestion.records import Item, Items, Layout, Part, Record, Refusal, no_column, too_long
from lmtrain.ingestion.streams import BLOCK, REMOTE_BLOCK, bounded_lines, spooled

BATCH_BYTES = 16 << 20
"""Bytes of a Parquet file that are decoded at once, as far as its metadata tells."""
SLICE_ROWS = 1024
"""Rows of an Arrow batch that are converted at once."""


def read_csv(part: Part, stream: IO[bytes], layout: Layout) -> Items:
    """Yield the rows of a CSV file (RFC 4180, header first); fields in quotes may hold line ends.

    Of a part those that begin in it: its `start` must be where a row begins.
    """
    csv.field_size_limit(layout.limit)
    lines = _CsvLines(stream, layout.limit)
    header = next(csv.reader(lines, strict=True), [])
    if layout.text_column not in header:
        yield no_column(header, layout, part)
        return
    if part.start:
        lines = _CsvLines(stream, layout.limit, part.start)
    rows = csv.reader(lines, strict=True)
    for number in itertools.count(part.first):
        if part.stop is not None and lines.position >= part.stop:
            return
        lines.size = 0
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield _refused_row(number, str(error), lines, layout)
            continue
        if row:
            yield Record(number, dict(zip(header, row, strict=False)), lines.size)
        else:
            yield Refusal(number, "empty", "an empty line", lines.size)


def csv_header(stream: IO[bytes], layout: Layout) -> list[str]:
    """Return the columns of a CSV file."""
    csv.field_size_limit(layout.limit)
    return next(csv.reader(_CsvLines(stream, layout.limit), strict=True), [])


class _CsvLines:
    """Lines for csv.reader; bytes that aren't UTF-8 become lone surrogates: only their row is refused.

    Attributes:
        size: bytes read since it was last set to 0.
        position: where the next line begins in the file.
        ended: the file has no more lines.
        too_long: the last line was beyond the limit.
    """

    def __init__(self, stream: IO[bytes], limit: int, start: int = 0) -> None:
        self.lines = bounded_lines(stream, limit, start)
        self.size = 0
        self.position = start
        self.ended = self.too_long = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, size = next(self.lines, (b"", 0))
        self.size += size
        self.position += size
        self.ended, self.too_long = not size, line is None
        if self.ended:
            raise StopIteration
        if line is None:
            raise csv.Error("a line beyond the limit")
        return line.decode(errors="surrogateescape")

    def skip_quoted(self) -> None:
        """Go on to the line after the one that ends the quoted field."""
        for line, size in self.lines:
            self.size += size
            self.position += size
            if line is not None and line.count(b'"') % 2:
                return


def _refused_row(number: int, message: str, lines: _CsvLines, layout: Layout) -> Refusal:
    if lines.ended:
        return Refusal(number, "damaged_file", "the file ends within a quoted field", lines.size)
    if lines.too_long:
        return too_long(number, lines.size, layout)
    if lines.size > layout.limit:
        lines.skip_quoted()
        return too_long(number, lines.size, layout)
    return Refusal(number, "not_csv", message, lines.size)


def read_tsv(part: Part, stream: IO[bytes], layout: Layout) -> Items:
    """Yield the rows of a TSV file: a line each, header first, fields between tabs.

    A quotation mark is a character like any other, as IANA's text/tab-separated-values has it:
    texts begin with one more often than a program wrote them in quotes.
    """
    lines = bounded_lines(stream, layout.limit, stop=None if part.start else part.stop)
    header = _tsv_fields(next(lines, (b"", 0))[0])
    if layout.text_column not in header:
        yield no_column(header, layout, part)
        return
    if part.start:
        lines = bounded_lines(stream, layout.limit, part.start, part.stop)
    for number, (line, size) in enumerate(lines, part.first):
        if line is None:
            yield too_long(number, size, layout)
            continue
        try:
            row = line.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            yield Refusal(number, "undecodable", str(error), size)
            continue
        if row:
            yield Record(number, dict(zip(header, row.split("\t"), strict=False)), size)
        else:
            yield Refusal(number, "empty", "an empty line", size)


def tsv_header(stream: IO[bytes], layout: Layout) -> list[str]:
    """Return the columns of a TSV file."""
    return _tsv_fields(next(bounded_lines(stream, layout.limit), (b"", 0))[0])


def _tsv_fields(line: bytes | None) -> list[str]:
    return (line or b"").decode(errors="replace").rstrip("\r\n").split("\t")


def read_parquet(part: Part, stream: IO[bytes], layout: Layout) -> Items:
    """Yield the rows of a Parquet file, or of the part: those from `start` to `stop`."""
    block = REMOTE_BLOCK if storage.is_remote(part.file.url) else BLOCK
    with _seekable(stream) as source, _parquet_file(source, block) as parquet:
        there = parquet.schema_arrow.names
        if layout.text_column not in there:
            yield no_column(there, layout, part)
            return
        columns = _wanted(there, layout)
        stop = parquet.metadata.num_rows if part.stop is None else part.stop
        yield from _records(_parquet_batches(parquet, columns, part.start, stop), columns, part.first)


def _parquet_file(source: Any, block: int) -> pq.ParquetFile:
    """Open a Parquet file so that its columns are read block by block: row groups may be of any size.

    With `pre_buffer`, pyarrow's default, the columns of a whole row group are held before its first row.
    """
    return pq.ParquetFile(pa.PythonFile(source, mode="r"), buffer_size=block, pre_buffer=False)


@contextmanager
def _seekable(stream: IO[bytes]) -> Iterator[Any]:
    if stream.seekable():
        yield stream
    else:
        with spooled(stream) as copied:
            yield copied


def _wanted(there: list[str], layout: Layout) -> list[str]:
    return [name for name in dict.fromkeys((layout.text_column, *layout.columns)) if name in there]


def _parquet_batches(
    parquet: pq.ParquetFile, columns: list[str], start: int, stop: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows from `start` to `stop` in batches of about BATCH_BYTES.

    None reaches across row groups, because one may be broken. Rows of a group before `start` are
    decoded and left: pyarrow can't skip pages.
    """
    end = 0
    for place in range(parquet.metadata.num_row_groups):
        group = parquet.metadata.row_group(place)
        begin, end = end, end + group.num_rows
        if end <= start or begin >= stop:
            continue
        row_bytes = max(group.total_byte_size / max(group.num_rows, 1), 1)
        rows = int(min(max(BATCH_BYTES / row_bytes, 1), 4096))
        for batch in parquet.iter_batches(rows, row_groups=[place], columns=columns):
            skipped = max(start - begin, 0)
            if skipped < batch.num_rows:
                yield batch.slice(skipped, stop - begin - skipped)
            begin += batch.num_rows
            if begin >= stop:
                break


def read_arrow(part: Part, stream: IO[bytes], layout: Layout) -> Items:
    """Yield the rows of an Arrow IPC file or stream, or of the batches that begin in the part."""
    with _seekable(stream) as source:
        is_file = source.read(len(ARROW_FILE)) == ARROW_FILE
        in_pieces = part.stop is not None
        source.seek(len(ARROW_FILE) if is_file and in_pieces else 0)
        opened = pa.PythonFile(source, mode="r")
        as_file = is_file and not in_pieces
        with pa.ipc.open_file(opened) if as_file else pa.ipc.open_stream(opened) as reader:
            there = reader.schema.names
            if layout.text_column not in there:
                yield no_column(there, layout, part)
                return
            if in_pieces:
                batches = _batches_between(source, reader.schema, part)
            else:
                batches = _batches(reader, as_file)
            yield from _records(_sliced(batches), _wanted(there, layout), part.first)


def _batches(reader: Any, is_file: bool) -> Iterator[pa.RecordBatch]:
    return map(reader.get_batch, range(reader.num_record_batches)) if is_file else iter(reader)


def _batches_between(source: Any, schema: pa.Schema, part: Part) -> Iterator[pa.RecordBatch]:
    assert part.stop is not None
    source.seek(part.start)
    while source.tell() < part.stop:
        yield pa.ipc.read_record_batch(pa.ipc.read_message(pa.PythonFile(source, mode="r")), schema)


def _sliced(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for begin in range(0, batch.num_rows, SLICE_ROWS):
            yield batch.slice(begin, SLICE_ROWS)


def _records(batches: Iterator[pa.RecordBatch], columns: list[str], number: int) -> Items:
    for batch in batches:
        arrays = [_as_bytes(batch.column(name)) for name in columns]
        for row in range(batch.num_rows):
            yield _record(number, dict(zip(columns, (a[row].as_py() for a in arrays), strict=True)))
            number += 1


def _as_bytes(array: Any) -> Any:
    """Return strings as bytes, because files may hold strings that aren't UTF-8."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type):
        return array.cast(pa.binary_view()).cast(pa.large_binary())
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array.cast(pa.large_binary())
    return array


def _record(number: int, values: dict[str, Any]) -> Item:
    size = sum(len(value) for value in values.values() if isinstance(value, bytes))
    try:
        decoded = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()
        }
    except UnicodeDecodeError as error:
        return Refusal(number, "undecodable", str(error), size)
    return Record(number, decoded, size)
