"""Arrow columns to Python and numpy, and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values as Python objects."""
    return column.to_pylist()


def take(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Return some rows of a table, in the order of their numbers in `rows`."""
    numbers: Any = pa.array(rows, pa.int64())
    return table.take(numbers)


def array_lists(column: pa.ChunkedArray) -> list[np.ndarray]:
    """Return a column of lists as arrays, none of them null."""
    return [given.values.to_numpy(zero_copy_only=False) for given in column]


def list_column(arrays: Sequence[np.ndarray | None], kind: pa.DataType) -> pa.Array:
    """Return arrays as one column of lists, without Python numbers between; None becomes null."""
    lengths = [0 if given is None else len(given) for given in arrays]
    offsets: Any = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    present = [given for given in arrays if given is not None]
    flat: Any = pa.array(np.concatenate(present) if present else [], kind)
    absent: Any = pa.array([given is None for given in arrays], pa.bool_())
    return pa.ListArray.from_arrays(offsets, flat, mask=absent)
