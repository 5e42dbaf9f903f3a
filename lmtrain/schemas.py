"""Columns of the tables that stages hand to each other, and the rule that deals documents to splits."""

import hashlib
from collections.abc import Sequence

import pyarrow as pa

from lmtrain.config import SplitConfig

SPLITS = ("train", "validation", "test")

SPLIT_PREFERENCE = {"test": 0, "validation": 1, "train": 2}
"""Of copies in different splits the one whose split comes first is kept."""

CORPUS = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.large_string()),
        ("source", pa.string()),
        ("url", pa.string()),
        ("license", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("metadata", pa.string()),  # a JSON object
    ]
)
"""One document a row, as ingested."""

DOCUMENTS = pa.schema(
    [
        *((field.name, field.type) for field in CORPUS),
        ("language", pa.string()),
        ("language_score", pa.float64()),
        ("cluster", pa.string()),  # id of the kept document of its near-copies; its own id if it has none
        ("cluster_size", pa.int64()),  # documents of the cluster, the kept one and those dropped for it
        ("quality", pa.float64()),  # score by the recipe's classifier; null without one
    ]
)
"""One document a row, as curated."""

REJECTED = pa.schema(
    [
        ("source", pa.string()),
        ("file", pa.string()),  # its name in the source
        ("record", pa.int64()),  # line or row number from 0; -1 for the file as a whole
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("bytes", pa.int64()),
    ]
)
"""One refused record a row: nothing is lost without a reason."""

DROPPED = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("filter", pa.string()),
        ("reason", pa.string()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        ("detail", pa.string()),  # for a copy: the id that is kept in its stead
        ("bytes", pa.int64()),
        ("text", pa.large_string()),  # null beyond the examples that are kept
    ]
)
"""One dropped document a row."""

LABELLED_BASE = [
    ("id", pa.string()),
    ("split", pa.string()),
    ("group", pa.string()),
    ("source", pa.string()),
    ("license", pa.string()),
    ("attribute", pa.string()),  # by which errors are told apart; null where none is named
]
_TEXT, _WORD = pa.large_string(), pa.string()
_TURN = pa.struct([("role", _WORD), ("content", _TEXT)])

TASK_COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "classification": {"text": _TEXT, "text_pair": _TEXT, "label": _WORD},  # text_pair: null for one text
    "multi_label": {"text": _TEXT, "labels": pa.list_(_WORD)},
    "token_classification": {"tokens": pa.list_(_WORD), "tags": pa.list_(_WORD)},  # BIO, as many as tokens
    "question_answering": {
        "context": _TEXT,
        "question": _TEXT,
        "answers": pa.list_(_TEXT),  # none where the context holds no answer
        "answer_starts": pa.list_(pa.int64()),  # characters before each
    },
    "generative_qa": {"context": _TEXT, "question": _TEXT, "answers": pa.list_(_TEXT)},  # context may be ""
    "summarization": {"document": _TEXT, "summary": _TEXT},
    "translation": {"source_text": _TEXT, "target_text": _TEXT},
    "generation": {"prompt": _TEXT, "response": _TEXT},
    "dialogue": {"messages": pa.list_(_TURN)},
    "similarity": {"sentence1": _TEXT, "sentence2": _TEXT, "score": pa.float64()},
    "retrieval": {"query": _TEXT, "passage": _TEXT},  # each query with a passage that answers it
}
"""What an example of each task holds."""

LABELLED = {task: pa.schema([*LABELLED_BASE, *columns.items()]) for task, columns in TASK_COLUMNS.items()}
"""One example a row, by task."""

SAMPLES = pa.schema(
    [
        ("example_id", pa.string()),
        ("group", pa.string()),
        ("prediction", pa.large_string()),
        ("statistics", pa.list_(pa.float64())),
    ]
)
"""One scored example a row; each corpus metric is recomputed from `statistics`."""


def shard_schema(vocabulary: int, starts: Sequence[str] = ()) -> pa.Schema:
    """Return the columns of a token shard: uint16 token ids where the vocabulary allows, else uint32.

    Args:
        vocabulary: entries of the tokenizer.
        starts: which of `STARTS` there are: at which tokens of the document something begins.
    """
    width = pa.uint16() if vocabulary <= 1 << 16 else pa.uint32()
    fixed = [("id", pa.string()), ("input_ids", pa.list_(width)), ("bytes", pa.int64())]
    return pa.schema([*fixed, *((name, pa.list_(pa.uint32())) for name in starts)])


STARTS = ("sentence_starts", "word_starts")
"""Columns of token positions that a shard may have."""


def row_key(identity: str) -> int:
    """Return the 64-bit hash of an id: the order of a shard's rows, in which neighbors don't always meet."""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big")


def strings(column: pa.Array | pa.ChunkedArray) -> list[str]:
    """Return the values of a text column, none of which may be null."""
    assert not column.null_count, "a text column holds nulls"
    return column.to_pylist()  # pyright: ignore[reportReturnType]


def split_of(group: str, config: SplitConfig) -> str:
    """Return the split of a group: a seeded hash of its name, so that no other document can move it."""
    hashed = hashlib.sha256(f"{config.seed}\0{group}".encode()).digest()
    share = int.from_bytes(hashed[:8], "big") / 2**64
    if share < config.test:
        return "test"
    return "validation" if share < config.test + config.validation else "train"


def document_id(alias: str, file: str, record: int) -> str:
    """Return a stable id: 32 hex of SHA-256 of (alias, path in the source, record number)."""
    return hashlib.sha256(f"{alias}\0{file}\0{record}".encode()).hexdigest()[:32]
