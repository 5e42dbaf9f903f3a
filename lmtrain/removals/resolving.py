"""Which documents and examples that are there fall under a removal list.

In: `Removals`, and an artifact: curated documents, shards of them, or a labelled
set. Out: ids, which is what loaders go by. Ids and addresses are looked up in two
columns. Hashes are those of texts as they were curated, which stand among the
signatures, and as they were ingested, for which the corpora are read once.
"""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lmtrain.manifest import Artifact
from lmtrain.removals.config import ROLE
from lmtrain.removals.entries import Listed, Removals, open_removals
from lmtrain.schemas import strings
from lmtrain.text.hashing import text_hash

REMOVED = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("split", pa.string()),
        ("list", pa.string()),  # one of `config.LISTS`
        ("entry", pa.string()),  # of that list
    ]
)
"""One removed document a row, in the order of their ids."""


def removed_documents(removals: Removals, documents: Sequence[Artifact]) -> pa.Table:
    """Return those of curated documents that are listed.

    Args:
        removals: the list.
        documents: artifacts of curated documents.

    Returns:
        `REMOVED`.

    Raises:
        CorruptArtifactError: a file isn't what its manifest says.
    """
    rows = []
    for artifact in documents:
        by_text = _by_text(removals, artifact)
        ids = pa.array([*removals.ids, *by_text], pa.string())
        urls = pa.array(list(removals.urls), pa.string())
        for table in artifact.tables("documents", columns=["id", "url", "split"]):
            wanted = pc.or_(pc.is_in(table["id"], ids), pc.is_in(table["url"], urls))
            for row in table.filter(wanted).to_pylist():
                listed = removals.by_name(row["id"], row["url"]) or by_text[row["id"]]
                rows.append({**row, **listed._asdict()})
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["id"]), REMOVED)


def removed_examples(removals: Removals, labelled: Artifact) -> pa.Table:
    """Return those of labelled examples that are listed.

    An example made of a document falls under the list if the document does; one of
    a file by its own id or the hash of its text.

    Args:
        removals: the list.
        labelled: a labelled set.

    Returns:
        `REMOVED`, without addresses.

    Raises:
        CorruptArtifactError: a file isn't what its manifest says.
    """
    by_document = {
        row["id"]: Listed(row["list"], row["entry"])
        for row in removed_documents(removals, labelled.inputs("documents")).to_pylist()
    }
    rows = []
    for record in labelled.files("labelled"):
        with pq.ParquetFile(labelled.open(record)) as file:
            text = "text" if "text" in file.schema_arrow.names else "document"
            for batch in file.iter_batches(columns=["id", "split", text]):
                ids = strings(batch["id"])
                by_text = dict(_listed_texts(removals, ids, strings(batch[text])))
                for identity, split in zip(ids, strings(batch["split"]), strict=True):
                    listed = by_document.get(identity) or removals.by_name(identity, None)
                    listed = listed or by_text.get(identity)
                    if listed:
                        rows.append({"id": identity, "split": split, **listed._asdict()})
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["id"]), REMOVED)


def removed_ids(urls: Sequence[str], data: Artifact) -> frozenset[str]:
    """Return the ids of documents of shards, or of examples of a labelled set, that are listed.

    Args:
        urls: of removals manifests; none list nothing.
        data: shards or a labelled set.
    """
    if not urls:
        return frozenset()
    removals = open_removals(list(urls))
    if data.address.kind == "labelled":
        return frozenset(strings(removed_examples(removals, data)["id"]))
    return frozenset(strings(removed_documents(removals, data.inputs("documents"))["id"]))


def removals_of(inputs: dict[str, list[str]]) -> list[str]:
    """Return the URLs of the removal lists among a stage's inputs."""
    return inputs.get(ROLE, [])


def _by_text(removals: Removals, documents: Artifact) -> dict[str, Listed]:
    """Return the entries that documents fall under by their text, as curated or as ingested, by id."""
    if not removals.text_hashes:
        return {}
    found: dict[str, Listed] = {}
    signatures = documents.files("signatures")
    for record in signatures:
        table = pq.read_table(documents.open(record), columns=["id", "text_hash"])
        hashes = pa.array(map(bytes.fromhex, sorted(removals.text_hashes)), pa.binary(16))
        for row in table.filter(pc.is_in(table["text_hash"], hashes)).to_pylist():
            found[row["id"]] = Listed("text_hashes", row["text_hash"].hex())
    whole = [*([] if signatures else [documents]), *_corpora(documents)]
    for artifact in whole:
        for record in artifact.files("documents"):
            with pq.ParquetFile(artifact.open(record)) as file:
                for batch in file.iter_batches(columns=["id", "text"]):
                    found.update(_listed_texts(removals, strings(batch["id"]), strings(batch["text"])))
    return found


def _listed_texts(
    removals: Removals, ids: Iterable[str], texts: Iterable[str]
) -> Iterator[tuple[str, Listed]]:
    if not removals.text_hashes:
        return
    for identity, text in zip(ids, texts, strict=True):
        listed = removals.by_hash(text_hash(text))
        if listed is not None:
            yield identity, listed


def _corpora(documents: Artifact) -> Iterator[Artifact]:
    """Yield the corpora that documents were made of.

    Raises:
        CorruptArtifactError: one is gone. Without its texts a listed one might be missed, and trained on.
    """
    yield from documents.inputs("corpora")
