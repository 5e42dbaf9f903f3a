"""What benchmarks measure on: a real corpus of `BENCH_DATA`, or the docstrings of installed packages."""

import gzip
import json
import os
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from lmtrain import storage
from lmtrain.ingestion.docstrings import docstrings_of

PACKAGES = ("numpy", "pandas", "scipy", "sklearn", "matplotlib")
"""Whose docstrings are read where `BENCH_DATA` names no folder."""


def documents(corpus: str, mean: int, volume: int) -> list[str]:
    """Return documents of a corpus.

    Args:
        corpus: `corpus-en` or another folder of `BENCH_DATA`.
        mean: bytes that a document has on average, at least; 0 leaves them as they are. Longer ones are
            cut at line ends, shorter ones are joined.
        volume: bytes of all documents together, about; they are taken from all over the corpus.

    Raises:
        FileNotFoundError: `BENCH_DATA` is set and holds no such corpus.
    """
    texts = _spread(_texts(corpus), volume)
    found = list(_of_length(texts, mean)) if mean else texts
    assert found, f"{corpus} holds no text"
    return found


def has_corpus(corpus: str) -> bool:
    """Tell whether there is such a corpus: docstrings stand in for `corpus-en` only."""
    return corpus == "corpus-en" or "BENCH_DATA" in os.environ


def corpus_folder(corpus: str) -> Path:
    """Return the folder of a corpus of `BENCH_DATA`."""
    return Path(os.environ["BENCH_DATA"]) / corpus


def _texts(corpus: str) -> list[str]:
    if "BENCH_DATA" in os.environ:
        with gzip.open(corpus_folder(corpus) / "train.jsonl.gz", "rt", encoding="utf-8") as lines:
            return [json.loads(line)["text"] for line in lines]
    return list(chain.from_iterable(map(_modules_of, PACKAGES)))


def _modules_of(package: str) -> Iterator[str]:
    """Yield the docstrings of each module of a package, as one text."""
    for path in sorted(storage.package_folder(package).rglob("*.py")):
        if {"tests", "test"}.isdisjoint(path.parts):
            text = "\n\n".join(docstring.text for docstring in docstrings_of(path.read_bytes()))
            if text:
                yield text


def _spread(texts: Sequence[str], volume: int) -> list[str]:
    """Return every k-th text, so that they are about so many bytes."""
    total = sum(len(text.encode()) for text in texts)
    return list(texts[:: max(round(total / volume), 1)])


def _of_length(texts: Sequence[str], mean: int) -> Iterator[str]:
    lines: list[str] = []
    size = 0
    for text in texts:
        for line in text.splitlines(keepends=True):
            lines.append(line)
            size += len(line.encode())
            if size >= mean:
                yield "".join(lines)
                lines, size = [], 0
        lines.append("\n\n")
