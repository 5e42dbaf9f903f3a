"""Which documents give away what a model will be asked in evaluation.

In: the test items of labelled sets, and a document's text. Out: the items with
which the document shares a run of words.

A run is 13 words, as GPT-3's (Brown et al. 2020, appendix C), of the normalized
text without punctuation. Words are those of `lmtrain.text.segmentation` by the
rule `characters`, so that the language needn't be known: a Han character or a
kana stands alone and counts as 13/20 of a word, which makes a run of Chinese 20
characters (a Chinese word has about 1.5; 13 characters would be the name of an
office). A text with fewer words has no run: short items contaminate nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from lmtrain.labelled import texts_of
from lmtrain.manifest import Artifact
from lmtrain.text.characters import ALONE, WORD, classes, code_points, is_word_character, stands_alone
from lmtrain.text.kernels import kernel
from lmtrain.text.segmentation import words
from lmtrain.text.similarity import normalized
from lmtrain.text.spans import word_spans

WORDS, CHARACTERS = 13, 20
"""Words in a run, and characters in one where each stands alone."""

DECONTAMINATION = "decontamination"
"""The filter under which documents are dropped, as `contaminated`."""

CONTAMINATION = pa.schema(
    [
        ("id", pa.string()),  # of the dropped document
        ("example", pa.string()),  # id of the evaluation item
        ("data_set", pa.string()),
        ("runs", pa.int64()),  # places in the document where a run of the item begins
    ]
)
"""One document and one item that it touches a row."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_27, _30, _31 = np.uint64(27), np.uint64(30), np.uint64(31)


class Item(NamedTuple):
    """A test example: its id, the data set that it is of, and its texts."""

    id: str
    data_set: str
    texts: Sequence[str]


class Hit(NamedTuple):
    """An item that a document touches, and at how many places of the document."""

    item: int
    runs: int


@dataclass(frozen=True)
class Evaluation:
    """Runs of all items. Travels to workers.

    Attributes:
        names: id and data set of each item.
        runs: hashes in order, shape (runs,), uint64; one that several items have stands there for each.
        items: the item of each run, shape (runs,), int32.
        without_runs: items that are too short to be looked for.
    """

    names: list[tuple[str, str]]
    runs: np.ndarray
    items: np.ndarray
    without_runs: int

    def hits(self, text: str) -> list[Hit]:
        """Return the items that a text touches, those that come first in the text first."""
        own = runs_of(text)
        begins = np.searchsorted(self.runs, own, side="left")
        ends = np.searchsorted(self.runs, own, side="right")
        counts: dict[int, int] = {}
        for place in np.flatnonzero(ends > begins):
            for item in self.items[begins[place] : ends[place]].tolist():
                counts[item] = counts.get(item, 0) + 1
        return [Hit(item, runs) for item, runs in counts.items()]


def evaluation_of(items: Iterable[Item]) -> Evaluation:
    """Return what documents are compared with."""
    names, hashes, owners, short = [], [np.empty(0, np.uint64)], [np.empty(0, np.int32)], 0
    for number, item in enumerate(items):
        found = np.unique(np.concatenate([np.empty(0, np.uint64), *map(runs_of, item.texts)]))
        names.append((item.id, item.data_set))
        hashes.append(found)
        owners.append(np.full(len(found), number, np.int32))
        short += not len(found)
    runs, owned = np.concatenate(hashes), np.concatenate(owners)
    order = np.lexsort((owned, runs))
    return Evaluation(names, runs[order], owned[order], short)


def items_of(urls: Sequence[str]) -> Iterator[Item]:
    """Yield the test examples of labelled sets: their texts, not their labels.

    Args:
        urls: manifests of labelled sets.
    """
    for url in urls:
        artifact = Artifact(url)
        for table in artifact.tables("labelled", split="test"):
            for row in table.to_pylist():
                yield Item(row["id"], artifact.address.label, texts_of(row))


def runs_of(text: str) -> np.ndarray:
    """Return a hash for each run of a text, in the text's order, shape (runs,), uint64."""
    plain = _plain(text)
    characters, table = code_points(plain), classes()
    found = word_spans(characters, plain, "zh", "characters")
    sorts = table[characters[found.starts]]
    said = (sorts & WORD) != 0
    weights = np.where(sorts[said] & ALONE, WORDS, CHARACTERS).astype(np.int64)
    return _runs(found.hashes[said], weights, WORDS * CHARACTERS)


def runs_plain(text: str) -> list[tuple[str, ...]]:
    """Define `runs_of`: the words of each run, where that has their hash."""
    said = [word for word in words(_plain(text), "zh", "characters") if is_word_character(word[0])]
    found = []
    for start in range(len(said)):
        for end in range(start + 1, len(said) + 1):
            weights = (WORDS if stands_alone(word[0]) else CHARACTERS for word in said[start:end])
            if sum(weights) >= WORDS * CHARACTERS:
                found.append(tuple(said[start:end]))
                break
    return found


def _plain(text: str) -> str:
    return normalized(text).replace("’", "'")


@kernel
def _mix(value):
    value = (value ^ (value >> _30)) * _MIX_1
    value = (value ^ (value >> _27)) * _MIX_2
    return value ^ (value >> _31)


@kernel
def _runs(hashes, weights, needed):
    found = np.empty(len(hashes), dtype=np.uint64)
    for start in range(len(hashes)):
        hashed, weight, place = np.uint64(0), 0, start
        while weight < needed and place < len(hashes):
            hashed = (hashed + _mix(hashes[place])) * _GOLDEN
            weight += weights[place]
            place += 1
        if weight < needed:
            return found[:start].copy()
        found[start] = _mix(hashed)
    return found
