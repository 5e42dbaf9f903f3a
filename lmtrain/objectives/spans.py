"""Where spans of a text are taken out: their lengths and places.

In: the tokens of a text, the share to take out and the mean length of a span. Out:
begins and lengths, as T5 and BART draw them.
"""

import numpy as np


def t5_spans(
    tokens: int, share: float, mean_length: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return begins and lengths of spans, rising, none beside another (Raffel et al. 2020).

    Their tokens and their number follow from the text's length; text and spans are cut into as many parts at
    random, and alternate, text first.

    Args:
        tokens: of the text.
        share: of the tokens that is taken out; at least one token is, and one stays.
        mean_length: of a span.
        generator: draws.
    """
    taken, spans = span_counts(tokens, share, mean_length)
    lengths = _parts(taken, spans, generator)
    between = _parts(tokens - taken, spans, generator)
    begins = np.cumsum(between) + np.cumsum(lengths) - lengths
    return begins, lengths


def span_counts(tokens: int, share: float, mean_length: float) -> tuple[int, int]:
    """Return how many tokens are taken out of a text of so many, and in how many spans."""
    if tokens < 2:
        return 0, 0
    taken = min(max(round(tokens * share), 1), tokens - 1)
    spans = min(max(round(taken / mean_length), 1), tokens - taken)
    return taken, spans


def _parts(total: int, parts: int, generator: np.random.Generator) -> np.ndarray:
    """Cut `total` into so many parts of at least one, each way of doing it as likely."""
    if not parts:
        return np.empty(0, dtype=np.int64)
    cuts = np.sort(generator.choice(total - 1, parts - 1, replace=False)) + 1 if parts > 1 else []
    return np.diff(np.concatenate([[0], cuts, [total]])).astype(np.int64)


def poisson_spans(
    tokens: int, share: float, mean_length: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return begins and lengths of spans, rising, whose lengths are Poisson (Lewis et al. 2020).

    Lengths may be 0: there something seems to be missing that isn't. Together they are as near to `share` of
    the tokens as the last of them allows; spans don't overlap.

    Args:
        tokens: of the text.
        share: of the tokens that is taken out.
        mean_length: of a span.
        generator: draws.
    """
    budget = int(tokens * share + generator.random())
    lengths: list[int] = []
    while sum(lengths) < budget:
        lengths.append(min(int(generator.poisson(mean_length)), budget - sum(lengths)))
    # Spans and the tokens that stay are put in a random order: so they never overlap.
    order = generator.permutation(len(lengths) + tokens - budget)
    is_span = order < len(lengths)
    steps = np.where(is_span, np.append(lengths, np.zeros(tokens - budget, int))[order], 1)
    begins = np.cumsum(steps) - steps
    return begins[is_span].astype(np.int64), steps[is_span].astype(np.int64)
