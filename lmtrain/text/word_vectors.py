"""Static vectors of words as an artifact holds them, for who trains them and who scores with them.

In: words, or a text in a language. Out: a vector for each word, the same wherever
it stands. What trained them isn't needed to use them: two files hold all.

    vectors.safetensors     `vectors`, `counts`, and of fastText `ngrams`
    vocabulary.json         the words in the order of the rows, and how texts are cut into them
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lmtrain.errors import CorruptArtifactError
from lmtrain.text.characters import code_points
from lmtrain.text.fasttext import hash_bytes
from lmtrain.text.segmentation import Segmenter
from lmtrain.text.spans import word_spans

VECTORS = "vectors.safetensors"
VOCABULARY = "vocabulary.json"

SMOOTHING = 1e-3
"""a of Arora et al. 2017: a word of this share of the text weighs half."""

WEIGHTING = f"sif:{SMOOTHING}"
"""How words of a text are weighted, as signatures of scores have it."""


def words_of(text: str, language: str, segmenter: Segmenter, lowercase: bool) -> list[str]:
    """Cut a text into words as `segmentation.words` does, in small letters if asked.

    Raises:
        RecipeError: jieba is needed and isn't installed.
    """
    found = word_spans(code_points(text), text, language, segmenter)
    spans = zip(found.starts.tolist(), found.ends.tolist(), strict=True)
    words = [text[start:end] for start, end in spans]
    return [word.lower() for word in words] if lowercase else words


def ngram_buckets(word: str, min_n: int, max_n: int, buckets: int) -> list[int]:
    """Return the buckets of a word's pieces, as fastText hashes them (Bojanowski et al. 2017).

    Pieces are runs of `min_n` to `max_n` characters of `<word>`; the brackets alone are none.
    """
    framed = f"<{word}>"
    return [
        hash_bytes(framed[start : start + size].encode()) % buckets
        for start in range(len(framed))
        for size in range(min_n, min(max_n, len(framed) - start) + 1)
        if not (size == 1 and start in (0, len(framed) - 1))
    ]


@dataclass(frozen=True)
class WordVectors:
    """A vector for each word of a vocabulary; with pieces of words, for every word.

    Attributes:
        words: the most frequent first.
        vectors: shape (words, width), float32.
        counts: how often each occurred in the text, shape (words,), int64.
        segmenter: how texts are cut.
        lowercase: words are looked up in small letters.
        ngrams: vectors of pieces by bucket, shape (buckets, width), float32; None without.
        min_n: characters of the shortest piece.
        max_n: characters of the longest piece.
    """

    words: list[str]
    vectors: np.ndarray
    counts: np.ndarray
    segmenter: Segmenter = "default"
    lowercase: bool = True
    ngrams: np.ndarray | None = None
    min_n: int = 3
    max_n: int = 6

    @property
    def width(self) -> int:
        """Length of a vector."""
        return self.vectors.shape[1]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The row of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def cut(self, text: str, language: str) -> list[str]:
        """Return the words of a text, as they were cut in training."""
        return words_of(text, language, self.segmenter, self.lowercase)

    def of(self, words: Sequence[str]) -> np.ndarray:
        """Return the vector of each word, shape (words, width), float32.

        A word that isn't known has the mean of its pieces' vectors, or zeros where there are none.
        """
        found = np.zeros((len(words), self.width), dtype=np.float32)
        for row, word in enumerate(words):
            word = word.lower() if self.lowercase else word
            number = self.numbers.get(word)
            if number is not None:
                found[row] = self.vectors[number]
            elif self.ngrams is not None:
                buckets = ngram_buckets(word, self.min_n, self.max_n, len(self.ngrams))
                if buckets:
                    found[row] = self.ngrams[buckets].mean(axis=0)
        return found

    def of_text(self, text: str, language: str) -> np.ndarray:
        """Return the weighted mean of the vectors of a text's words, shape (width,), float32.

        A word weighs a / (a + p), where p is its share of the training text (Arora, Liang and Ma
        2017, A Simple but Tough-to-Beat Baseline): what stands everywhere says little.
        """
        words = self.cut(text, language)
        if not words:
            return np.zeros(self.width, dtype=np.float32)
        seen = [self.counts[self.numbers[word]] if word in self.numbers else 0 for word in words]
        shares = np.array(seen) / self.counts.sum()
        weights = (SMOOTHING / (SMOOTHING + shares)).astype(np.float32)
        return weights @ self.of(words) / len(words)

    def nearest(self, word: str, number: int) -> list[tuple[str, float]]:
        """Return the words whose vectors have the largest cosine with a known word's, and that cosine."""
        own = self.numbers[word]
        lengths = np.linalg.norm(self.vectors, axis=1)
        cosines = self.vectors @ self.vectors[own] / np.maximum(lengths * lengths[own], 1e-12)
        order = np.lexsort((np.arange(len(cosines)), -cosines))
        return [(self.words[at], float(cosines[at])) for at in order[: number + 1] if at != own][:number]

    def save(self, folder: Path) -> None:
        """Write the two files; the same vectors give the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"vectors": self.vectors, "counts": self.counts}
        if self.ngrams is not None:
            arrays["ngrams"] = self.ngrams
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / VECTORS)
        about = {
            "lowercase": self.lowercase,
            "segmenter": self.segmenter,
            "min_n": self.min_n,
            "max_n": self.max_n,
            "words": self.words,
        }
        text = json.dumps(about, ensure_ascii=False, indent=0)
        (folder / VOCABULARY).write_text(f"{text}\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "WordVectors":
        """Read what `save` wrote.

        Raises:
            CorruptArtifactError: the files don't belong together, or aren't vectors of words.
        """
        try:
            about = json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))
            arrays: dict[str, Any] = load_file(folder / VECTORS)
            found = cls(**about, **arrays)
        except (OSError, ValueError, TypeError, SafetensorError) as error:
            raise CorruptArtifactError(f"{folder} holds no vectors of words: {error}") from error
        if not len(found.words) == len(found.vectors) == len(found.counts):
            raise CorruptArtifactError(
                f"{folder}: {len(found.words)} words, but {len(found.vectors)} vectors and "
                f"{len(found.counts)} counts"
            )
        return found
