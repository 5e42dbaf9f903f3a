"""A docstring as a document and its summary: the summary line (PEP 257), and what follows it.

Not every docstring has one: what begins with a signature or an underlined
heading, is hardly longer than its first sentence, or says that sentence again,
is no example.
"""

import re
from dataclasses import dataclass

LEAST_DOCUMENT = 200
"""Characters below which there is nothing to summarize."""
LEAST_WORDS = 3
LONGEST_SUMMARY = 200

_UNDERLINE = re.compile(r"^\s*([=\-~^*#\"'`+])\1{2,}\s*$", re.MULTILINE)
_SIGNATURE = re.compile(r"^[\w.]+\s*\([^()]*(?:\([^()]*\)[^()]*)*\)\s*(?:->.*|:)?$")
_SENTENCE_END = re.compile(
    r"(?<!\be\.g)(?<!\bi\.e)(?<!\bcf)(?<!\bvs)(?<!\betc)(?<!\bal)(?<!\bEq)(?<!\bFig)[.!?](?=\s|$)|[。！？]"
)
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+")


@dataclass(frozen=True)
class Summarized:
    """A document, and its summary on one line."""

    document: str
    summary: str


def summarized(docstring: str) -> Summarized | str:
    """Split a docstring into summary and document, or return the reason why it is no example.

    Returns:
        The pair; or `heading`, `signature`, `short_summary`, `long_summary`,
        `short_document` or `summary_in_document`.
    """
    head, *rest = re.split(r"\n\s*\n", docstring.strip(), maxsplit=1)
    if _UNDERLINE.search(head):
        return "heading"
    if _SIGNATURE.match(head.splitlines()[0] if head else ""):
        return "signature"
    end = _SENTENCE_END.search(head)
    cut = end.end() if end else len(head)
    summary = " ".join(head[:cut].split())
    document = "\n\n".join(part.strip("\n") for part in (head[cut:].lstrip(), *rest) if part.strip())
    return _reason(summary, document) or Summarized(document, summary)


def _reason(summary: str, document: str) -> str | None:
    if len(_WORD.findall(summary)) < LEAST_WORDS:
        return "short_summary"
    if len(summary) > LONGEST_SUMMARY:
        return "long_summary"
    if len(document) < LEAST_DOCUMENT:
        return "short_document"
    if summary.rstrip(".!?。！？").lower() in " ".join(document.split()).lower():
        return "summary_in_document"
    return None
