"""What readers are given and what they yield: parts of files, records, and refusals in their place."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from lmtrain.ingestion.config import ExtractionConfig
from lmtrain.storage import SourceFile


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        number: its place in the file, from 0.
        values: by column.
        bytes: its size in the file.
        url: its web address, where the form of the file has a place for one.
    """

    number: int
    values: dict[str, Any]
    bytes: int
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that isn't used: its number in the file (-1: the file as a whole), and why."""

    number: int
    reason: str
    detail: str
    bytes: int


Item = Record | Refusal
Items = Iterator[Item]


@dataclass(frozen=True)
class Part:
    """A file, or a piece of a large one that is read by itself.

    Attributes:
        file: the file.
        start: where the piece begins: a byte, of Parquet a row.
        stop: where the next piece begins; None: at the end of the file.
        first: the number of its first record in the file.
        size: its bytes, where it is a piece.
        offset: where the piece begins in what is unpacked (WARC).
    """

    file: SourceFile
    start: int = 0
    stop: int | None = None
    first: int = 0
    size: int | None = None
    offset: int = 0

    @property
    def bytes(self) -> int:
        """Bytes of the piece, or of the file."""
        return self.file.bytes if self.size is None else self.size


DEFAULT_EXTRACTION = ExtractionConfig()


@dataclass(frozen=True)
class Layout:
    """How records lie in files.

    Attributes:
        text_column: the column without which a record is nothing.
        columns: other columns that are wanted.
        text_document: what one record of a text file is.
        max_bytes: bytes of the longest text that is wanted.
        extraction: how text is taken out of web pages.
        encoding: of files of text and JSON without a byte order mark; None: UTF-8.
    """

    text_column: str
    columns: tuple[str, ...] = ()
    text_document: Literal["file", "line", "paragraph"] = "line"
    max_bytes: int = 10_000_000
    extraction: ExtractionConfig = DEFAULT_EXTRACTION
    encoding: str | None = None

    @property
    def limit(self) -> int:
        """Bytes of a raw record beyond which it isn't held: JSON writes a byte in up to six."""
        return 6 * self.max_bytes + (1 << 16)


def too_long(number: int, size: int, layout: Layout) -> Refusal:
    """Refuse a record that isn't even held."""
    return Refusal(number, "oversized", f"a record of more than {layout.limit} bytes", size)


def no_column(there: list[str], layout: Layout, part: Part) -> Refusal:
    """Refuse a table that hasn't the text column."""
    names = ", ".join(there[:20]).encode(errors="replace").decode()
    return Refusal(-1, "missing_text", f"no column {layout.text_column!r}; there are: {names}", part.bytes)
