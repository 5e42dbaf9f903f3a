"""FineWeb's quality rules (Penedo et al. 2024), with datatrove 0.10.1's definitions.

Lines are cut at newlines; those of spaces alone don't count.
"""

from lmtrain.curation.document import Document, duplicates
from lmtrain.curation.filters.rules import Rule, Thresholds, Verdict, judge
from lmtrain.text.characters import SENTENCE_ENDS

SHORT_LINE = 30
"""Characters up to which a line is short."""

_ENDS = tuple(SENTENCE_ENDS)


def punctuated_lines(document: Document) -> float:
    """Return the share of lines that end with the end of a sentence."""
    lines = document.written_lines
    return sum(line.endswith(_ENDS) for line in lines) / max(len(lines), 1)


def short_lines(document: Document) -> float:
    """Return the share of lines of at most `SHORT_LINE` characters."""
    lines = document.written_lines
    return sum(len(line) <= SHORT_LINE for line in lines) / max(len(lines), 1)


def duplicate_characters(document: Document) -> float:
    """Return the share of characters, newlines left out, that stand in lines seen before."""
    text = document.text
    return duplicates(document.written_lines)[1] / max(len(text) - text.count("\n"), 1)


def newlines(document: Document) -> float:
    """Return newlines per word, those of punctuation alone among the words."""
    return document.text.count("\n") / max(len(document.words.starts), 1)


RULES = (
    Rule("unpunctuated_lines", "min_punctuated_line_ratio", punctuated_lines),
    Rule("short_lines", "max_short_line_ratio", short_lines),
    Rule("duplicate_written_lines", "max_duplicate_written_character_ratio", duplicate_characters),
    Rule("newlines", "max_newline_ratio", newlines),
)


def fineweb(document: Document, thresholds: Thresholds) -> Verdict:
    """Drop lists, menus and tables: lines without an end, short lines, many newlines."""
    return judge(RULES, document, thresholds)
