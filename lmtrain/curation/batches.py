"""How rows get from one step of a stage to the next: Arrow files with one record batch for each taker.

In: a table and where each of its rows goes. Out: a file from which each taker
reads its own batch, and the rows of one taker from all such files. Which batches
a file has stands in its own metadata, so that no list of them need travel.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from lmtrain.building import ShardOutput, ShardResult
from lmtrain.curation.columns import take
from lmtrain.manifest import FileRecord, open_record

_NUMBERS = b"numbers"


@dataclass(frozen=True)
class Batches:
    """Files with a record batch for each range of keys, group of files or bin. Travels to workers."""

    root: str
    files: list[FileRecord]

    @classmethod
    def of(cls, root: str, results: Iterable[ShardResult], name: str | tuple[str, ...] = "") -> "Batches":
        """Return what the shards of a step wrote, or those of their files whose names begin with `name`."""
        files = [record for result in results for record in result.files]
        return cls(root, [record for record in files if record.path.rsplit("/", 1)[-1].startswith(name)])

    def read(self, number: int) -> pa.Table:
        """Return all rows of one taker, in the order of the files, of which there must be one."""
        found, schema = [], None
        for record in self.files:
            with pa.memory_map(str(open_record(self.root, record))) as source:
                reader = pa.ipc.open_file(source)
                schema = reader.schema
                numbers = _numbers_in(schema)
                place = int(np.searchsorted(numbers, number))
                if place < len(numbers) and numbers[place] == number:
                    found.append(reader.get_batch(place))
        assert schema is not None, "no step wrote what is read here"
        return pa.Table.from_batches(
            [one.replace_schema_metadata() for one in found], schema.remove_metadata()
        )

    def numbers(self) -> list[int]:
        """Return the takers that have rows."""
        found: set[int] = set()
        for record in self.files:
            with pa.memory_map(str(open_record(self.root, record))) as source:
                found.update(_numbers_in(pa.ipc.open_file(source).schema).tolist())
        return sorted(found)


def _numbers_in(schema: pa.Schema) -> np.ndarray:
    return np.frombuffer((schema.metadata or {})[_NUMBERS], np.int64)


def write_batches(table: pa.Table, places: np.ndarray, name: str, output: ShardOutput) -> None:
    """Write a table with one batch for each taker that it has rows for.

    Args:
        table: the rows.
        places: number of the taker of each row, shape (rows,), int64.
        name: of the file.
        output: where it goes.
    """
    ordered = table
    if np.any(places[1:] < places[:-1]):
        order = np.argsort(places, kind="stable")
        places, ordered = places[order], take(table, order)
    numbers, begins = np.unique(places, return_index=True)
    metadata: Any = {_NUMBERS: numbers.astype(np.int64).tobytes()}
    schema = table.schema.with_metadata(metadata)
    with pa.OSFile(str(output.path(name)), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for begin, end in pairwise([*begins.tolist(), table.num_rows]):
            writer.write_batch(ordered.slice(begin, end - begin).combine_chunks().to_batches()[0])
    output.add(name, "linking")
