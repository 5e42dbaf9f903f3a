"""Documents that a removal list names are dropped before any filter sees them, and no text of theirs is kept.

In: a document's id, address and text. Out: the reason for which it goes, if it is
listed; its detail is the entry. The text is looked up twice: as it was ingested,
and, of what the filters keep, as they changed it.
"""

from lmtrain.curation.filters.rules import Reason
from lmtrain.removals.entries import Listed, Removals
from lmtrain.text.hashing import text_hash

REMOVAL = "removal"
"""The filter under which listed documents are dropped."""

REASONS = {"ids": "listed_id", "urls": "listed_url", "text_hashes": "listed_text"}
"""Why, by list."""


def listed(removals: Removals, identity: str | None, url: str | None, text: str) -> Reason | None:
    """Return why a document is removed; None if it isn't listed."""
    found = removals.by_name(identity, url)
    return reason_of(found) if found else listed_text(removals, text)


def listed_text(removals: Removals, text: str) -> Reason | None:
    """Return why a text is removed; None if it isn't listed."""
    found = removals.by_hash(text_hash(text)) if removals.text_hashes else None
    return reason_of(found) if found else None


def reason_of(found: Listed) -> Reason:
    """Return the reason that an entry is: one, where none is allowed."""
    return Reason(REASONS[found.list], 1, 0, found.entry)
