"""The training text as numbers of words: what every algorithm reads, again and again.

In: curated documents. Out: the vocabulary, the most frequent word first, and the
text as rows in it, on disk and mapped into memory. Texts are cut into words once,
which for Chinese takes longer than a pass of training.
"""

from array import array
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmtrain.errors import CancelledError, StageError
from lmtrain.manifest import Artifact
from lmtrain.schemas import row_key, strings
from lmtrain.text.word_vectors import words_of
from lmtrain.watch import Watch
from lmtrain.wordvectors.config import WordVectorsConfig

AT_ONCE = 1 << 20
"""Words that are renumbered at once."""

FEWEST_WORDS = 2
"""With one word there is nothing to be near."""


@dataclass(frozen=True)
class Corpus:
    """A text as numbers; words that aren't in the vocabulary are left out, and their neighbours close up.

    Attributes:
        words: the most frequent first, of equally frequent ones by their characters.
        counts: how often each occurs, shape (words,), int64.
        numbers: of all documents, one after the other, shape (occurrences,), int32.
        ends: where each document ends in `numbers`, shape (documents,), int64.
    """

    words: list[str]
    counts: np.ndarray
    numbers: np.ndarray
    ends: np.ndarray

    def spans(self, longest: int) -> Iterator[tuple[int, int]]:
        """Yield where pieces of documents begin and end, none longer than `longest`, none of one word."""
        start = 0
        for end in self.ends.tolist():
            for first in range(start, end, longest):
                if min(first + longest, end) - first > 1:
                    yield first, min(first + longest, end)
            start = end


def read_corpus(
    documents: Sequence[Artifact], config: WordVectorsConfig, removed: Set[str], folder: Path, watch: Watch
) -> Corpus:
    """Read the training split.

    Args:
        documents: artifacts of curated documents.
        config: what a word is, and how many are kept.
        removed: ids of documents that are left out.
        folder: where the numbers are kept while they are needed.
        watch: told the bytes that are read.

    Raises:
        StageError: fewer than two words are frequent enough, or no two of them share a document.
        CancelledError: the watch was asked to stop.
    """
    known: dict[str, int] = {}
    counts = array("q")
    ends = array("q")
    path = folder / "numbers"
    with path.open("wb") as stream:
        end = 0
        for words in _documents(documents, config, removed, watch):
            numbers = array("i", [known.setdefault(word, len(known)) for word in words])
            counts.extend(0 for _ in range(len(known) - len(counts)))
            for number in numbers:
                counts[number] += 1
            numbers.tofile(stream)
            end += len(numbers)
            ends.append(end)
    words, kept_counts, places = _vocabulary(known, np.array(counts, dtype=np.int64), config)
    corpus = Corpus(words, kept_counts, *_renumbered(path, np.array(ends, dtype=np.int64), places))
    if next(corpus.spans(FEWEST_WORDS), None) is None:
        raise StageError(
            f"word_vectors {config.name}: no document has two of the words that are frequent enough, so none "
            "has a neighbour: lower min_count, or add text"
        )
    return corpus


def _documents(
    documents: Sequence[Artifact], config: WordVectorsConfig, removed: Set[str], watch: Watch
) -> Iterator[list[str]]:
    """Yield the words of one training document after another, in the manifest's order."""
    total = sum(one.stats["by_split"].get("train", {"bytes": 0})["bytes"] for one in documents)
    most = config.training_bytes
    below = 2**64 * most // total if total > most else 2**64
    """Documents whose hash lies below are read: a share of all sources that doesn't depend on order."""
    done, wanted = 0, min(total, most)
    for artifact in documents:
        for table in artifact.tables("documents", columns=["id", "text", "split", "language"]):
            columns = (strings(table[name]) for name in ("id", "text", "split", "language"))
            for identity, text, split, language in zip(*columns, strict=True):
                if split != "train" or identity in removed or row_key(identity) >= below:
                    continue
                yield words_of(text, language, config.segmenter, config.lowercase)
                done += len(text.encode())
                if watch.cancelled():
                    raise CancelledError("stopped on request; run again to train from here")
            watch.progress(min(done, wanted), wanted, "bytes")


def _vocabulary(
    known: dict[str, int], counts: np.ndarray, config: WordVectorsConfig
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the words that are kept, their counts, and the new number of each old one, -1 for none.

    Raises:
        StageError: there are fewer than two.
    """
    frequent = [word for word, number in known.items() if counts[number] >= config.min_count]
    words = sorted(frequent, key=lambda word: (-counts[known[word]], word))[: config.max_words]
    if len(words) < FEWEST_WORDS:
        raise StageError(
            f"word_vectors {config.name}: {len(words)} words occur {config.min_count} times in the training "
            "split: lower min_count, add text, or loosen `curate`"
        )
    old = np.array([known[word] for word in words])
    places = np.full(len(known), -1, dtype=np.int32)
    places[old] = np.arange(len(words), dtype=np.int32)
    return words, counts[old], places


def _renumbered(path: Path, ends: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give words their new numbers in place; return them and where documents now end."""
    numbers = np.memmap(path, dtype=np.int32, mode="r+")
    filled = 0
    new_ends = np.zeros_like(ends)
    for first in range(0, len(numbers), AT_ONCE):
        changed = places[numbers[first : first + AT_ONCE]]
        kept = changed >= 0
        inside = slice(np.searchsorted(ends, first, "right"), np.searchsorted(ends, first + AT_ONCE, "right"))
        before = np.concatenate([[0], np.cumsum(kept)])
        new_ends[inside] = filled + before[ends[inside] - first]
        numbers[filled : filled + before[-1]] = changed[kept]
        filled += int(before[-1])
    return numbers[:filled], new_ends
