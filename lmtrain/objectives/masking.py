"""Which tokens of a row are masked, and by what (BERT, Devlin et al. 2019).

In: rows of token ids and a generator for each. Out: the rows with 80 % of the chosen
tokens masked, 10 % replaced by others and 10 % left as they are, and the labels.
"""

from collections.abc import Sequence

import numpy as np

from lmtrain.objectives.base import IGNORED

MASKED, REPLACED = 0.8, 0.1
"""Shares of the chosen tokens that are masked, and that become another token."""

PLACES_MULTIPLE = 64
"""Targets of a batch are padded to a multiple of this: a compiled loss meets few shapes."""


def mask_rows(
    rows: np.ndarray,
    candidates: np.ndarray,
    words: np.ndarray | None,
    generators: Sequence[np.random.Generator],
    probability: float,
    mask: int,
    vocabulary: int,
) -> np.ndarray:
    """Mask rows in place; return the labels, `IGNORED` beside what isn't to be guessed.

    Args:
        rows: token ids, shape (rows, T).
        candidates: which slots may be chosen, shape (rows, T), bool.
        words: which slots begin a word, shape (rows, T), bool; None to choose token by token.
        generators: of each row.
        probability: share of the candidates of a row that are chosen.
        mask: id of the mask token.
        vocabulary: entries from which replacements are drawn.
    """
    labels = np.full_like(rows, IGNORED)
    for index, generator in enumerate(generators):
        places = np.flatnonzero(candidates[index])
        begins = None if words is None else words[index, places]
        chosen = places[choose(len(places), begins, probability, generator)]
        labels[index, chosen] = rows[index, chosen]
        fate = generator.random(len(chosen))
        rows[index, chosen[fate < MASKED]] = mask
        replaced = chosen[(fate >= MASKED) & (fate < MASKED + REPLACED)]
        rows[index, replaced] = generator.integers(0, vocabulary, len(replaced))
    return labels


def choose(
    tokens: int, begins: np.ndarray | None, probability: float, generator: np.random.Generator
) -> np.ndarray:
    """Return which of a row's tokens are chosen, rising.

    Their number is `probability` of the tokens, rounded up or down by chance so that the mean is exact, and
    at least one; whole words are taken in a random order while they fit.

    Args:
        tokens: how many there are.
        begins: which of them begin a word, shape (tokens,); None where each is chosen by itself.
        probability: share of tokens to choose.
        generator: draws.
    """
    if not tokens or not probability:
        return np.empty(0, dtype=np.int64)
    budget = max(1, int(probability * tokens + generator.random()))
    if begins is None:
        return np.sort(generator.permutation(tokens)[:budget])
    first = np.flatnonzero(begins)
    first = first if len(first) and first[0] == 0 else np.append(0, first)  # what is cut off a word before
    lengths = np.diff(np.append(first, tokens))
    order = generator.permutation(len(first))
    taken = np.cumsum(lengths[order]) <= budget
    taken[0] = True  # a word longer than that is better than none
    words = np.sort(order[taken])
    spans = zip(first[words].tolist(), lengths[words].tolist(), strict=True)
    return np.concatenate([np.arange(start, start + length) for start, length in spans])


def places_of(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where targets stand in flat rows, and what they are; padded with `IGNORED`, shape (targets,)."""
    places = np.flatnonzero(labels != IGNORED)
    padding = -len(places) % PLACES_MULTIPLE or (0 if len(places) else PLACES_MULTIPLE)
    targets = np.append(labels.reshape(-1)[places], np.full(padding, IGNORED))
    return np.append(places, np.zeros(padding, dtype=np.int64)), targets
