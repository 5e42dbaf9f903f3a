"""Second pass: what is kept of a part of a corpus is written, and what is dropped is accounted for.

In: the part's rows, their `JUDGED` rows, and the copies among them. Out:
documents, dropped, and the signatures of the kept ones, by which a later batch
can be compared with them without their text.
"""

import heapq
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lmtrain.building import ShardOutput
from lmtrain.curation.accounting import account
from lmtrain.curation.columns import (
    array_lists,
    flat_values,
    list_column,
    replace_rows,
    take,
    to_gaps,
    values,
)
from lmtrain.curation.deduplication import Found, Leaving
from lmtrain.curation.judging import DEDUPLICATION, Part
from lmtrain.curation.keys import KEY_BITS
from lmtrain.curation.privacy.config import KINDS, Action, Kind, PrivacyConfig
from lmtrain.curation.privacy.treatment import treat
from lmtrain.curation.removal import REMOVAL
from lmtrain.manifest import FileRecord, open_record
from lmtrain.schemas import DOCUMENTS, DROPPED
from lmtrain.text import nearness
from lmtrain.totals import Totals, totals_of

LARGEST = 5
"""Clusters of copies that are named, the largest."""

LENGTH_EDGES = [0, *(1 << power for power in range(6, 25))]
"""Edges in bytes of the histogram of lengths; documents beyond the last are counted in the last."""

ROWS = 1000
"""Documents in a row group."""

REPEATING = ("source", "license", "split", "language", "filter", "reason")
"""Columns with few different values, written as a dictionary."""

SIGNATURES = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("characters", pa.int64()),
        ("text_hash", pa.binary(16)),
        ("bands", pa.list_(pa.uint64())),  # the upper 48 bits
        ("sketch_gaps", pa.list_(pa.uint32())),  # `nearness.sketch`, each hash less the one before
    ]
)
"""One kept document a row: by what a later batch is compared with it."""


@dataclass(frozen=True)
class Task:
    """What the second pass needs to know of one part. Travels to workers.

    Attributes:
        part: the part of the corpus.
        number: the part's place among the parts.
        judged: the file that the first pass wrote of it.
        examples: dropped rows whose text is kept; None for all.
    """

    part: Part
    number: int
    judged: FileRecord
    examples: frozenset[int] | None


def write_part(task: Task, shared: tuple[Found, PrivacyConfig], output: ShardOutput) -> None:
    """Write `documents-`, `dropped-` and `signatures-NAME.parquet` of a part.

    A document may be dropped before the privacy filter sees it; what is written
    of its text has placeholders all the same.
    """
    found, personal = shared
    leaving = found.leaving(task.number)
    judged = with_copies(read_judged(task.part.root, task.judged), leaving)
    rows = _with_changed_texts(task.part.read(), judged)
    kept = pc.is_null(judged["filter"])
    sizes = [leaving.clusters.get(row, 1) for row in range(rows.num_rows)]
    documents = rows.append_column("cluster_size", pa.array(sizes)).filter(kept)
    documents = _documents(documents, judged.filter(kept))
    _write(documents, "documents", task.part, output)
    dropped = _dropped(rows, judged, task.examples)
    _write(_without_personal_data(dropped, personal), "dropped", task.part, output)
    _write(signatures_of(judged.filter(kept)), "signatures", task.part, output)
    away = pc.invert(kept)
    output.stats = {
        **_stats(documents, judged),
        "dropped": _by_source(rows.filter(away), judged.filter(away)),
        "taken": account(take(judged, leaving.rows))["taken"],
        "largest_clusters": _largest_clusters(judged, leaving, task.part),
    }


def _largest_clusters(judged: pa.Table, leaving: Leaving, part: Part) -> list[dict[str, Any]]:
    """Return the largest clusters whose kept document is of this part, and the file that it stands in."""
    ids = judged["id"]
    sized = [(-size, ids[row].as_py()) for row, size in leaving.clusters.items()]
    return [
        {"id": identity, "documents": -size, "file": file_name("documents", part)}
        for size, identity in heapq.nsmallest(LARGEST, sized)
    ]


def _with_changed_texts(rows: pa.Table, judged: pa.Table) -> pa.Table:
    text = pc.coalesce(judged["text"], rows["text"])
    return rows.set_column(rows.schema.get_field_index("text"), "text", text)


def read_judged(root: str, record: FileRecord, columns: list[str] | None = None) -> pa.Table:
    """Return what the first pass wrote of a part."""
    return pq.read_table(open_record(root, record), columns=columns)


def with_copies(judged: pa.Table, leaving: Leaving) -> pa.Table:
    """Return judged rows in which copies are dropped as well."""
    copies = leaving.copies
    replacements = {
        "filter": pa.repeat(pa.scalar(DEDUPLICATION), len(leaving.rows)),
        "reason": copies["reason"],
        "value": copies["value"],
        "threshold": copies["threshold"],
        "detail": copies["kept"],
    }
    return replace_rows(judged, leaving.rows, replacements)


def signatures_of(judged: pa.Table) -> pa.Table:
    """Return `SIGNATURES` of judged rows that are kept."""
    keys = flat_values(judged["bands"]) >> np.uint64(64 - KEY_BITS)
    bands = list(keys.reshape(judged.num_rows, -1)) if judged.num_rows else []
    sketches = [nearness.sketch(given) for given in array_lists(judged["shingles"])]
    columns: dict[str, Any] = {name: judged[name] for name in SIGNATURES.names[:4]}
    columns |= {"bands": list_column(bands, pa.uint64()), "sketch_gaps": to_gaps(sketches)}
    return pa.table(columns, schema=SIGNATURES)


def _documents(rows: pa.Table, judged: pa.Table) -> pa.Table:
    found = rows
    for name in ("language", "language_score", "quality"):
        found = found.append_column(name, judged[name])
    return found.append_column("cluster", judged["id"]).select(DOCUMENTS.names).cast(DOCUMENTS)


def _dropped(rows: pa.Table, judged: pa.Table, examples: frozenset[int] | None) -> pa.Table:
    away = pc.is_valid(judged["filter"])
    if examples is not None:
        shown = pa.array([row in examples for row in range(rows.num_rows)], pa.bool_())
        text = pc.if_else(shown, rows["text"], pa.scalar(None, pa.large_string()))
    else:
        removed = pa.array([name == REMOVAL for name in values(judged["filter"])], pa.bool_())
        text = pc.if_else(removed, pa.scalar(None, pa.large_string()), rows["text"])
    table = judged.drop_columns("text").append_column("source", rows["source"]).append_column("text", text)
    return table.filter(away).select(DROPPED.names).cast(DROPPED)


def _without_personal_data(dropped: pa.Table, personal: PrivacyConfig) -> pa.Table:
    """Return dropped rows whose texts have placeholders for all that isn't to be kept."""
    actions: dict[Kind, Action] = {
        kind: "replace" for kind in KINDS if personal.action_of(kind) in ("replace", "drop")
    }
    if not actions:
        return dropped
    replacing = PrivacyConfig(actions=actions)
    texts = [text and treat(text, replacing).text for text in values(dropped["text"])]
    place = dropped.schema.get_field_index("text")
    return dropped.set_column(place, "text", pa.array(texts, pa.large_string()))


def file_name(role: str, part: Part) -> str:
    """Return the name of the file that holds the rows of a role of a part."""
    return f"{role}-{part.name}.parquet"


def _write(table: pa.Table, role: str, part: Part, output: ShardOutput) -> None:
    """Write a file, unless it would have no rows."""
    if not table.num_rows:
        return
    name = file_name(role, part)
    encoded: Any = {"use_dictionary": [column for column in REPEATING if column in table.column_names]}
    if role == "signatures":
        hashes = ("bands.list.element", "sketch_gaps.list.element")
        encoded["column_encoding"] = dict.fromkeys(hashes, "BYTE_STREAM_SPLIT")  # their upper bytes are 0
    pq.write_table(
        table,
        output.path(name),
        compression="zstd",
        row_group_size=ROWS,
        **encoded,
    )
    output.add(name, role, rows=table.num_rows, source=part.record.source)


def _stats(documents: pa.Table, judged: pa.Table) -> dict[str, Any]:
    """Return what adds up over parts."""
    kept = judged.filter(pc.is_null(judged["filter"]))
    sizes, words = kept["bytes"].to_numpy(), kept["words"].to_numpy()
    return {
        "kept": _by_source(documents, kept),
        **{
            f"by_{column}": _totals(documents[column], sizes, words)
            for column in ("source", "license", "language", "split")
        },
        "lengths": np.histogram(np.minimum(sizes, LENGTH_EDGES[-1]), LENGTH_EDGES)[0].tolist(),
    }


def _by_source(rows: pa.Table, judged: pa.Table) -> Totals:
    return totals_of(rows, bytes=judged["bytes"], words=judged["words"])


def _totals(column: pa.ChunkedArray, sizes: np.ndarray, words: np.ndarray) -> dict[str, dict[str, int]]:
    """Return documents, bytes and words by value; what has none counts as `unknown`."""
    found: dict[str, Counter[str]] = {}
    for value, size, count in zip(values(column), sizes.tolist(), words.tolist(), strict=True):
        found.setdefault(value or "unknown", Counter()).update(documents=1, bytes=size, words=count)
    return {key: dict(found[key]) for key in sorted(found)}
