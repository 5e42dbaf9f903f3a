"""Records of source files, whatever their form: .jsonl, .txt, .parquet or .csv, plain or compressed.

A reader yields each record, or a `Refusal` in its place: a record that can't be
read is counted where it stands and the rest of the file goes on. Memory is
bounded by the longest record that is allowed, not by the file.
"""

import csv
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from lmtrain import storage
from lmtrain.ingestion.streams import (
    bounded_content,
    bounded_lines,
    form_of,
    is_compressed,
    open_source,
    spooled,
)

BATCH_BYTES = 16 << 20
"""Bytes of a Parquet file that are decoded at once, as far as its metadata tells."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its number in the file from 0, its values by column, and its bytes in the file."""

    number: int
    values: dict[str, Any]
    bytes: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that isn't used: its number in the file (-1: the file as a whole), and why."""

    number: int
    reason: str
    detail: str
    bytes: int


@dataclass(frozen=True)
class Layout:
    """How records lie in files.

    Attributes:
        text_column: the column without which a record is nothing.
        columns: other columns that are wanted.
        text_document: what one record of a .txt file is.
        max_bytes: bytes of the longest text that is wanted.
    """

    text_column: str
    columns: tuple[str, ...] = ()
    text_document: Literal["file", "line", "paragraph"] = "line"
    max_bytes: int = 10_000_000

    @property
    def limit(self) -> int:
        """Bytes of a raw record beyond which it isn't held: JSON writes a byte in up to six."""
        return 6 * self.max_bytes + (1 << 16)


def read_records(file: storage.SourceFile, layout: Layout) -> Iterator[Record | Refusal]:
    """Yield the records of a file, or what is to be said in their place.

    Raises:
        SourceError: the file is gone.
        StorageError: its storage fails.
    """
    reached = -1
    try:
        with open_source(file) as stream:
            for record in _READERS[form_of(file)](file, stream, layout):
                reached = record.number
                yield record
    except (OSError, EOFError, csv.Error, pa.ArrowException) as error:
        number = -1 if reached < 0 else reached + 1
        yield Refusal(number, "damaged_file", " ".join(str(error).split())[:300], file.bytes)


def _read_jsonl(_: storage.SourceFile, stream: IO[bytes], layout: Layout) -> Iterator[Record | Refusal]:
    for number, (line, size) in enumerate(bounded_lines(stream, layout.limit)):
        if line is None:
            yield _too_long(number, size, layout)
        elif not line.strip():
            yield Refusal(number, "empty", "an empty line", size)
        else:
            yield _parsed(number, line, size)


def _parsed(number: int, line: bytes, size: int) -> Record | Refusal:
    try:
        values = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return Refusal(number, "undecodable", str(error), size)
    except (ValueError, RecursionError) as error:  # ValueError also for integers of too many digits
        return Refusal(number, "not_json", str(error), size)
    if not isinstance(values, dict):
        return Refusal(number, "not_an_object", f"a {type(values).__name__}", size)
    return Record(number, values, size)


def _read_txt(_: storage.SourceFile, stream: IO[bytes], layout: Layout) -> Iterator[Record | Refusal]:
    if layout.text_document == "file":
        pieces = iter([bounded_content(stream, layout.limit)])
    elif layout.text_document == "line":
        pieces = bounded_lines(stream, layout.limit)
    else:
        pieces = _paragraphs(stream, layout.limit)
    for number, (piece, size) in enumerate(pieces):
        if piece is None:
            yield _too_long(number, size, layout)
            continue
        try:
            text = piece.decode()
        except UnicodeDecodeError as error:
            yield Refusal(number, "undecodable", str(error), size)
            continue
        yield Record(number, {layout.text_column: text.rstrip("\r\n")}, size)


def _paragraphs(stream: IO[bytes], limit: int) -> Iterator[tuple[bytes | None, int]]:
    """Yield runs of lines that empty lines part, as `bounded_lines` yields lines."""
    lines: list[bytes] = []
    size, held = 0, True
    for line, length in bounded_lines(stream, limit):
        if line is not None and not line.strip():
            if size:
                yield (b"".join(lines) if held else None), size
            lines, size, held = [], 0, True
            continue
        size += length
        held = held and line is not None and size <= limit
        lines = [*lines, line] if held and line is not None else []
    if size:
        yield (b"".join(lines) if held else None), size


def _read_csv(file: storage.SourceFile, stream: IO[bytes], layout: Layout) -> Iterator[Record | Refusal]:
    csv.field_size_limit(layout.limit)
    lines = _CsvLines(stream, layout.limit)
    rows = csv.reader(lines, strict=True)
    header = next(rows, [])
    if layout.text_column not in header:
        yield _no_column(layout.text_column, header, file)
        return
    for number in itertools.count():
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


class _CsvLines:
    """Lines for csv.reader; bytes that aren't UTF-8 become lone surrogates: only their row is refused.

    Attributes:
        size: bytes read since it was last set to 0.
        ended: the file has no more lines.
        too_long: the last line was beyond the limit.
    """

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self.lines = bounded_lines(stream, limit)
        self.size = 0
        self.ended = self.too_long = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, size = next(self.lines, (b"", 0))
        self.size += size
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
            if line is not None and line.count(b'"') % 2:
                return


def _refused_row(number: int, message: str, lines: _CsvLines, layout: Layout) -> Refusal:
    if lines.ended:
        return Refusal(number, "damaged_file", "the file ends within a quoted field", lines.size)
    if lines.too_long:
        return _too_long(number, lines.size, layout)
    if lines.size > layout.limit:
        lines.skip_quoted()
        return _too_long(number, lines.size, layout)
    return Refusal(number, "not_csv", message, lines.size)


def _read_parquet(file: storage.SourceFile, stream: IO[bytes], layout: Layout) -> Iterator[Record | Refusal]:
    if is_compressed(file):
        with spooled(stream) as unpacked:
            yield from _parquet_records(file, unpacked, layout)
    else:
        yield from _parquet_records(file, stream, layout)


def _parquet_records(file: storage.SourceFile, stream: Any, layout: Layout) -> Iterator[Record | Refusal]:
    with pq.ParquetFile(pa.PythonFile(stream, mode="r")) as parquet:
        there = parquet.schema_arrow.names
        if layout.text_column not in there:
            yield _no_column(layout.text_column, there, file)
            return
        columns = [name for name in dict.fromkeys((layout.text_column, *layout.columns)) if name in there]
        number = 0
        for batch in _batches(parquet, columns):
            arrays = [_as_bytes(batch.column(name)) for name in columns]
            for row in range(batch.num_rows):
                yield _parquet_record(
                    number, dict(zip(columns, (a[row].as_py() for a in arrays), strict=True))
                )
                number += 1


def _batches(parquet: pq.ParquetFile, columns: list[str]) -> Iterator[Any]:
    """Yield the rows in batches of about BATCH_BYTES, none across row groups: one may be broken."""
    for place in range(parquet.metadata.num_row_groups):
        group = parquet.metadata.row_group(place)
        row_bytes = max(group.total_byte_size / max(group.num_rows, 1), 1)
        rows = int(min(max(BATCH_BYTES / row_bytes, 1), 4096))
        yield from parquet.iter_batches(rows, row_groups=[place], columns=columns)


def _as_bytes(array: Any) -> Any:
    """Return strings as bytes, because Parquet files may hold strings that aren't UTF-8."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array.cast(pa.large_binary())
    return array


def _parquet_record(number: int, values: dict[str, Any]) -> Record | Refusal:
    size = sum(len(value) for value in values.values() if isinstance(value, bytes))
    try:
        decoded = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()
        }
    except UnicodeDecodeError as error:
        return Refusal(number, "undecodable", str(error), size)
    return Record(number, decoded, size)


def _too_long(number: int, size: int, layout: Layout) -> Refusal:
    return Refusal(number, "oversized", f"a record of more than {layout.limit} bytes", size)


def _no_column(column: str, there: list[str], file: storage.SourceFile) -> Refusal:
    names = ", ".join(there[:20]).encode(errors="replace").decode()
    return Refusal(-1, "missing_text", f"no column {column!r}; there are: {names}", file.bytes)


_READERS = {".jsonl": _read_jsonl, ".txt": _read_txt, ".csv": _read_csv, ".parquet": _read_parquet}
