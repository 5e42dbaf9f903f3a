"""Where a large file may be cut, and how many records stand before: the first pass over it.

In: a file, or a piece of one by bytes. Out: rows of (start, stop, records, bytes) of the pieces to
read, so that each piece knows the number of its first record. Rows of CSV wait for one another
(`csv_boundaries`).
"""

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from lmtrain.building import ShardOutput
from lmtrain.ingestion.arrow_messages import NotSplittableError, record_batches
from lmtrain.ingestion.csv_boundaries import measure_csv
from lmtrain.ingestion.encodings import encoding_of
from lmtrain.ingestion.forms import form_of
from lmtrain.ingestion.records import Layout, Part
from lmtrain.ingestion.streams import count_lines, open_source, open_stored
from lmtrain.ingestion.table_readers import csv_header, tsv_header
from lmtrain.ingestion.warc import cuts

PIECES_PER_GROUP = 8
"""A Parquet row group is cut into so many pieces at most: each decodes the rows before its own, too, at
0.9 GB of text a second, so that eight cost 4.5 times the decoding and nothing else."""


def measure(part: Part, shared: tuple[int, Layout], output: ShardOutput) -> None:
    """Tell in the stats the pieces that a part is read in: rows of (start, stop, records, bytes).

    There are none where the file can't be measured: it is read whole, which tells why.

    Args:
        part: of `splits.pieces_to_measure`.
        shared: about how many bytes a piece should have, and how records lie in the file.
        output: gets the rows.
    """
    target, layout = shared
    form = form_of(part.file.name)
    assert form, "the listing checked it"
    try:
        output.stats = {"pieces": [list(row) for row in MEASURES[form](part, target, layout)]}
    except (OSError, EOFError, NotSplittableError, csv.Error, pa.ArrowException):
        output.stats = {"pieces": []}


Rows = Iterator[tuple[int, ...]]


def _lines(part: Part, target: int, layout: Layout) -> Rows:
    assert part.stop is not None, "lines are measured by pieces"
    with open_source(part.file, piece=True) as stream:
        _check_encoding(part, stream, layout)
        lines = count_lines(stream, part.start, part.stop)
    yield part.start, part.stop, lines, part.stop - part.start


def _tsv(part: Part, target: int, layout: Layout) -> Rows:
    for start, stop, lines, size in _lines(part, target, layout):
        if not start:
            with open_source(part.file, piece=True) as stream:
                _check_column(tsv_header(stream, layout), layout)
        yield start, stop, lines - (not start), size


def _csv(part: Part, target: int, layout: Layout) -> Rows:
    with open_source(part.file, piece=True) as stream:
        _check_encoding(part, stream, layout)
        if not part.start:
            _check_column(csv_header(stream, layout), layout)
        yield from measure_csv(part, stream)


def _rows(part: Part, target: int, layout: Layout) -> Rows:
    """Cut a Parquet file between row groups, and large row groups between rows."""
    with (
        open_source(part.file, piece=True) as stream,
        pq.ParquetFile(pa.PythonFile(cast(io.IOBase, stream), mode="r"), pre_buffer=False) as parquet,
    ):
        _check_column(parquet.schema_arrow.names, layout)
        yield from _combined(_ranges(parquet.metadata, target), target)


def _ranges(metadata: Any, target: int) -> Rows:
    first = 0
    for place in range(metadata.num_row_groups):
        group = metadata.row_group(place)
        size = sum(group.column(at).total_compressed_size for at in range(group.num_columns))
        count = max(min(size // target, PIECES_PER_GROUP, group.num_rows), 1)
        ends = [group.num_rows * number // count for number in range(count + 1)]
        for begin, end in itertools.pairwise(ends):
            yield first + begin, first + end, end - begin, size // count
        first += group.num_rows


def _batches(part: Part, target: int, layout: Layout) -> Rows:
    with open_source(part.file, piece=True) as stream:
        schema, batches = record_batches(stream)
        _check_column(schema.names, layout)
        yield from _combined(batches, target)


def _combined(ranges: Rows, target: int) -> Rows:
    """Join ranges that follow one another until they have as many bytes as a piece should."""
    start = stop = records = size = 0
    for begin, end, more, more_size in ranges:
        if size >= target:
            yield start, stop, records, size
            start, records, size = begin, 0, 0
        start = start if size else begin
        stop, records, size = end, records + more, size + more_size
    if records:
        yield start, stop, records, size


def _check_encoding(part: Part, stream: IO[bytes], layout: Layout) -> None:
    """Leave text of another encoding than UTF-8 whole: in some a byte of a character may be a line end."""
    if not part.start and encoding_of(cast(io.BufferedReader, stream), layout.encoding) != "utf-8":
        raise NotSplittableError


def _check_column(there: list[str], layout: Layout) -> None:
    """Leave a table without the text column whole: it is to be told once."""
    if layout.text_column not in there:
        raise NotSplittableError


def _records(part: Part, target: int, layout: Layout) -> Rows:
    """Cut a WARC file between records.

    It is read from end to end, as lengths may lie; that is a hundred times as fast as reading its pages.
    """
    with open_stored(part.file, piece=True) as stream:
        yield from cuts(part, stream, target, layout.limit)


MEASURES: dict[str, Callable[[Part, int, Layout], Rows]] = {
    "jsonl": _lines,
    "text": _lines,
    "tsv": _tsv,
    "csv": _csv,
    "parquet": _rows,
    "arrow": _batches,
    "warc": _records,
}
"""By the forms of `forms.FORMS`; those that aren't here are never measured."""
