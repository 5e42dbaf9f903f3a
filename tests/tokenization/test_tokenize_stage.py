"""Shards hold every document once, in the order of the id's hash, whatever the number of workers."""

from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from lmtrain.building import Attempt, Built, build_once
from lmtrain.canaries import CanaryConfig, canaries
from lmtrain.config import Resources, SplitConfig
from lmtrain.curation.config import CurateConfig
from lmtrain.errors import RecipeError, StageError
from lmtrain.manifest import Artifact
from lmtrain.schemas import DOCUMENTS, document_id, row_key, split_of
from lmtrain.text.segmentation import sentences
from lmtrain.tokenization import stage, tokenizer_stage
from lmtrain.tokenization.config import ShardsConfig, TokenizerConfig, TokenizeSection
from lmtrain.tokenization.files import with_files_digest
from lmtrain.watch import SilentWatch

pytestmark = pytest.mark.usefixtures("ray_cluster")

TEXTS = ["Return the mean of the values along an axis. " * 3, "一九九八年新年讲话，迈向新世纪。" * 4]


def documents_artifact(root: str, count: int = 120, files: int = 3) -> str:
    """Make a documents artifact of two sources in several files."""
    rows = []
    for index in range(count):
        identity = document_id("x", "f", index)
        rows.append(
            {
                "id": identity,
                "text": f"{index} {TEXTS[index % 2]}",
                "source": ("en", "zh")[index % 2],
                "url": "",
                "license": "MIT",
                "group": identity,
                "metadata": "{}",
                "cluster": identity,
                "split": split_of(identity, SplitConfig(validation=0.2, test=0.2)),
                "language": ("en", "zh")[index % 2],
                "language_score": 1.0,
            }
        )

    def work(attempt: Attempt) -> Built:
        with attempt.shard("documents") as output:
            for part in range(files):
                name = f"documents-{part}.parquet"
                table = pa.Table.from_pylist(rows[part::files], schema=DOCUMENTS)
                pq.write_table(table, output.path(name))
                output.add(name, "documents", rows=table.num_rows)
        splits = {}
        for row in rows:
            one = splits.setdefault(row["split"], {"documents": 0, "bytes": 0})
            one["documents"] += 1
            one["bytes"] += len(row["text"].encode())
        return Built(attempt.finished("documents").files, {"by_split": splits})

    return build_once(CurateConfig(), {"corpora": []}, root, work)


def build_shards(root: str, workers: int, **config) -> tuple[Artifact, Artifact, Artifact]:
    documents = documents_artifact(root)
    resources = Resources(workers=workers)
    tokenizer = tokenizer_stage.build(
        {"documents": [documents]}, TokenizerConfig(vocab_size=350), root, resources, SilentWatch()
    )
    inputs = {"documents": [documents], "tokenizer": [tokenizer]}
    shards = stage.build(inputs, ShardsConfig(**config), root, resources, SilentWatch())
    return Artifact(documents), Artifact(tokenizer), Artifact(shards)


def test_every_document_stands_in_one_shard_and_decodes_to_its_text(root):
    documents, tokenizer, shards = build_shards(root, 2, shard_tokens=300)
    face = AutoTokenizer.from_pretrained(tokenizer.folder("tokenizer"))
    texts = {row["id"]: row for table in documents.tables("documents") for row in table.to_pylist()}
    seen, largest = [], 0
    for record in shards.files("shards"):
        table = stage.read_stream(shards.open(record))
        keys = [row_key(one) for one in table["id"].to_pylist()]
        assert keys == sorted(keys)
        for row in table.to_pylist():
            document = texts[row["id"]]
            assert (document["split"], document["source"]) == (record.split, record.source)
            assert face.decode(row["input_ids"]) == document["text"]
            assert row["bytes"] == len(document["text"].encode())
            seen.append(row["id"])
            largest = max(largest, *row["input_ids"])
    assert sorted(seen) == sorted(texts)
    assert shards.stats["largest_id"] == largest
    assert len(shards.files("shards", split="train", source="zh")) > 1, "cut by tokens"


def test_the_number_of_workers_changes_no_byte(root, tmp_path):
    one = build_shards(root, 1, shard_tokens=300)[2]
    two = build_shards(str(tmp_path / "other"), 2, shard_tokens=300)[2]
    assert [(Path(f.path).name, f.sha256) for f in one.manifest.files] == [
        (Path(f.path).name, f.sha256) for f in two.manifest.files
    ]
    assert one.address == two.address


def test_shards_open_in_place_in_datasets(root):
    from datasets import Dataset

    shards = build_shards(root, 2)[2]
    record = shards.files("shards", split="train")[0]
    assert Dataset.from_file(str(shards.open(record))).num_rows == record.rows


def test_no_training_text_is_said_before_anything_is_trained(root):
    empty = documents_artifact(root, count=0, files=1)
    with pytest.raises(StageError, match="training split"):
        tokenizer_stage.build({"documents": [empty]}, TokenizerConfig(), root, Resources(), SilentWatch())


def test_any_token_at_which_a_sentence_or_word_begins_is_known(root):
    documents, tokenizer, shards = build_shards(root, 2, sentence_starts=True, word_starts=True)
    face = AutoTokenizer.from_pretrained(tokenizer.folder("tokenizer"))
    texts = {row["id"]: row for table in documents.tables("documents") for row in table.to_pylist()}
    record = shards.files("shards", split="train", source="zh")[0]
    row = stage.read_stream(shards.open(record)).to_pylist()[0]
    pieces = [
        face.decode(row["input_ids"][begin:end]).strip()
        for begin, end in pairwise([*row["sentence_starts"], len(row["input_ids"])])
    ]
    document = texts[row["id"]]
    expected = sentences(document["text"], "zh")
    assert len(pieces) == len(expected) == 4
    # A token may hold the full stop and what follows it: then it is the one at which the sentence begins.
    assert all(one.rstrip("。") in piece for one, piece in zip(expected, pieces, strict=True))
    assert len(row["word_starts"]) > len(row["sentence_starts"])


def test_an_existing_tokenizer_is_taken_and_known_by_its_files(root, tmp_path):
    trained = build_shards(root, 1)[1]
    folder = str(trained.folder("tokenizer"))
    config = with_files_digest(TokenizeSection(existing=folder).tokenizer())
    documents = documents_artifact(root)
    inputs = {"documents": [documents]}
    taken = Artifact(tokenizer_stage.build(inputs, config, root, Resources(), SilentWatch()))
    assert (taken.folder("tokenizer") / "tokenizer.json").read_bytes() == (
        trained.folder("tokenizer") / "tokenizer.json"
    ).read_bytes()
    assert taken.stats["vocab_size"] == trained.stats["vocab_size"]
    assert folder not in taken.manifest.model_dump_json(), "where it lay is nobody's business"


def test_a_folder_without_a_tokenizer_is_told_before_anything_is_spent(tmp_path):
    with pytest.raises(RecipeError, match=r"tokenize\.existing: no tokenizer\.json in"):
        with_files_digest(TokenizeSection(existing=str(tmp_path)).tokenizer())


def test_a_sample_of_a_large_corpus_is_the_same_for_any_order_of_files(root, tmp_path):
    config = TokenizerConfig(vocab_size=350).model_copy(update={"training_bytes": 3000})
    many = tokenizer_stage.build(
        {"documents": [documents_artifact(root, files=4)]}, config, root, Resources(), SilentWatch()
    )
    other = str(tmp_path / "other")
    one = tokenizer_stage.build(
        {"documents": [documents_artifact(other, files=1)]}, config, other, Resources(), SilentWatch()
    )
    stats = Artifact(many).stats
    assert stats == Artifact(one).stats
    assert 1000 < stats["bytes"] < 6000


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_canary_stands_in_the_training_shards_as_often_as_was_asked(root, language):
    config = CanaryConfig(repetitions=[1, 16], sets=2, language=language)
    _, tokenizer, shards = build_shards(root, 2, shard_tokens=3000, canaries=config, word_starts=True)
    face = AutoTokenizer.from_pretrained(tokenizer.folder("tokenizer"))
    texts = {"train": [], "validation": [], "test": []}
    for record in shards.files("shards"):
        rows = stage.read_stream(shards.open(record)).to_pylist()
        texts[record.split] += [face.decode(row["input_ids"]) for row in rows]
        put_in = [row["id"] for row in rows if row["id"].startswith("canary")]
        assert not put_in or record.source == shards.stats["canaries"]["source"]
    for one in canaries(config):
        assert texts["train"].count(one.text()) == one.repetitions
        assert one.text() not in texts["validation"] + texts["test"]
    told = shards.stats["canaries"]
    assert told["documents"] == 2 * (1 + 16)
    assert shards.stats["by_split"]["train"]["documents"] == len(texts["train"])
