"""What systems are scored on: the test examples of shards and labelled sets, the same for every system.

In comes an artifact, out come examples in a fixed order. Where a set is too
large to be scored whole, the examples with the least hash of their id are
taken: a choice that no system, seed or number of files can move.
"""

import hashlib
import json
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tokenizers import Tokenizer

from lmtrain.errors import CorruptArtifactError, StageError
from lmtrain.manifest import Artifact


@dataclass(frozen=True)
class Document:
    """A test document of a language model.

    Attributes:
        id: its id.
        group: what it is resampled with.
        text: its text.
        bytes: length of the text in UTF-8.
        tokens: ids, shape (tokens,), no special tokens.
    """

    id: str
    group: str
    text: str
    bytes: int
    tokens: np.ndarray


Example = dict[str, Any]
"""A labelled example: `id`, `group` and the columns of its task (`lmtrain.schemas.TASK_COLUMNS`)."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokenizer that shards were made with, as far as scoring needs it.

    Attributes:
        size: number of entries.
        end: id of the token after (and, when scoring, before) every document.
        entries: ids by token.
    """

    size: int
    end: int
    entries: dict[str, int]


def hash_key(identity: str) -> bytes:
    """Return what examples are ordered by where only some are taken."""
    return hashlib.sha256(identity.encode()).digest()


def test_documents(shards: Artifact, limit: int, removed: Set[str]) -> list[Document]:
    """Return the test documents with the least hash of their id, in the order of that hash.

    Args:
        shards: a shards artifact.
        limit: at most so many.
        removed: ids of documents that are left out.

    Raises:
        StageError: there is no test document.
        CorruptArtifactError: the shards hold an id that their documents don't.
    """
    rows: dict[str, tuple[np.ndarray, int]] = {}
    for table in token_tables(shards, "test", removed):
        tokens, ends = flat_tokens(table)
        starts = np.concatenate([[0], ends[:-1]])
        ids: list[Any] = table["id"].to_pylist()
        sizes: list[Any] = table["bytes"].to_pylist()
        for identity, size, start, end in zip(ids, sizes, starts, ends, strict=True):
            rows[identity] = (tokens[start:end], size)
    chosen = sorted(rows, key=hash_key)[:limit]
    if not chosen:
        raise StageError("there are no test documents to score: give split.test a larger share")
    found = _texts(shards, chosen)
    missing = [identity for identity in chosen if identity not in found]
    if missing:
        raise CorruptArtifactError(f"{shards.url}: document {missing[0]} isn't among the inputs")
    return [
        Document(identity, *found[identity], bytes=rows[identity][1], tokens=rows[identity][0])
        for identity in chosen
    ]


def _texts(shards: Artifact, ids: list[str]) -> dict[str, tuple[str, str]]:
    """Return group and text of the documents that shards were made of, by id."""
    wanted = pa.array(ids, pa.string())
    found = {}
    for documents in shards.inputs("documents"):
        for table in documents.tables("documents", columns=["id", "group", "text"]):
            table = table.filter(pc.is_in(table["id"], value_set=wanted))
            for row in table.to_pylist():
                found[row["id"]] = (row["group"], row["text"])
    return found


def token_tables(shards: Artifact, split: str, removed: Set[str] = frozenset()) -> Iterator[pa.Table]:
    """Yield the shards of a split as tables, memory-mapped; copied where removed documents are left out."""
    gone = pa.array(sorted(removed), pa.string())
    for record in shards.files("shards", split=split):
        table = pa.ipc.open_stream(pa.memory_map(str(shards.open(record)))).read_all()
        yield table.filter(pc.invert(pc.is_in(table["id"], gone))) if removed else table


def flat_tokens(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Return a shard's token ids joined and where each document ends, shapes (tokens,) and (documents,)."""
    column: Any = table["input_ids"].combine_chunks()
    tokens = column.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
    return tokens, np.cumsum(column.value_lengths().to_numpy(zero_copy_only=False), dtype=np.int64)


def vocabulary_of(shards: Artifact) -> Vocabulary:
    """Return the vocabulary of the tokenizer that made the shards."""
    folder = shards.inputs("tokenizer")[0].folder("tokenizer")
    return read_vocabulary(folder)


def read_vocabulary(folder: Path) -> Vocabulary:
    """Read the vocabulary of a Hugging Face tokenizer folder.

    Raises:
        StageError: the tokenizer has neither an end token nor a separator.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    token = config.get("eos_token") or config.get("sep_token")
    name = token["content"] if isinstance(token, dict) else token
    end = tokenizer.token_to_id(name) if name else None
    if end is None:
        raise StageError("the tokenizer has no end token (eos_token), so documents have no beginning and end")
    return Vocabulary(tokenizer.get_vocab_size(), end, tokenizer.get_vocab())


def labelled_examples(
    labelled: Artifact, split: str, removed: Set[str] = frozenset(), limit: int | None = None
) -> list[Example]:
    """Return the examples of a split.

    Args:
        labelled: a labelled artifact.
        split: train, validation or test.
        removed: ids of examples that are left out.
        limit: at most so many, those with the least hash of their id.

    Raises:
        StageError: there is none.
    """
    examples = [
        row
        for table in labelled.tables("labelled", split=split)
        for row in table.to_pylist()
        if row["id"] not in removed
    ]
    if not examples:
        remedy = f"give split.{split} a larger share, or more labelled data"
        raise StageError(f"{labelled.address.label} has no {split} examples: {remedy}")
    return sorted(examples, key=lambda example: hash_key(example["id"]))[:limit]
