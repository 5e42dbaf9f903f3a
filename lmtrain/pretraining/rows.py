"""Which rows of the shards a training reads, and which documents it skips.

In: a removal list and shards. Out: `removed.parquet` beside the model, which says
for each document the entry that it falls under; and, without these documents, the
rows of a split, and how much is left of each.
"""

from collections import defaultdict
from collections.abc import Sequence, Set
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lmtrain.building import Attempt
from lmtrain.manifest import Artifact, FileRecord
from lmtrain.removals.entries import open_removals
from lmtrain.removals.resolving import removed_documents
from lmtrain.schemas import SPLITS, strings
from lmtrain.training.packing import Frame, PackedRows, Packing

Totals = dict[str, dict[str, int]]
"""Documents, tokens and bytes by split."""


def write_removed(attempt: Attempt, urls: Sequence[str], shards: Artifact) -> FileRecord | None:
    """Write which documents of the shards are listed; None where no list is given.

    Args:
        attempt: what the file belongs to; if it is there already it is taken.
        urls: of removals manifests.
        shards: whose documents are looked up.
    """
    if not urls:
        return None
    done = attempt.finished("removed")
    if done is None:
        table = removed_documents(open_removals(list(urls)), shards.inputs("documents"))
        with attempt.shard("removed") as output:
            pq.write_table(table, output.path("removed.parquet"), compression="zstd")
            output.add("removed.parquet", "removed", rows=table.num_rows)
        done = output.result
    assert done is not None, "the shard was just recorded"
    return done.files[0]


def ids_in(attempt: Attempt, removed: FileRecord | None) -> frozenset[str]:
    """Return the ids that `write_removed` wrote; none where it wrote nothing."""
    if removed is None:
        return frozenset()
    return frozenset(strings(pq.read_table(attempt.open(removed), columns=["id"])["id"]))


def totals_without(shards: Artifact, skipped: Set[str]) -> Totals:
    """Return how much each split of shards holds without the documents that are skipped."""
    by_split: Totals = {split: dict(shards.stats["by_split"].get(split, {})) for split in SPLITS}
    wanted = pa.array(sorted(skipped), pa.string())
    for record in shards.files("shards") if skipped else ():
        table = pa.ipc.open_stream(pa.memory_map(str(shards.open(record)))).read_all()
        gone = table.filter(pc.is_in(table["id"], wanted))
        left = by_split[str(record.split)]
        left["documents"] -= gone.num_rows
        left["tokens"] -= pc.sum(pc.list_value_length(gone["input_ids"])).as_py() or 0
        left["bytes"] -= pc.sum(gone["bytes"]).as_py() or 0
    return by_split


def open_rows(
    shards: Artifact,
    split: str,
    row_tokens: int,
    end: int,
    skipped: Set[str] = frozenset(),
    *,
    packing: Packing = "concatenate",
    vocabulary: int | None = None,
    frame: Frame | None = None,
) -> PackedRows:
    """Open the rows of one split, without the documents that are skipped.

    Args:
        shards: whose files are opened, each checked against its SHA-256.
        split: `train`, `validation` or `test`.
        row_tokens: the most tokens of a row.
        end: id of the token that opens and closes documents.
        skipped: ids of documents that are left out.
        packing: how rows are made of documents.
        vocabulary: ids that the model has; rows with others are refused. None: not looked at.
        frame: of the pieces of documents; None to learn what follows.

    Raises:
        CorruptArtifactError: a shard isn't what the manifest says it is; names the file.
        RecipeError: the shards lack a column that the frame asks for.
    """
    paths: dict[str, list[Path]] = defaultdict(list)
    for record in shards.files("shards", split=split):
        paths[str(record.source)].append(shards.open(record))
    slots = row_tokens if frame is None else frame.full
    return PackedRows(paths, slots, end, skipped, packing, vocabulary, frame)
