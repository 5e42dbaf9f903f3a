"""What a removal list holds: read from files while a run is planned, then from its artifact.

In: `RemovalsConfig`, or the URL of a manifest. Out: `Removals`, which travel to
workers, and the hash of the entries, by which the artifact is addressed.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import NamedTuple

from lmtrain.entries import read_entries, without_repeats
from lmtrain.errors import SourceError
from lmtrain.manifest import Artifact
from lmtrain.removals.config import LISTS, RemovalsConfig
from lmtrain.schemas import strings

HASH_DIGITS = 32
"""Hexadecimal digits of `lmtrain.text.hashing.text_hash`."""


class Listed(NamedTuple):
    """Why a document is removed: the list, one of `LISTS`, and its entry."""

    list: str
    entry: str


@dataclass(frozen=True)
class Removals:
    """Entries by list.

    Attributes:
        ids: of documents.
        urls: whole addresses, as they are written.
        text_hashes: in hexadecimal digits, lower case.
    """

    ids: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()
    text_hashes: frozenset[str] = frozenset()

    @property
    def digest(self) -> str:
        """SHA-256 of the entries; empty where nothing is listed."""
        content = {name: sorted(getattr(self, name)) for name in LISTS if getattr(self, name)}
        if not content:
            return ""
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def by_name(self, identity: str | None, url: str | None) -> Listed | None:
        """Return the entry that a document falls under by its id or address."""
        if identity in self.ids:
            return Listed("ids", str(identity))
        return Listed("urls", str(url)) if url in self.urls else None

    def by_hash(self, text_hash: bytes) -> Listed | None:
        """Return the entry that a document falls under by the hash of its text, 16 bytes."""
        return Listed("text_hashes", text_hash.hex()) if text_hash.hex() in self.text_hashes else None


def read_removals(config: RemovalsConfig) -> Removals:
    """Read the lists.

    Raises:
        SourceError: a file is missing, unreadable, not UTF-8 or has no entry, or a hash isn't one.
    """
    entries = {name: read_entries(f"remove.{name}", getattr(config, name)) for name in LISTS}
    for entry in entries["text_hashes"]:
        if not re.fullmatch(rf"[0-9a-fA-F]{{{HASH_DIGITS}}}", entry.text):
            raise SourceError(
                f"remove.text_hashes: {entry.url} line {entry.line} is no text's hash: "
                f"that has {HASH_DIGITS} hexadecimal digits, and lmtrain text-hash prints it"
            )
    hashes = frozenset(entry.text.lower() for entry in entries["text_hashes"])
    ids, urls = (frozenset(entry.text for entry in entries[name]) for name in ("ids", "urls"))
    return Removals(ids, urls, hashes)


def with_digest(config: RemovalsConfig) -> RemovalsConfig:
    """Return the config with the hash of what its lists hold right now.

    Raises:
        SourceError: as for `read_removals`.
    """
    return config.model_copy(update={"digest": read_removals(config).digest})


def read_unchanged(config: RemovalsConfig) -> Removals:
    """Read the lists, and refuse others than those that the run was planned with.

    Raises:
        SourceError: as for `read_removals`, or their hash isn't the config's.
    """
    found = read_removals(config)
    if found.digest != config.digest:
        raise SourceError("a list of remove changed since this run was planned: run again")
    return found


def open_removals(urls: list[str]) -> Removals:
    """Return what removals artifacts list, all of them together.

    Raises:
        CorruptArtifactError: one of them isn't what its manifest says.
    """
    found: dict[str, set[str]] = {name: set() for name in LISTS}
    for url in urls:
        for table in Artifact(url).tables("removals"):
            for name, entry in zip(strings(table["list"]), strings(table["entry"]), strict=True):
                found[name].add(entry)
    return Removals(**{name: frozenset(entries) for name, entries in found.items()})


def rows_of(removals: Removals) -> list[dict[str, str]]:
    """Return the entries as rows of the artifact's file, `list` and `entry`, in a fixed order."""
    return [
        {"list": name, "entry": entry} for name in LISTS for entry in without_repeats(getattr(removals, name))
    ]
