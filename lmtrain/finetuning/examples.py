"""Labelled examples as the rows of a training, for any task."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from lmtrain.encoding.rows import Rejection, Row


class ExampleRows:
    """Rows of encoded examples by number; examples that can't be used are counted by reason.

    Attributes:
        rows: of all examples; one may have several.
        ids: of each row's example.
        rejected: examples that can't be used, by reason.
        lengths: tokens of each row, shape (rows,).
    """

    def __init__(
        self, examples: Iterable[dict[str, Any]], encode: Callable[[dict], list[Row] | Rejection]
    ) -> None:
        self.rows: list[Row] = []
        self.ids: list[str] = []
        self.rejected: Counter[str] = Counter()
        for example in examples:
            encoded = encode(example)
            if isinstance(encoded, Rejection):
                self.rejected[encoded.reason] += 1
            else:
                self.rows += encoded
                self.ids += [example["id"]] * len(encoded)
        self.lengths = np.array([row.tokens for row in self.rows], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: np.ndarray) -> Sequence[Row]:
        """Return rows by number."""
        return [self.rows[index] for index in indices]

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        """Return the id of the example in each of these rows."""
        return [[self.ids[index]] for index in indices]
