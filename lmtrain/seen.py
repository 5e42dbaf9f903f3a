"""Removed documents that a model had seen, by every removal list under its root, later ones too.

In: a model, and the manifests that it was made of. Out: rows that name document,
address, split, and list. A document of the training split was seen if one of its
rows was reached before training ended; one of the validation split may have been
looked at; test splits aren't shown to a model in training.
"""

from collections.abc import Iterator
from itertools import chain, groupby
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from lmtrain import storage
from lmtrain.errors import CorruptArtifactError
from lmtrain.manifest import Artifact
from lmtrain.pretraining.config import MixingConfig, PretrainConfig
from lmtrain.pretraining.mixing import training_order
from lmtrain.pretraining.rows import open_rows
from lmtrain.removals.config import ROLE, RemovalsConfig
from lmtrain.removals.entries import Removals, open_removals
from lmtrain.removals.resolving import REMOVED, removed_documents, removed_examples, removed_ids
from lmtrain.schemas import strings
from lmtrain.training.schedule import rows_before

ROWS_AT_ONCE = 1 << 20
"""Places of an order that are worked out at once."""

OF_THE_ORDER = (
    "row_tokens", "packing", "mixing", "seed",
    "max_steps", "train_batch_size", "batch_ramp_ratio", "batch_ramp_start",
)  # fmt: skip
"""Fields of a pretraining that decide which rows it reads."""


class Seen(NamedTuple):
    """A removed document, or example, that a model had seen."""

    id: str
    stage: str
    """In which it was seen: `pretrain` or `finetune`."""
    split: str
    """`train` or `validation`."""
    url: str | None
    """Its address, if it has one."""
    removals: str
    """Folder of the removals artifact."""
    list: str
    """One of `removals.config.LISTS`."""
    entry: str
    """Of that list."""


def removal_lists(root: str) -> list[Artifact]:
    """Return the removals artifacts under a root, in the order in which they were made."""
    below = storage.walk(storage.join(root, RemovalsConfig.kind))
    lists = [Artifact(url) for url in below if url.endswith("/manifest.json")]
    return sorted(lists, key=lambda artifact: (artifact.manifest.created_at, artifact.url))


def seen_by(model: Artifact, lists: list[Artifact]) -> list[Seen]:
    """Return the removed documents that a model had seen, sorted, once for each list that names them.

    Args:
        model: pretrained, or fine-tuned: then what it started from counts, too.
        lists: removals artifacts.

    Raises:
        CorruptArtifactError: what the model was made of is no longer there.
    """
    found = []
    for trained in _trainings(model):
        for given in lists:
            by = {"stage": trained.manifest.stage, "removals": given.address.folder}
            found += [Seen(**row, **by) for row in _seen_in(trained, open_removals([given.url])).to_pylist()]
    return sorted(found, key=lambda seen: (*seen[:3], seen.removals))


def told(model: Artifact) -> Iterator[str]:
    """Yield what there is to tell of removed documents, as lines for a terminal; nothing without a list."""
    lists = removal_lists(model.root)
    if not lists:
        return
    yield ""
    try:
        found = seen_by(model, lists)
    except CorruptArtifactError as error:
        yield f"removed documents that it had seen: can't be told: {error}"
        return
    count = len({seen.id for seen in found})
    yield f"removed documents that it had seen ({count}), by the removal lists under its root ({len(lists)})"
    for (identity, stage, split), same in groupby(found, key=lambda seen: seen[:3]):
        named = list(same)
        by = ", ".join(f"{one.removals} ({one.list}: {one.entry})" for one in named)
        yield f"  {identity} {named[0].url or ''}".rstrip()
        yield f"    {stage}, {split} split; listed in {by}"


def _trainings(model: Artifact) -> Iterator[Artifact]:
    """Yield a model and those whose weights it started from."""
    yield model
    if model.manifest.config.get("initial") != "random":
        for before in model.inputs("model"):
            yield from _trainings(before)


def _seen_in(model: Artifact, removals: Removals) -> pa.Table:
    """Return the rows of `REMOVED` that one training saw."""
    if model.manifest.stage == "finetune":
        lists = [given.url for given in model.inputs(ROLE)]
        return pa.concat_tables(
            _shown(removed_examples(removals, labelled), removed_ids(lists, labelled))
            for labelled in model.inputs("labelled")
        )
    if model.manifest.stage != "pretrain":
        return REMOVED.empty_table()
    (shards,) = model.inputs("shards")
    skipped = frozenset(name for table in model.tables("removed") for name in strings(table["id"]))
    shown = _shown(removed_documents(removals, shards.inputs("documents")), skipped)
    reached = _reached(model, shards, skipped, frozenset(strings(shown["id"])))
    return _only(shown, [row["split"] != "train" or row["id"] in reached for row in shown.to_pylist()])


def _shown(removed: pa.Table, skipped: frozenset[str]) -> pa.Table:
    """Return the rows of splits that a training is shown, without those that it skipped."""
    return _only(
        removed, [row["split"] != "test" and row["id"] not in skipped for row in removed.to_pylist()]
    )


def _only(table: pa.Table, chosen: list[bool]) -> pa.Table:
    return table.filter(pa.array(chosen, pa.bool_()))


def _reached(model: Artifact, shards: Artifact, skipped: frozenset[str], ids: frozenset[str]) -> set[str]:
    """Return those training documents of which a row was reached before a pretraining ended."""
    own: dict[str, Any] = model.manifest.config
    config = PretrainConfig.model_validate({name: own[name] for name in OF_THE_ORDER if name in own})
    packed = open_rows(  # the end token is none of its rows
        shards, "train", config.row_tokens, 0, skipped, packing=config.packing
    )
    spans = packed.rows_of(ids)
    taken = rows_before(int(model.stats["steps"]), config.max_steps, config)
    mixed = config.mixing != MixingConfig()
    if taken >= len(packed) and not mixed:
        return {identity for identity, rows in spans.items() if rows}
    order = training_order(config, packed)
    wanted = np.unique(np.fromiter(chain.from_iterable(spans.values()), np.int64))
    reached: set[int] = set()
    for low in range(0, taken, ROWS_AT_ONCE):
        rows = order.at(low, min(low + ROWS_AT_ONCE, taken))[1]
        reached.update(np.intersect1d(rows, wanted).tolist())
    return {identity for identity, rows in spans.items() if not reached.isdisjoint(rows)}
