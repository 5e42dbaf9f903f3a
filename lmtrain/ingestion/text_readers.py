"""Records of plain text (.txt, .md): the file, its lines or its paragraphs; and of CoNLL's columns."""

from collections.abc import Iterator
from typing import IO

from lmtrain.ingestion.records import Items, Layout, Part, Record, Refusal, too_long
from lmtrain.ingestion.streams import bounded_content, bounded_lines


def read_text(part: Part, stream: IO[bytes], layout: Layout) -> Items:
    """Yield the file, its lines or its paragraphs, as the layout says."""
    if layout.text_document == "file":
        pieces = iter([bounded_content(stream, layout.limit)])
    elif layout.text_document == "line":
        pieces = bounded_lines(stream, layout.limit, part.start, part.stop)
    else:
        pieces = _paragraphs(stream, layout.limit)
    for number, (piece, size) in enumerate(pieces, part.first):
        if piece is None:
            yield too_long(number, size, layout)
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
        if held and line is not None:
            lines.append(line)
        else:
            lines = []
    if size:
        yield (b"".join(lines) if held else None), size


DOCUMENT_MARK = "-DOCSTART-"
"""First word of a line that parts documents in CoNLL's files."""


def read_conll(part: Part, stream: IO[bytes], layout: Layout) -> Items:
    """Yield a record for each sentence: `tokens`, the first column, and `tags`, the last one.

    A record's number is that of its first line. Columns are parted by tabs or spaces; lines that begin with
    `# ` are comments.
    """
    tokens: list[str] = []
    tags: list[str] = []
    begun = size = 0
    for number, (line, length) in enumerate(
        bounded_lines(stream, layout.limit, part.start, part.stop), part.first
    ):
        if line is None:
            yield too_long(number, length, layout)
            continue
        try:
            columns = line.decode().split()
        except UnicodeDecodeError as error:
            yield Refusal(number, "undecodable", str(error), length)
            continue
        if not columns or columns[0] == DOCUMENT_MARK or (columns[0] == "#" and len(columns) != 2):
            if tokens:
                yield Record(begun, {"tokens": tokens, "tags": tags}, size)
            tokens, tags, size = [], [], 0
            continue
        if not tokens:
            begun = number
        if len(columns) == 1:
            yield Refusal(number, "missing_tag", f"a word without a label: {columns[0][:50]!r}", length)
        tokens.append(columns[0])
        tags.append(columns[-1] if len(columns) > 1 else "")
        size += length
    if tokens:
        yield Record(begun, {"tokens": tokens, "tags": tags}, size)
