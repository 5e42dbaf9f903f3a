"""How work on files is cut: by the files alone, never by the number of workers."""

import hashlib
import itertools
import json
from collections.abc import Sequence

from lmtrain import storage
from lmtrain.ingestion.csv_boundaries import joined_csv
from lmtrain.ingestion.forms import compression_of, form_of
from lmtrain.ingestion.records import Layout, Part
from lmtrain.ingestion.streams import gives_pieces

BY_BYTES = frozenset({"jsonl", "text", "csv", "tsv"})
"""Forms of which pieces of equal bytes are measured at once; others are measured from end to end."""
IN_PIECES: dict[str, tuple[str | None, ...]] = {
    **dict.fromkeys(("jsonl", "text", "csv", "tsv", "parquet", "arrow"), (None,)),
    "warc": (None, "gzip"),
}
"""Forms that are read in pieces, and how they may be packed."""


def cut_files(sizes: Sequence[int], target_bytes: int) -> list[list[int]]:
    """Cut a listing into runs of about equal bytes.

    There are as many runs as whole or begun targets in the sum, and a file
    belongs to the run in which its middle lies: so runs differ by a file at
    most, and a file larger than the target is a run of its own or nearly.

    Args:
        sizes: bytes of the files, or of pieces of them, in the order of the listing.
        target_bytes: about so many bytes in a run.

    Returns:
        Positions in `sizes`, each once and in order; no run is empty.
    """
    total = sum(sizes)
    count = max(-(-total // target_bytes), 1)
    runs: dict[int, list[int]] = {}
    before = 0
    for place, size in enumerate(sizes):
        middle = before + size / 2
        runs.setdefault(min(int(middle * count / max(total, 1)), count - 1), []).append(place)
        before += size
    return list(runs.values())


def split_name(number: int) -> str:
    """Return the name of the n-th split: names sort as numbers do."""
    return f"{number:05d}"


def is_splittable(file: storage.SourceFile, layout: Layout) -> bool:
    """Tell whether a file can be read in pieces: lines and rows of plain files, batches, WARC records.

    On a web server it is asked whether it gives ranges.
    """
    form, packed = form_of(file.name), compression_of(file.name)
    if form == "text" and layout.text_document != "line":
        return False
    return packed in IN_PIECES.get(form or "", ()) and gives_pieces(file)


def pieces_to_measure(file: storage.SourceFile, target_bytes: int) -> list[Part]:
    """Return what `measure` is to look at: pieces of equal bytes of a file of lines, else the file."""
    if form_of(file.name) not in BY_BYTES:
        return [Part(file)]
    count = max(round(file.bytes / target_bytes), 1)
    ends = [file.bytes * number // count for number in range(count + 1)]
    return [Part(file, start, stop) for start, stop in itertools.pairwise(ends)]


def numbered(file: storage.SourceFile, measured: Sequence[list[list[int]]], layout: Layout) -> list[Part]:
    """Return the parts that a file is read in, each with the number of its first record.

    Args:
        file: the file.
        measured: what `measure` told of each of `pieces_to_measure`, in order.
        layout: how records lie in the file.
    """
    rows = itertools.chain.from_iterable(measured) if all(measured) else []
    if form_of(file.name) == "csv":
        rows = joined_csv(file.bytes, list(rows), layout.limit)
    parts: list[Part] = []
    first = 0
    for start, stop, records, size, *offset in rows:
        parts.append(Part(file, start, stop, first, size, *offset))
        first += records
    return parts or [Part(file)]


def digest_of(parts: Sequence[Part]) -> str:
    """Return 12 hex digits for how work is cut: what was finished of another cut isn't adopted."""
    told = [[part.file.name, part.start, part.stop, part.first] for part in parts]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]
