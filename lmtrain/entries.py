"""Lists that a person gives as files with an entry a line.

In: paths, folders or globs, local or remote. Out: the entries. A list is UTF-8
text; spaces around an entry, empty lines and lines that begin with `#` are left out.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lmtrain import storage
from lmtrain.errors import SourceError

PATHS = "Paths, folders or globs, local or s3://, of files with an entry a line. "
"""How the description of a field begins that names such lists."""


class Entry(NamedTuple):
    """One entry, and where it stands."""

    text: str
    url: str
    """Of its file."""
    line: int
    """Of its file, from 1."""


def read_entries(field: str, paths: Sequence[str]) -> list[Entry]:
    """Return the entries of files, folders and globs in their order.

    Args:
        field: of the recipe, which a failure names.
        paths: where the files lie.

    Raises:
        SourceError: a file is missing, unreadable, not UTF-8, or has no entry.
    """
    try:
        return [
            entry for path in paths for file in storage.list_files(path) for entry in _entries_of(file.url)
        ]
    except SourceError as error:
        raise SourceError(f"{field}: {error}") from None


def _entries_of(url: str) -> list[Entry]:
    with storage.told_as_source_error(url):
        data = storage.read_bytes(url)
    try:
        lines = [line.strip() for line in data.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise SourceError(f"{url} is not UTF-8 text") from None
    entries = [Entry(line, url, number) for number, line in enumerate(lines, start=1)]
    entries = [entry for entry in entries if entry.text and not entry.text.startswith("#")]
    if not entries:
        raise SourceError(f"{url} has no entry")
    return entries


def without_repeats(entries: Iterable[str]) -> tuple[str, ...]:
    """Return entries sorted, each once."""
    return tuple(sorted(set(entries)))
