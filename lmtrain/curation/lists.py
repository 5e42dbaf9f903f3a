"""Lists of addresses and words that a person gives, as files: read once, known by their content.

In: `ListsConfig`, whose paths are local or remote. Out: `Lists`, the entries
themselves, which travel to workers; and the hash of the entries, which enters
the address of what is made with them (`with_digest`), so that another content is
another artifact wherever the file lies.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from lmtrain.curation.config import CurateConfig, ListsConfig
from lmtrain.entries import read_entries, without_repeats
from lmtrain.errors import SourceError

URL_LISTS = ("domains", "urls", "url_words", "soft_url_words", "url_substrings")
"""Fields that list what an address may not have."""


@dataclass(frozen=True)
class Lists:
    """Entries by list, each sorted and without repeats.

    Attributes:
        domains: hosts, in lower case.
        urls: whole addresses.
        url_words: words of an address, in lower case.
        soft_url_words: words of which an address may have few.
        soft_url_words_limit: that many different ones are too many.
        url_substrings: letters and digits that an address may not have anywhere.
        bad_words: by language, in lower case.
    """

    domains: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    url_words: tuple[str, ...] = ()
    soft_url_words: tuple[str, ...] = ()
    soft_url_words_limit: int = 2
    url_substrings: tuple[str, ...] = ()
    bad_words: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the entries; empty where nothing is listed."""
        content = {name: getattr(self, name) for name in URL_LISTS if getattr(self, name)}
        if self.bad_words:
            content["bad_words"] = self.bad_words
        if not content:
            return ""
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_lists(config: ListsConfig) -> Lists:
    """Read the lists.

    Raises:
        SourceError: a file is missing, unreadable, not UTF-8, or has no entry.
    """
    entries = {name: _entries(f"curate.lists.{name}", getattr(config, name)) for name in URL_LISTS}
    for name in ("domains", "url_words", "soft_url_words"):
        entries[name] = without_repeats(entry.lower() for entry in entries[name])
    entries["url_substrings"] = without_repeats(
        kept for entry in entries["url_substrings"] if (kept := letters_and_digits(entry))
    )
    bad_words = {
        language: without_repeats(
            word.lower() for word in _entries(f"curate.lists.bad_words.{language}", paths)
        )
        for language, paths in sorted(config.bad_words.items())
        if paths
    }
    return Lists(**entries, soft_url_words_limit=config.soft_url_words_limit, bad_words=bad_words)


def letters_and_digits(text: str) -> str:
    """Return the ASCII letters and digits of a text, in lower case."""
    return "".join(character for character in text.lower() if character.isascii() and character.isalnum())


def with_digest(config: CurateConfig) -> CurateConfig:
    """Return the config with the hash of what its lists hold right now.

    Raises:
        SourceError: as for `read_lists`.
    """
    digest = read_lists(config.lists).digest
    return config.model_copy(update={"lists": config.lists.model_copy(update={"digest": digest})})


def read_unchanged(config: CurateConfig) -> Lists:
    """Read the lists, and refuse others than those that the run was planned with.

    Raises:
        SourceError: as for `read_lists`, or their hash isn't the config's.
    """
    found = read_lists(config.lists)
    if found.digest and not config.lists.digest:
        raise SourceError("curate.lists has no digest yet: lists.with_digest(config) gives it one")
    if found.digest != config.lists.digest:
        raise SourceError("a list of curate.lists changed since this run was planned: run again")
    return found


def _entries(field: str, paths: Sequence[str]) -> tuple[str, ...]:
    return without_repeats(entry.text for entry in read_entries(field, paths))
