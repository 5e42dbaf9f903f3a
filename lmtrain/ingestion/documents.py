"""From what a source holds to rows of a corpus: one function for each kind of source.

Each yields, for everything that it reads, either a row of schemas.CORPUS or a
Refusal: read = kept + rejected holds by construction.
"""

import json
from collections.abc import Iterator
from typing import Any

from lmtrain import storage
from lmtrain.ingestion.config import FilesSource, IngestConfig
from lmtrain.ingestion.docstrings import UNKNOWN_LICENSE, Docstring, Package, docstrings_of, read_source
from lmtrain.ingestion.readers import read_records
from lmtrain.ingestion.records import Layout, Part, Record, Refusal
from lmtrain.ingestion.repair import repaired
from lmtrain.ingestion.tagged import without_tags
from lmtrain.schemas import document_id, split_of

Row = dict[str, Any]


def documents_of_module(name: str, package: Package, config: IngestConfig) -> Iterator[Row | Refusal]:
    """Yield the documents of one Python file: its docstrings.

    Args:
        name: the file below the folder that holds the package, `numpy/linalg/_linalg.py`.
        package: the package it belongs to.
        config: the stage's.
    """
    source = config.docstrings
    assert source is not None
    content = read_source(package.name, name)
    try:
        found = list(docstrings_of(content))
    except ValueError as error:
        yield Refusal(-1, "unparsable", str(error)[:300], len(content))
        return
    for number, docstring in enumerate(found):
        size = len(docstring.text.encode(errors="replace"))
        refused = refusal_of(number, docstring.text, config.source.max_bytes)
        if refused:
            yield refused
        elif len(docstring.text) < source.min_characters:
            detail = f"{len(docstring.text)} characters, least {source.min_characters}"
            yield Refusal(number, "too_short", detail, size)
        else:
            yield _docstring_row(name, number, docstring, package, config)


def _docstring_row(
    name: str, number: int, docstring: Docstring, package: Package, config: IngestConfig
) -> Row:
    alias = config.source.alias
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    url = f"{alias}/{name}#{docstring.name}" if docstring.name else f"{alias}/{name}"
    return {
        "id": document_id(alias, name, number),
        "text": docstring.text,
        "source": alias,
        "url": url,
        "license": package.license,
        "group": f"{alias}/{name}",
        "split": split_of(f"{alias}/{name}", config.split),
        "metadata": json.dumps(
            {
                "package": package.name,
                "version": package.version,
                "name": f"{module}.{docstring.name}".rstrip("."),
                "kind": docstring.kind,
            },
            ensure_ascii=False,
        ),
    }


def layout_of(source: FilesSource) -> Layout:
    """Return how records lie in the files of a source."""
    wanted = (source.id_column, source.group_column, source.license_column, source.url_column)
    return Layout(
        source.text_column,
        tuple(column for column in wanted if column),
        source.text_document,
        source.max_bytes,
        source.extraction,
        source.encoding,
    )


def documents_of_part(part: Part, config: IngestConfig) -> Iterator[Row | Refusal]:
    """Yield the documents of one file of records, or of a piece of it."""
    source = config.files
    assert source is not None
    for record in read_records(part, layout_of(source)):
        yield record if isinstance(record, Refusal) else _file_row(part.file, record, source, config)


def _file_row(
    file: storage.SourceFile, record: Record, source: FilesSource, config: IngestConfig
) -> Row | Refusal:
    text = record.values.get(source.text_column)
    if not isinstance(text, str):
        detail = f"column {source.text_column!r} is {_described(text)}"
        return Refusal(record.number, "missing_text", detail, record.bytes)
    if source.tagged:
        text = without_tags(text)
    text = repaired(text, source.repair)
    refused = refusal_of(record.number, text, config.source.max_bytes) or _nul_in(record, text)
    if refused:
        return refused
    row_id = document_id(source.alias, file.name, record.number)
    if source.id_column:
        row_id = name_in(record.values, source.id_column)
        if row_id is None:
            return Refusal(record.number, "missing_id", f"no value in {source.id_column!r}", record.bytes)
    group = name_in(record.values, source.group_column) if source.group_column else row_id
    if group is None:
        return Refusal(record.number, "missing_group", f"no value in {source.group_column!r}", record.bytes)
    on_hub = file.url.startswith(storage.HUB_SCHEME)  # where its commit would stand in the address
    named = on_hub or not storage.is_remote(file.url)
    place = f"{source.alias}/{file.name}" if named else file.url
    return {
        "id": row_id,
        "text": text,
        "source": source.alias,
        "url": name_in(record.values, source.url_column) or record.url or f"{place}#{record.number}",
        "license": name_in(record.values, source.license_column) or source.license or UNKNOWN_LICENSE,
        "group": group,
        "split": split_of(group, config.split),
        "metadata": json.dumps({"file": file.name, "record": record.number}, ensure_ascii=False),
    }


def refusal_of(number: int, text: str, max_bytes: int) -> Refusal | None:
    """Return why a text can't be a document: half a character, nothing in it, or too much; else None."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:  # a lone surrogate, as in the JSON string "\\ud800"
        return Refusal(number, "undecodable", str(error), len(text.encode(errors="replace")))
    if not text.strip():
        return Refusal(number, "empty", "", size)
    if size > max_bytes:
        return Refusal(number, "oversized", f"{size} bytes, at most {max_bytes}", size)
    return None


def _nul_in(record: Record, text: str) -> Refusal | None:
    """Refuse a text that holds a NUL: what was written there is lost, or it never was text."""
    at = text.find("\0")
    return Refusal(record.number, "nul_bytes", f"at character {at}", record.bytes) if at >= 0 else None


def name_in(values: dict[str, Any], column: str | None) -> str | None:
    """Return a column's value as a name, if it is text or an integer and can be written; else None."""
    value = values.get(column) if column else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    name = str(value).strip()
    return name if name and is_encodable(name) else None


def is_encodable(text: str) -> bool:
    """Tell whether a text can be written as UTF-8: it can't with lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _described(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
