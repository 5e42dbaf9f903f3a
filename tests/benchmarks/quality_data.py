"""The tokens that both sides of the quality benchmark train on, as shards."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from corpora import corpus_folder
from tokenizers import Tokenizer

from lmtrain.schemas import shard_schema
from lmtrain.tokenization.config import TokenizerSettings
from lmtrain.tokenization.training import train

SPLITS = {"train": ("train",), "validation": ("validation", "test")}
"""Which files make which split: neither side ever looks at the test set otherwise."""
END = "<|endoftext|>"


def prepare(corpus: str, vocabulary: int, folder: Path) -> None:
    """Train a tokenizer on a corpus and write `tokenizer.json`, `train.arrow` and `validation.arrow`."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {split: _texts(corpus, files) for split, files in SPLITS.items()}
    tokenizer = train(iter(texts["train"]), TokenizerSettings(vocab_size=vocabulary))
    tokenizer.save(str(folder / "tokenizer.json"))
    for split, found in texts.items():
        encoded = tokenizer.encode_batch_fast(found)
        table = pa.table(
            {
                "id": [f"{split}-{number}" for number in range(len(found))],
                "input_ids": [one.ids for one in encoded],
                "bytes": [len(text.encode()) for text in found],
            },
            schema=shard_schema(vocabulary),
        )
        with pa.ipc.new_stream(str(folder / f"{split}.arrow"), table.schema) as writer:
            writer.write_table(table)


def _texts(corpus: str, files: tuple[str, ...]) -> list[str]:
    found = []
    for name in files:
        with gzip.open(corpus_folder(corpus) / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            found += [json.loads(line)["text"] for line in lines]
    return found


def end_of(folder: Path) -> int:
    """Return the id of the end token."""
    return Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id(END)


def stream(folder: Path, split: str) -> tuple[np.ndarray, int]:
    """Return all tokens of a split, each document after an end token, and the bytes of its text."""
    table = pa.ipc.open_stream(pa.memory_map(str(folder / f"{split}.arrow"))).read_all()
    end = end_of(folder)
    joined = np.concatenate([np.append(end, ids) for ids in table["input_ids"].to_numpy()])
    return np.append(joined, end).astype(np.int64), int(np.sum(table["bytes"].to_numpy()))
