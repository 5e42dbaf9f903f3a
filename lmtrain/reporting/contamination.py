"""Documents that touched evaluation examples: how many, which examples, and the words that they share.

In: the documents artifact (roles `contamination` and `dropped`) and the labelled
sets. Out: counts by set, and a few pairs with the run of words that both have.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lmtrain.labelled import texts_of
from lmtrain.manifest import Artifact
from lmtrain.removals.resolving import removed_ids
from lmtrain.reporting import humanize
from lmtrain.reporting.line import Line
from lmtrain.schemas import strings

FILTER = "decontamination"
PAIRS_SHOWN = 3
EXAMPLES_TOUCHED_MOST = 5
AROUND = 100
"""Characters shown before and after what two texts share."""
LONGEST_SHARED = 500

_CJK = r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
_TOKEN = re.compile(rf"{_CJK}|(?:(?!{_CJK})[^\W_])+")

Piece = tuple[str, bool]
"""A piece of a text, and whether the other text has it too."""


@dataclass(frozen=True)
class Pair:
    """A dropped document beside the example that it touched, both cut to what is near the shared words."""

    document: list[Piece]
    example: list[Piece]
    source: str
    example_id: str

    @property
    def lang(self) -> str | None:
        """The language tag of the texts, where it isn't the page's."""
        return humanize.language_tag("".join(text for text, _ in self.document))


@dataclass(frozen=True)
class TouchedSet:
    """One evaluation set.

    Attributes:
        name: of the labelled set.
        documents: dropped documents that touch one of its examples.
        examples: of its examples, those that were touched.
        most: ids of the examples that most documents touch, with their number, if it is more than one.
        pairs: a few documents with an example each.
    """

    name: str
    documents: int
    examples: int
    most: list[tuple[str, int]]
    pairs: list[Pair]


@dataclass(frozen=True)
class Contamination:
    """What came of comparing documents with evaluation examples.

    Attributes:
        compared: examples that documents were compared with.
        too_short: of those the ones without a run of words to look for.
    """

    compared: int
    too_short: int
    sets: list[TouchedSet]


def contamination_of(line: Line) -> Contamination | None:
    """Return what decontamination found; None if documents weren't compared with anything."""
    documents = line.first("documents")
    if documents is None or "evaluation_items" not in documents.stats:
        return None
    touched: dict[str, Counter[str]] = defaultdict(Counter)
    dropped: Counter[str] = Counter()
    readable = {one for rows in _dropped(documents) for one in strings(rows["id"])} - line.withheld
    shown: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for rows in documents.tables("contamination", columns=["id", "example", "data_set"]):
        for name in set(strings(rows["data_set"])):
            of_set = rows.filter(pc.field("data_set") == name)
            touched[name].update(strings(of_set["example"]))
            dropped[name] += len(set(strings(of_set["id"])))  # all rows of a document are in one file
        _choose(rows.to_pylist(), readable, shown)
    wanted = {one for pairs in shown.values() for one, _ in pairs}
    texts = {row["id"]: row for rows in _dropped(documents, wanted) for row in rows.to_pylist()}
    sets = [
        _touched_set(line, name, counts, dropped[name], [(texts[one], item) for one, item in shown[name]])
        for name, counts in sorted(touched.items())
    ]
    return Contamination(
        documents.stats["evaluation_items"], documents.stats["evaluation_items_too_short"], sets
    )


def _dropped(documents: Artifact, wanted: Set[str] | None = None) -> Iterator[pa.Table]:
    """Yield, file by file, the dropped documents whose text was kept; those of some ids alone, if given."""
    for table in documents.tables("dropped", columns=["id", "source", "filter", "text"]):
        rows = table.filter((pc.field("filter") == FILTER) & pc.field("text").is_valid())
        yield rows if wanted is None else rows.filter(_is_among(wanted))


def _is_among(ids: Set[str]) -> pc.Expression:
    return pc.field("id").isin(pa.array(sorted(ids), pa.string()))


def _choose(rows: list[dict[str, Any]], readable: Set[str], shown: dict[str, list[tuple[str, str]]]) -> None:
    """Take the first examples of a set, each with a document whose text is there, until there are enough."""
    for row in rows:
        chosen = shown[row["data_set"]]
        examples = {example for _, example in chosen}
        if row["id"] in readable and row["example"] not in examples and len(chosen) < PAIRS_SHOWN:
            chosen.append((row["id"], row["example"]))


def _touched_set(
    line: Line, name: str, touched: Counter[str], documents: int, chosen: list[tuple[dict[str, Any], str]]
) -> TouchedSet:
    labelled = line.labelled_set(name)
    wanted = {example for _, example in chosen}
    examples = _texts_of_examples(labelled, wanted - removed_ids(line.removals, labelled)) if labelled else {}
    pairs = []
    for row, example in chosen:
        if example in examples:
            document_pieces, example_pieces = shared_run(row["text"], examples[example])
            pairs.append(Pair(document_pieces, example_pieces, row["source"], example))
    often = [(example, number) for example, number in touched.items() if number > 1]
    most = sorted(often, key=lambda item: (-item[1], item[0]))[:EXAMPLES_TOUCHED_MOST]
    return TouchedSet(name, documents, len(touched), most, pairs)


def _texts_of_examples(labelled: Artifact, wanted: set[str]) -> dict[str, str]:
    """Return the texts of test examples by id, joined."""
    found = {}
    for table in labelled.tables("labelled", split="test"):
        for row in table.filter(_is_among(wanted)).to_pylist():
            found[row["id"]] = "\n".join(texts_of(row))
    return found


def shared_run(document: str, example: str) -> tuple[list[Piece], list[Piece]]:
    """Return two texts near the longest run of words that both have, that run told apart.

    Case and punctuation don't count; a Han character or kana is a word.
    """
    ours, theirs = list(_TOKEN.finditer(document)), list(_TOKEN.finditer(example))
    a, b = ([word.group().lower() for word in words] for words in (ours, theirs))
    run = SequenceMatcher(None, a, b, autojunk=False).find_longest_match()
    return _around(document, ours[run.a : run.a + run.size]), _around(
        example, theirs[run.b : run.b + run.size]
    )


def _around(text: str, shared: list[re.Match[str]]) -> list[Piece]:
    start, end = (shared[0].start(), shared[-1].end()) if shared else (0, 0)
    before, after = text[max(start - AROUND, 0) : start], text[end : end + AROUND]
    run = humanize.excerpt(text[start:end], LONGEST_SHARED)
    return [
        ("… " + before if start > AROUND else before, False),
        (run, True),
        (after + " …" if end + AROUND < len(text) else after, False),
    ]
