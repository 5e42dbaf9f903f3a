"""First pass: each document of a part of a corpus is judged alone, and prepared for comparison.

In: rows of a corpus. Out: one row of `JUDGED` for each of them, in their order:
why it is dropped, or what its copies are found by. The text itself is written
again only where a filter changed it; all that comes after goes by the changed one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lmtrain import storage
from lmtrain.building import ShardOutput
from lmtrain.curation.accounting import account
from lmtrain.curation.classifier import open_classifier
from lmtrain.curation.columns import list_column, take, values
from lmtrain.curation.config import CurateConfig, DeduplicationConfig
from lmtrain.curation.decontamination import CONTAMINATION, DECONTAMINATION, Evaluation, evaluation_of
from lmtrain.curation.document import Document, Volume
from lmtrain.curation.filters import FILTERS, chain
from lmtrain.curation.filters.rules import Filter, Reason
from lmtrain.curation.lists import Lists
from lmtrain.curation.presets import thresholds_of
from lmtrain.curation.privacy.finding import find
from lmtrain.curation.recurring import Recurring
from lmtrain.curation.removal import REMOVAL, listed, listed_text
from lmtrain.curation.share import write_scores
from lmtrain.manifest import FileRecord, open_record
from lmtrain.removals.entries import Removals
from lmtrain.text import similarity
from lmtrain.text.hashing import text_hash
from lmtrain.text.segmentation import resolved, words
from lmtrain.totals import totals_of

DEDUPLICATION = "deduplication"
"""The filter under which copies are dropped, as `known_id`, `exact_copy` or `near_copy`, and what has
nothing but lines that recur, as `only_recurring`."""

RECURRING = "recurring"
"""Under which it is told what lines and paragraphs that recur were taken out of texts."""

PART_BYTES = 8_000_000
"""Text in one part of a corpus, at least: parts follow row groups, never the number of workers."""

DEDUPLICATION_COLUMNS = [
    ("bands", pa.list_(pa.uint64())),  # one hash for each band of the MinHash signature
    ("shingles", pa.list_(pa.uint32())),  # sorted; the upper half of the 64-bit hashes
]

JUDGED = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("text", pa.large_string()),  # as it was changed; null where it stays as it was
        ("characters", pa.int64()),  # of the text as it stands after the last filter that saw it
        ("bytes", pa.int64()),
        ("words", pa.int64()),
        ("language", pa.string()),
        ("language_score", pa.float64()),
        ("quality", pa.float64()),  # of the text as it stands; null for a dropped one, and without classifier
        ("filter", pa.string()),  # null: kept so far
        ("reason", pa.string()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        ("detail", pa.string()),
        ("text_hash", pa.binary(16)),  # of the normalized text
        *DEDUPLICATION_COLUMNS,
    ]
)
"""One document read a row."""


@dataclass(frozen=True)
class Part:
    """A part of a corpus: some row groups of one of its files. Travels to workers."""

    name: str
    root: str
    record: FileRecord
    row_groups: tuple[int, ...]

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """Return its rows."""
        with pq.ParquetFile(open_record(self.root, self.record)) as file:
            return file.read_row_groups(list(self.row_groups), columns=columns)


def parts_of(root: str, record: FileRecord, name: str) -> Iterator[Part]:
    """Cut one corpus file into parts of at least `PART_BYTES`, but for the last."""
    fs, path = storage.filesystem(storage.join(root, record.path))
    with fs.open(path, "rb") as stream:
        metadata = pq.read_metadata(stream)
    groups: list[int] = []
    size = count = 0
    for group in range(metadata.num_row_groups):
        groups.append(group)
        size += metadata.row_group(group).total_byte_size
        if size >= PART_BYTES or group == metadata.num_row_groups - 1:
            yield Part(f"{name}-{count:04d}", root, record, tuple(groups))
            groups, size, count = [], 0, count + 1


@dataclass
class Change:
    """What a filter took out of texts that it kept.

    Attributes:
        documents: that it changed.
        bytes: by which they became shorter.
        words: likewise.
        removed: lines, by reason.
    """

    documents: int = 0
    bytes: int = 0
    words: int = 0
    removed: dict[str, int] = field(default_factory=dict)

    @classmethod
    def between(cls, before: Document, after: Document, removed: Mapping[str, int]) -> "Change":
        """Return what one document lost."""
        volume, left = before.volume, after.volume
        return cls(1, volume.bytes - left.bytes, volume.words - left.words, dict(removed))

    def add(self, other: "Change") -> None:
        """Take in what another document or part lost."""
        self.documents += other.documents
        self.bytes += other.bytes
        self.words += other.words
        for reason, lines in other.removed.items():
            self.removed[reason] = self.removed.get(reason, 0) + lines


@dataclass(frozen=True)
class Shared:
    """What the first pass needs to know beside the documents. Travels to workers.

    Attributes:
        config: preset and thresholds.
        lists: of addresses and words.
        classifier: URL of the manifest of what scores quality; None if there is none.
        evaluation: items that no document may touch; None if none are given.
        recurring: lines and paragraphs that are taken out; None if none are.
        removals: documents that are dropped before anything is made of them; None if none are listed.
    """

    config: CurateConfig
    lists: Lists = field(default_factory=Lists)
    classifier: str | None = None
    evaluation: Evaluation | None = None
    recurring: Recurring | None = None
    removals: Removals | None = None


@dataclass
class Judged:
    """What the filters make of one document.

    Attributes:
        document: as the last filter that saw it left it.
        dropped: the filter that dropped it, and why; None where it is kept.
        changes: what each filter that changed the text took out of it.
    """

    document: Document
    dropped: tuple[str, Reason] | None = None
    changes: dict[str, Change] = field(default_factory=dict)

    @property
    def read(self) -> Volume:
        """What was read: what is there, and what filters took out of it."""
        changes, left = self.changes.values(), self.document.volume
        return Volume(
            left.bytes + sum(change.bytes for change in changes),
            left.words + sum(change.words for change in changes),
        )


def judge_part(part: Part, shared: Shared, output: ShardOutput) -> None:
    """Judge the documents of a part; write `judged-NAME.parquet`, and `contamination-NAME.parquet` if any.

    The stats tell what was taken out of texts that are kept, what was read by source and licence, what
    `account` says, and where a share of the best is asked for what `share.write_scores` says of scores.
    """
    table = part.read(["id", "split", "text", "url", "source", "license"])
    filters = chain(shared.lists, shared.config.privacy)
    classifier = open_classifier(shared.classifier) if shared.classifier else None
    rows: list[dict[str, Any]] = []
    touched: list[tuple[str, str, str, int]] = []
    changes: dict[str, Change] = {}
    read: list[Volume] = []
    columns = (values(table[name]) for name in ("id", "split", "text", "url"))
    for identity, split, text, url in zip(*columns, strict=True):
        document = Document(text, shared.config.language, shared.config.segmenter, url, classifier)
        judged = _without_listed(document, identity, split, filters, shared)
        touched += [(identity, *item) for item in _decontaminate(judged, shared.evaluation)]
        for name, change in judged.changes.items():
            changes.setdefault(name, Change()).add(change)
        read.append(judged.read)
        rows.append({**_row(judged, shared.config), "text": _changed(judged.document.text, text)})
    judged_columns: dict[str, Any] = {
        "id": table["id"],
        "split": table["split"],
        **{column: [row.get(column) for row in rows] for column in JUDGED.names[2:-2]},
        **comparable([row.get("shingles") for row in rows], shared.config.deduplication),
    }
    name = f"judged-{part.name}.parquet"
    judged_rows = pa.table(judged_columns, schema=JUDGED)
    output.stats = {
        "rewritten": {rule: asdict(change) for rule, change in changes.items()},
        "read": totals_of(table, bytes=[one.bytes for one in read], words=[one.words for one in read]),
        **account(judged_rows),
    }
    pq.write_table(judged_rows, output.path(name), compression="zstd")
    output.add(name, "judged", rows=len(rows))
    if touched:
        _write_contamination(touched, part.name, output)
    if shared.config.keep_share < 1:
        kept = [place for place, row in enumerate(rows) if row.get("filter") is None]
        ids = values(take(table.select(["id"]), np.array(kept, np.int64))["id"])
        write_scores(part.name, ids, [rows[place]["quality"] for place in kept], output)


def _changed(text: str, before: str) -> str | None:
    return None if text == before else text


def judge(document: Document, filters: Mapping[str, Filter], config: CurateConfig) -> Judged:
    """Show a document to filters in their order, until one drops it.

    Args:
        document: the document as it was read.
        filters: by name; each sees the text that the one before left.
        config: thresholds.
    """
    thresholds = config.all_thresholds
    judged = Judged(document)
    for name, function in filters.items():
        verdict = function(judged.document, thresholds)
        if verdict is True:
            continue
        if verdict[0] is False:
            judged.dropped = name, verdict[1]
            break
        before, judged.document = judged.document, judged.document.with_text(verdict[1])
        judged.changes[name] = Change.between(before, judged.document, verdict[1].removed)
    return judged


def _without_listed(
    document: Document, identity: str, split: str, filters: Mapping[str, Filter], shared: Shared
) -> Judged:
    """Show a document to the filters unless it is listed for removal, as it is or as they change it."""
    if shared.removals is None:
        return _without_recurring(document, identity, split, filters, shared)
    reason = listed(shared.removals, identity, document.url, document.text)
    if reason is not None:
        return Judged(document, (REMOVAL, reason))
    judged = _without_recurring(document, identity, split, filters, shared)
    reason = listed_text(shared.removals, judged.document.text) if judged.document is not document else None
    return judged if reason is None else Judged(document, (REMOVAL, reason))


def _without_recurring(
    document: Document, identity: str, split: str, filters: Mapping[str, Filter], shared: Shared
) -> Judged:
    """Show a document to the filters without its lines and paragraphs that recur in others."""
    if shared.recurring is None:
        return judge(document, filters, shared.config)
    cleaned = shared.recurring.cleaned(document.text, identity, split)
    if not cleaned.removed:
        return judge(document, filters, shared.config)
    left = document.with_text(cleaned.text)
    judged = judge(left, filters, shared.config)
    if not left.text and judged.dropped is None:  # what was there is shown among the dropped
        return Judged(document, (DEDUPLICATION, Reason("only_recurring", len(document.text), 0)))
    judged.changes = {RECURRING: Change.between(document, left, cleaned.removed), **judged.changes}
    return judged


def _decontaminate(judged: Judged, evaluation: Evaluation | None) -> list[tuple[str, str, int]]:
    """Drop a document that touches evaluation items; return each item's names and how often it is touched."""
    if evaluation is None or judged.dropped is not None:
        return []
    hits = evaluation.hits(judged.document.text)
    if hits:
        example, _ = evaluation.names[hits[0].item]
        judged.dropped = DECONTAMINATION, Reason("contaminated", hits[0].runs, 1, example)
    return [(*evaluation.names[hit.item], hit.runs) for hit in hits]


def _write_contamination(touched: list[tuple[str, str, str, int]], name: str, output: ShardOutput) -> None:
    columns = dict(zip(CONTAMINATION.names, map(list, zip(*touched, strict=True)), strict=True))
    path = f"contamination-{name}.parquet"
    pq.write_table(pa.table(columns, schema=CONTAMINATION), output.path(path), compression="zstd")
    output.add(path, "contamination", rows=len(touched))


def _row(judged: Judged, config: CurateConfig) -> dict[str, Any]:
    """Return the columns of one document."""
    document = judged.document
    language, score = document.identified
    row: dict[str, Any] = {"language": language, "language_score": score, "characters": len(document.text)}
    row |= document.volume._asdict()
    if judged.dropped is None:
        size = config.deduplication.shingle_words
        row["quality"] = document.quality if document.classifier else None
        row["text_hash"] = text_hash(document.text)
        row["shingles"] = similarity.shingles(document.text, size, document.language)
    else:
        name, why = judged.dropped
        row |= {"filter": name, "reason": str(why), "value": why.value, "threshold": why.threshold}
        row["detail"] = why.detail
    return row


def comparable(shingles: Sequence[np.ndarray | None], config: DeduplicationConfig) -> dict[str, pa.Array]:
    """Return the columns by which kept documents are compared; null for dropped ones."""
    kept = [given for given in shingles if given is not None]
    signatures = similarity.signatures(kept, config.bands * config.rows)
    bands = iter(similarity.band_keys(signatures, config.bands, config.rows))
    halves = [None if given is None else upper_halves(given) for given in shingles]
    keys = [None if given is None else next(bands) for given in shingles]
    return {"bands": list_column(keys, pa.uint64()), "shingles": list_column(halves, pa.uint32())}


def upper_halves(shingles: np.ndarray) -> np.ndarray:
    """Return shingle hashes in half the space: their upper 32 bits, sorted without repeats.

    Two texts of n shingles then have n²/2^32 more in common by accident, on
    average: less than one in a thousand up to 4,000 words.
    """
    halves = (shingles >> np.uint64(32)).astype(np.uint32)
    return halves[np.diff(halves, prepend=~halves[:1]) != 0]  # they are in order already


def warm(config: CurateConfig, classifier: str | None = None) -> None:
    """Compile the kernels, or load them compiled, before workers do so side by side.

    Raises:
        RecipeError: the segmenter isn't installed.
        CorruptArtifactError: the classifier isn't what its manifest says.
    """
    if classifier:
        open_classifier(classifier).score("one two")
    language = config.language
    if language and resolved(config.segmenter, language) == "jieba":
        words("开始", language, config.segmenter)
    find("warm 开始")
    text = "one two three four five six seven eight nine ten. Dr. Who [1] is here"
    document = Document(text, language or "en", "characters")
    for function in FILTERS.values():
        function(document, thresholds_of("fineweb", {}))
    shingles = similarity.shingles(document.text, 5, "en")
    for wider in ("开始", "𠀀"):
        similarity.shingles(wider, 5, "zh")
    comparable([shingles, None], config.deduplication)
    evaluation_of([]).hits(document.text)
