"""Records of source files, whatever their form, packing and place.

A reader yields each record, or a `Refusal` in its place: a record that can't be
read is counted where it stands and the rest of the file goes on. Memory is
bounded by the longest record that is allowed, not by the file.
"""

import csv
import io
import logging
from collections.abc import Callable
from typing import IO, cast

import pyarrow as pa

from lmtrain.ingestion.encodings import WHOLE_FILES, as_utf8
from lmtrain.ingestion.forms import compression_of, form_of
from lmtrain.ingestion.json_readers import read_json, read_jsonl
from lmtrain.ingestion.pages import read_html
from lmtrain.ingestion.records import Items, Layout, Part, Refusal
from lmtrain.ingestion.streams import CompressionBombError, VanishedError, open_source, open_stored
from lmtrain.ingestion.table_readers import read_arrow, read_csv, read_parquet, read_tsv
from lmtrain.ingestion.text_readers import read_conll, read_text
from lmtrain.ingestion.warc import GzipMembers, read_warc

logger = logging.getLogger(__name__)

Reader = Callable[[Part, IO[bytes], Layout], Items]
READERS: dict[str, Reader] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "text": read_text,
    "csv": read_csv,
    "tsv": read_tsv,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "html": read_html,
    "warc": read_warc,
    "conll": read_conll,
}
"""By the forms of `forms.FORMS`."""


def read_records(part: Part, layout: Layout) -> Items:
    """Yield the records of a file, or of a piece of it, or what is to be said in their place.

    Raises:
        SourceError: the file can't be opened.
        StorageError: its storage fails.
    """
    reached = None
    try:
        for item in _read(part, layout):
            reached = item.number
            yield item
    except VanishedError as error:
        logger.warning("%s: %s", part.file.name, error)
        yield _of_file(part, reached, "vanished_file", error)
    except CompressionBombError as error:
        yield _of_file(part, reached, "compression_bomb", error)
    except (OSError, EOFError, csv.Error, pa.ArrowException) as error:
        yield _of_file(part, reached, "damaged_file", error)
    else:
        if reached is None and not part.file.bytes:
            yield Refusal(-1, "empty_file", "", 0)


def _read(part: Part, layout: Layout) -> Items:
    form = form_of(part.file.name)
    assert form, "the listing checked it"
    if form == "warc" and compression_of(part.file.name) == "gzip":
        with open_stored(part.file, part.stop is not None) as packed:
            if part.start:
                packed.seek(part.start)
            yield from READERS[form](part, GzipMembers(packed, part.stop).buffered(), layout)
    else:
        with open_source(part.file, part.stop is not None) as stream:
            in_utf8 = part.stop is not None or form not in WHOLE_FILES
            text = stream if in_utf8 else as_utf8(cast(io.BufferedReader, stream), layout.encoding)
            yield from READERS[form](part, text, layout)


def _of_file(part: Part, reached: int | None, reason: str, error: Exception) -> Refusal:
    """Refuse what is left of a file: the record after the last one, or the file where there was none."""
    number = (part.first or -1) if reached is None else reached + 1
    return Refusal(number, reason, " ".join(str(error).split())[:300], part.bytes)
