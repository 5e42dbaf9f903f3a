"""Arrow columns to Python and numpy, and back."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values as Python objects."""
    return column.to_pylist()


def take(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Return some rows of a table, in the order of their numbers in `rows`."""
    numbers: Any = pa.array(rows, pa.int64())
    return table.take(numbers)


def replace_rows(table: pa.Table, rows: np.ndarray, replacements: Mapping[str, Any]) -> pa.Table:
    """Return a table with other values in some of its rows.

    Args:
        table: any table.
        rows: numbers of rows, ascending, shape (rows,).
        replacements: by column, a value for each of these rows, in their order; None for null in all.
    """
    if not len(rows):
        return table
    chosen = np.zeros(table.num_rows, dtype=bool)
    chosen[rows] = True
    for name, given in replacements.items():
        place = table.schema.get_field_index(name)
        column: Any = table[name].combine_chunks()
        if given is None:
            new = pc.if_else(pa.array(chosen), pa.scalar(None, column.type), column)
        else:
            flat: Any = given.combine_chunks() if isinstance(given, pa.ChunkedArray) else given
            new = pc.replace_with_mask(column, pa.array(chosen), flat)
        table = table.set_column(place, table.field(place), new)
    return table


def array_lists(column: pa.ChunkedArray) -> list[np.ndarray]:
    """Return a column of lists as arrays, none of them null."""
    whole: Any = column.combine_chunks()
    flat, offsets = whole.values.to_numpy(zero_copy_only=False), whole.offsets.to_numpy()
    return [flat[begin:end] for begin, end in pairwise(offsets.tolist())]


def list_column(arrays: Sequence[np.ndarray | None], kind: pa.DataType) -> pa.Array:
    """Return arrays as one column of lists, without Python numbers between; None becomes null."""
    lengths = [0 if given is None else len(given) for given in arrays]
    offsets: Any = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    present = [given for given in arrays if given is not None]
    flat: Any = pa.array(np.concatenate(present) if present else [], kind)
    absent: Any = pa.array([given is None for given in arrays], pa.bool_())
    return pa.ListArray.from_arrays(offsets, flat, mask=absent)


def flat_values(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Return the values of a column of lists, none of them null, laid end to end."""
    whole: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole.flatten().to_numpy(zero_copy_only=False)


def to_gaps(arrays: Sequence[np.ndarray | None]) -> pa.Array:
    """Return sorted arrays of uint32 as a column of lists of their first values and the gaps after them.

    Gaps are small numbers, which compress.
    """
    gaps = [None if given is None else np.diff(given, prepend=np.uint32(0)) for given in arrays]
    return list_column(gaps, pa.uint32())


def from_gaps(column: pa.ListArray) -> pa.Array:
    """Undo `to_gaps` for a column without nulls."""
    lengths = column.value_lengths().to_numpy()
    ends = np.cumsum(lengths)
    sums = np.cumsum(flat_values(column), dtype=np.uint64)
    before = np.r_[np.uint64(0), sums][ends - lengths]
    flat: Any = pa.array((sums - np.repeat(before, lengths)).astype(np.uint32))
    offsets: Any = pa.array(np.r_[0, ends], pa.int32())
    return pa.ListArray.from_arrays(offsets, flat)
