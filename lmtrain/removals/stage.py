"""The stage `list_removals`: a person's removal list becomes an artifact, which stays when the list changes.

In: files with an entry a line. Out: an artifact `removals` with one Parquet file,
a row for each entry: `list` (one of `config.LISTS`) and `entry`.
"""

import pyarrow as pa
import pyarrow.parquet as pq

from lmtrain.building import Attempt, Built, build_once
from lmtrain.config import Resources
from lmtrain.removals.config import LISTS, RemovalsConfig
from lmtrain.removals.entries import read_unchanged, rows_of
from lmtrain.watch import Watch

SCHEMA = pa.schema([("list", pa.string()), ("entry", pa.string())])


def build(
    inputs: dict[str, list[str]], config: RemovalsConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Write a removal list; return the URL of its manifest.

    Args:
        inputs: none.
        config: where the lists lie, and the hash of their entries.
        root: where artifacts lie.
        resources: not used; a list is written by one process.
        watch: told when the list is written.

    Raises:
        SourceError: a list is missing or has changed since the run was planned.
    """

    def work(attempt: Attempt) -> Built:
        removals = read_unchanged(config)
        with attempt.shard("removals") as output:
            table = pa.Table.from_pylist(rows_of(removals), SCHEMA)
            pq.write_table(table, output.path("removals.parquet"), compression="zstd")
            output.add("removals.parquet", "removals", rows=table.num_rows)
            output.stats = {name: len(getattr(removals, name)) for name in LISTS}
        assert output.result is not None, "leaving the shard records it"
        watch.progress(1, 1, "lists")
        return Built(output.result.files, output.result.stats)

    return build_once(config, inputs, root, work)
