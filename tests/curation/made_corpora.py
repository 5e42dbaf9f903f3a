"""Corpora that tests make of documents of their own, and what curation makes of them."""

import random
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from lmtrain.building import Attempt, Built, build_once
from lmtrain.config import Resources, StageConfig
from lmtrain.curation import stage
from lmtrain.curation.config import CurateConfig
from lmtrain.manifest import Artifact
from lmtrain.schemas import CORPUS
from lmtrain.watch import SilentWatch

VOCABULARY = (
    "the of and to in that with have be for this method returns given values array number shape "
    "result when function input output model data each along axis default parameter object other "
    "first second mean compute while where large small between before after every window string"
)


class CorpusConfig(StageConfig):
    """A corpus that a test makes."""

    stage: ClassVar[str] = "ingest"
    kind: ClassVar[str] = "corpus"
    name: str

    def label(self, inputs: dict[str, list[str]]) -> str:
        return self.name


def corpus(root: str, name: str, files: list[list[dict[str, str]]]) -> str:
    """Write documents as a corpus artifact with one file for each list."""

    def work(attempt: Attempt) -> Built:
        records = []
        for number, rows in enumerate(files):
            with attempt.shard(f"documents/{number}") as output:
                full = [
                    {"source": name, "license": "MIT", "metadata": "{}", "group": "g", **row} for row in rows
                ]
                path = output.path(f"documents-{number}.parquet")
                table = pa.Table.from_pylist([{"url": None, **row} for row in full], schema=CORPUS)
                pq.write_table(table, path, row_group_size=40)
                output.add(path.name, "documents", rows=len(rows), source=name)
            result = attempt.finished(f"documents/{number}")
            assert result is not None
            records += result.files
        return Built(records, {})

    return build_once(CorpusConfig(name=name), {}, root, work)


def document(name: str, text: str, split: str = "train") -> dict[str, str]:
    return {"id": name, "text": text, "split": split}


def prose(seed: int, words: int = 120) -> str:
    """Text of common English words that no filter minds, each seed its own."""
    chance = random.Random(seed)
    return " ".join(chance.choice(VOCABULARY.split()) for _ in range(words)).capitalize() + "."


def edited(text: str, places: list[int]) -> str:
    """Replace words at places, far enough apart to spoil five shingles each."""
    words = text.split()
    for place in places:
        words[place] = f"changed{place}"
    return " ".join(words)


def curated(root: str, files: list[list[dict[str, str]]], resources: Resources, **config) -> Artifact:
    url = corpus(root, "made", files)
    return Artifact(stage.build({"corpora": [url]}, CurateConfig(**config), root, resources, SilentWatch()))


def rows_of(artifact: Artifact, role: str) -> dict[str, dict]:
    return {row["id"]: row for table in artifact.tables(role) for row in table.to_pylist()}
