"""Sources by weight: a recipe's `pretrain.mixing` and the rows that there are to the order of a training.

All is refused before training: a source that isn't there, weights that leave
nothing, one too small for a row in 1,024, and more passes over a source than its cap.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction

import numpy as np

from lmtrain.errors import RecipeError
from lmtrain.pretraining.config import MixingConfig, PretrainConfig
from lmtrain.training.order import BLOCK, DataOrder, MixedOrder, order_of
from lmtrain.training.packing import PackedRows
from lmtrain.training.schedule import rows_before


def training_order(config: PretrainConfig, rows: PackedRows) -> DataOrder:
    """Return in which order training rows are read.

    Args:
        config: seed, mixing, and for the caps on epochs batch and steps.
        rows: of the training split.

    Raises:
        RecipeError: the sources can't be mixed so; names field, source, and what would be right.
    """
    if config.mixing == MixingConfig():
        return order_of(len(rows), config.seed, rows.lengths)
    check_names(config.mixing, rows.sources)
    tokens = {source: one.tokens + len(one) for source, one in zip(rows.sources, rows.tokens, strict=True)}
    counts = rows_in_block(weights(config.mixing, tokens), rows.sources)
    order = MixedOrder(rows.first_row, counts, config.seed, rows.lengths)
    _check_caps(config, rows, order)
    return order


def check_names(config: MixingConfig, sources: Iterable[str]) -> None:
    """Refuse what can be refused before any shard is opened.

    Raises:
        RecipeError: a source isn't among those that there are, or all of them have weight 0.
    """
    known = sorted(set(sources))
    for given in config.sources:
        if given.source not in known:
            raise RecipeError(
                f"pretrain.mixing.sources: no source {given.source!r} in the training split "
                f"(there are: {', '.join(known)})"
            )
    if {given.source for given in config.sources if given.weight == 0} == set(known):
        raise RecipeError("pretrain.mixing.sources: every weight is 0: give one source at least more")


def weights(config: MixingConfig, tokens: dict[str, int]) -> dict[str, float]:
    """Return the weight of each source: as given, else by temperature.

    Args:
        config: weights and temperature.
        tokens: of each source.

    Returns:
        By source; those by temperature are 1 on average over all sources that have tokens, so that a weight
        of 3 makes a source count as much as three average ones.

    Raises:
        RecipeError: a source that is given a weight has no tokens, or nothing is left.
    """
    powers = {source: count**config.temperature for source, count in tokens.items() if count}
    mean = sum(powers.values()) / max(1, len(powers))
    found = {source: powers.get(source, 0.0) / (mean or 1.0) for source in tokens}
    for given in config.sources:
        if given.weight and not tokens[given.source]:
            raise RecipeError(
                f"pretrain.mixing.sources: {given.source!r} has weight {given.weight:g}, but no tokens in "
                "the training split: leave it out, or set its weight to 0"
            )
        if given.weight is not None:
            found[given.source] = given.weight
    if not any(found.values()):
        raise RecipeError("pretrain.mixing.sources: no source with tokens has a weight above 0")
    return found


def rows_in_block(weights: dict[str, float], sources: Sequence[str]) -> list[int]:
    """Return how many of 1,024 rows each source has, by the method of largest remainders (Hamilton's).

    Args:
        weights: by source, of which one at least isn't 0.
        sources: in whose order the numbers are returned, and that settles ties.

    Raises:
        RecipeError: a source with a weight would have no row at all.
    """
    total = sum(Fraction(weights[source]) for source in sources)
    exact = [BLOCK * Fraction(weights[source]) / total for source in sources]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(sources)), key=lambda place: counts[place] - exact[place])
    for place in by_remainder[: BLOCK - sum(counts)]:
        counts[place] += 1
    for source, count in zip(sources, counts, strict=True):
        if weights[source] and not count:
            raise RecipeError(
                f"pretrain.mixing.sources: {source!r} with weight {weights[source]:.3g} of "
                f"{float(total):.3g} has no row in {BLOCK:,}: "
                f"give it at least {1.01 * float(total) / BLOCK:.2g}, or 0 to leave it out"
            )
    return counts


def _check_caps(config: PretrainConfig, rows: PackedRows, order: MixedOrder) -> None:
    caps = [_cap(config.mixing, source) for source in rows.sources]
    own = np.diff(rows.first_row)
    most = np.array([cap * many if many else 0.0 for cap, many in zip(caps, own.tolist(), strict=True)])

    def exceeded(steps: int) -> np.ndarray:
        return np.flatnonzero(order.seen(rows_before(steps, steps, config)) > most)

    places = exceeded(config.max_steps)
    if not len(places):
        return
    fits, many = 0, config.max_steps
    while many - fits > 1:
        middle = (fits + many) // 2
        fits, many = (fits, middle) if len(exceeded(middle)) else (middle, many)
    first = int(places[0])
    epochs = order.seen(rows_before(config.max_steps, config.max_steps, config))[first] / own[first]
    right = f"max_steps of at most {fits}" if fits else "a smaller train_batch_size"
    raise RecipeError(
        f"pretrain.mixing: max_epochs of {rows.sources[first]!r} is {caps[first]:g}, but max_steps "
        f"{config.max_steps} would read its {own[first]:,} rows {epochs:.2f} times: set {right}, a smaller "
        "weight, or a larger cap"
    )


def _cap(config: MixingConfig, source: str) -> float:
    given = {one.source: one.max_epochs for one in config.sources}.get(source)
    return next((cap for cap in (given, config.max_epochs) if cap is not None), np.inf)


def mixing_figures(rows: PackedRows, order: DataOrder, seen: int) -> dict[str, dict[str, float]]:
    """Return by source the share of rows and how many times its rows were read; nothing without weights.

    Args:
        rows: of the training split.
        order: of them.
        seen: rows that were read.
    """
    if not isinstance(order, MixedOrder):
        return {}
    sizes, read = np.diff(rows.first_row), order.seen(seen)
    return {
        source: {
            "share": round(int(count) / BLOCK, 6),
            "epochs": round(int(many) / int(size), 4) if size else 0.0,
        }
        for source, size, count, many in zip(rows.sources, sizes, order.counts, read, strict=True)
    }
