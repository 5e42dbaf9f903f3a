"""An interpolated bigram model with Witten-Bell smoothing: what counting pairs of tokens is worth.

    p(w | h) = (c(h, w) + T(h) p(w)) / (c(h) + T(h)),   p(w) = (c(w) + T / V) / (N + T)

c counts in the training documents, each closed by the end token; T(h) is the
number of different tokens seen after h, T of all different tokens, N of all
tokens and V of entries in the vocabulary (Witten and Bell 1991, in the
interpolated form of Chen and Goodman 1998).
"""

from collections.abc import Iterable

import numpy as np


class BigramModel:
    """Counts of tokens and of pairs of tokens.

    Args:
        streams: training token ids, each of shape (tokens,): documents, each
            followed by the end token.
        vocabulary: number of entries, V.
        end: the end token's id; it also stands before the first document of a stream.
    """

    def __init__(self, streams: Iterable[np.ndarray], vocabulary: int, end: int) -> None:
        self.vocabulary = vocabulary
        self.unigrams = np.zeros(vocabulary, dtype=np.int64)
        self.codes = np.zeros(0, dtype=np.int64)  # h * V + w of each pair that was seen, sorted
        self.counts = np.zeros(0, dtype=np.int64)
        for stream in streams:
            self.unigrams += np.bincount(stream, minlength=vocabulary)
            self._add(_pair_codes(stream, vocabulary, end))
        heads = self.codes // vocabulary
        self.head_counts = np.bincount(heads, weights=self.counts, minlength=vocabulary)
        self.head_types = np.bincount(heads, minlength=vocabulary)
        total, types = self.unigrams.sum(), np.count_nonzero(self.unigrams)
        if types:
            self.unigram = (self.unigrams + types / vocabulary) / (total + types)
        else:  # nothing to count: every token is as likely
            self.unigram = np.full(vocabulary, 1 / vocabulary)

    def _add(self, codes: np.ndarray) -> None:
        new, counts = np.unique(codes, return_counts=True)
        self.codes, index = np.unique(np.concatenate([self.codes, new]), return_inverse=True)
        # float64 weights hold counts exactly up to 2^53
        self.counts = np.bincount(index, weights=np.concatenate([self.counts, counts])).astype(np.int64)

    def probabilities(self, heads: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Return p(token | head) elementwise, shape of the arguments."""
        wanted = heads.astype(np.int64) * self.vocabulary + tokens
        pairs = np.zeros(wanted.shape)
        if len(self.codes):
            place = np.minimum(np.searchsorted(self.codes, wanted), len(self.codes) - 1)
            pairs = np.where(self.codes[place] == wanted, self.counts[place], 0)
        types, lower = self.head_types[heads], self.unigram[tokens]
        seen = types > 0
        divisor = np.where(seen, self.head_counts[heads] + types, 1)
        return np.where(seen, (pairs + types * lower) / divisor, lower)

    def nats(self, document: np.ndarray, end: int) -> float:
        """Return the nats of a document between two end tokens: len(document) + 1 predictions."""
        framed = np.concatenate([[end], document, [end]])
        return float(-np.log(self.probabilities(framed[:-1], framed[1:])).sum())


def _pair_codes(stream: np.ndarray, vocabulary: int, end: int) -> np.ndarray:
    heads = np.concatenate([[end], stream[:-1]]).astype(np.int64)
    return heads * vocabulary + stream


def with_end_tokens(tokens: np.ndarray, ends: np.ndarray, end: int) -> np.ndarray:
    """Return joined documents with the end token after each.

    Args:
        tokens: documents joined, shape (tokens,).
        ends: where each ends, shape (documents,).
        end: the end token's id.
    """
    return np.insert(tokens, ends, end)
