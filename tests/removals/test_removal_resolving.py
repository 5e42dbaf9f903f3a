"""Which documents and examples a list names, how training does without them, and what a model had seen."""

from collections.abc import Callable

import numpy as np
import pytest
from tiny_line import CONTEXT, Line, split_of

from lmtrain import seen
from lmtrain.building import Attempt, Built
from lmtrain.config import Resources
from lmtrain.errors import StageError
from lmtrain.evaluation.examples import labelled_examples, token_tables
from lmtrain.evaluation.examples import test_documents as documents_of
from lmtrain.finetuning.worker import read_examples
from lmtrain.manifest import Artifact
from lmtrain.pretraining import stage as pretraining
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.rows import open_rows, totals_without
from lmtrain.removals import stage as listing
from lmtrain.removals.config import RemovalsConfig
from lmtrain.removals.entries import open_removals, with_digest
from lmtrain.removals.resolving import removed_documents, removed_ids
from lmtrain.schemas import strings
from lmtrain.text.hashing import text_hash
from lmtrain.training.order import permute
from lmtrain.training.process import Process
from lmtrain.watch import SilentWatch

CONFIG = PretrainConfig(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, row_tokens=CONTEXT, train_batch_size=16,
    optimizer="adamw", max_steps=2, eval_steps=2, precision="fp32",
)  # fmt: skip
ALONE = Resources(workers=1, compile=False)


@pytest.fixture(params=["en", "zh"])
def own_line(request, tmp_path) -> Line:
    """A line under a root of this test's own: lists there are seen by no other test."""
    return Line(str(tmp_path / "runs"), request.param)


@pytest.fixture
def listed(tmp_path) -> Callable[..., str]:
    """Makes a removals artifact of entries; returns its URL."""

    def make(root: str, **entries: list[str]) -> str:
        paths = {}
        for name, lines in entries.items():
            path = tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}"
            path.write_text("\n".join(lines), encoding="utf-8")
            paths[name] = [str(path)]
        config = with_digest(RemovalsConfig(**paths))
        return listing.build({}, config, root, ALONE, SilentWatch())

    return make


@pytest.fixture
def trained_alone(monkeypatch):
    """Trainings run in this process instead of on Ray's workers."""

    def train_here(function, spec, attempt: Attempt, resources, watch) -> Built:
        function({**spec, "attempt": attempt, "resources": resources}, Process())
        result = attempt.finished("model")
        assert result is not None
        return Built(result.files, result.stats)

    monkeypatch.setattr(pretraining, "train_model", train_here)


def pretrained(line: Line, config: PretrainConfig = CONFIG, **inputs: list[str]) -> Artifact:
    given = {"shards": [line.shards_url], "tokenizer": [line.tokenizer_url], **inputs}
    return Artifact(pretraining.build(given, config, line.root, ALONE, SilentWatch()))


def names(line: Line, split: str) -> list[str]:
    return [f"d{n:03d}" for n in range(len(line.texts)) if split_of(n, len(line.texts)) == split]


def text_of(line: Line, name: str) -> str:
    return line.texts[int(name[1:])]


def test_documents_are_found_by_id_by_address_and_by_text(line, listed, tmp_path):
    documents = Artifact(line.documents_url)
    by_text = text_hash(f"  {text_of(line, 'd004')}\n").hex()
    url = listed(str(tmp_path / "lists"), ids=["d002", "nobody"], text_hashes=[by_text])
    found = removed_documents(open_removals([url]), [documents]).to_pylist()
    assert [(row["id"], row["split"], row["list"], row["entry"]) for row in found] == [
        ("d002", "train", "ids", "d002"),
        ("d004", "validation", "text_hashes", by_text),
    ]
    nothing = listed(str(tmp_path / "lists"), urls=["http://x.org/"])
    assert removed_documents(open_removals([nothing]), [documents]).num_rows == 0


def test_the_rows_of_a_training_are_those_without_the_listed_in_every_split(line):
    shards, end = Artifact(line.shards_url), line.tokenizer.eos_token_id
    for split in ("train", "validation"):
        gone = frozenset(names(line, split)[1:3])
        rows = open_rows(shards, split, 8, end, gone)
        stream = [end]
        for name in names(line, split):
            if name not in gone:
                stream += [*line.tokenizer(text_of(line, name), add_special_tokens=False)["input_ids"], end]
        targets = np.concatenate([row.tokens[1:] for row in rows.take(np.arange(len(rows)))])
        assert targets[targets >= 0].tolist() == stream[1:]
        left = totals_without(shards, gone)[split]
        assert left["documents"] == len(names(line, split)) - 2
        assert left["tokens"] + left["documents"] == len(stream) - 1
        assert totals_without(shards, frozenset())[split] == shards.stats["by_split"][split]


@pytest.mark.usefixtures("trained_alone")
def test_a_model_names_what_it_had_seen_by_later_lists_too_and_skips_what_it_was_told(own_line, listed):
    before = pretrained(own_line)
    assert list(seen.told(before)) == [], "nothing is told where nothing is listed"
    train, looked_at, tested = (names(own_line, split)[0] for split in ("train", "validation", "test"))
    late = next(one for one in names(own_line, "train") if one != train)
    whole = own_line.root
    lists = {
        "ids": [train, looked_at, tested, "nobody"],
        "text_hashes": [text_hash(text_of(own_line, late)).hex()],
    }
    url = listed(whole, **lists)
    folder = Artifact(url).address.folder
    found = seen.seen_by(before, [Artifact(url)])
    assert [(one.id, one.split, one.list) for one in found] == sorted(
        [(train, "train", "ids"), (late, "train", "text_hashes"), (looked_at, "validation", "ids")]
    )
    told = "\n".join(seen.told(before))
    assert (
        f"removed documents that it had seen (3), by the removal lists under its root (1)\n  {train}" in told
    )
    assert f"pretrain, train split; listed in {folder} (ids: {train})" in told
    after = pretrained(own_line, removals=[url])
    assert after.address.digest != before.address.digest
    assert after.stats["documents_skipped"] == {"train": 2, "validation": 1, "test": 1}
    (skipped,) = after.tables("removed")
    assert strings(skipped["id"]) == sorted([train, late, looked_at, tested])
    assert seen.seen_by(after, [Artifact(url)]) == []
    assert "(0), by the removal lists" in list(seen.told(after))[1]
    later = Artifact(listed(whole, ids=[names(own_line, "train")[3]]))
    assert [one.removals for one in seen.seen_by(after, [later])] == [later.address.folder]


@pytest.mark.usefixtures("trained_alone")
def test_of_an_epoch_that_was_not_ended_only_what_was_reached_counts(own_line, listed):
    config = CONFIG.model_copy(update={"row_tokens": 8, "train_batch_size": 2})
    model = pretrained(own_line, config)
    rows = open_rows(Artifact(own_line.shards_url), "train", 8, 0)
    everyone = names(own_line, "train")
    reached = permute(np.arange(4), len(rows), config.seed, 0)  # two steps of two rows
    spans = rows.rows_of(frozenset(everyone))
    wanted = {name for name, span in spans.items() if set(reached.tolist()) & set(span)}
    url = listed(own_line.root, ids=everyone)
    assert 0 < len(wanted) < len(everyone)
    assert {one.id for one in seen.seen_by(model, [Artifact(url)])} == wanted


@pytest.mark.usefixtures("trained_alone")
def test_a_list_that_leaves_a_split_empty_is_told_before_training(own_line, listed):
    url = listed(own_line.root, ids=names(own_line, "validation"))
    told = "no tokens in the validation split without the documents listed under remove"
    with pytest.raises(StageError, match=told):
        pretrained(own_line, removals=[url])


def test_examples_fall_under_a_list_by_id_by_text_and_by_their_document(own_line, listed):
    rows = [{"text": text, "label": "ab"[n % 2]} for n, text in enumerate(own_line.texts[:12])]
    labelled = Artifact(own_line.labelled("classification", rows))
    by_text = text_hash(own_line.texts[2]).hex()
    url = listed(own_line.root, ids=["e001"], text_hashes=[by_text])
    removed = removed_ids([url], labelled)
    assert removed == {"e001", "e002"}
    assert [row["id"] for row in read_examples(labelled, "train", removed)][:2] == ["e000", "e003"]
    for split in ("train", "validation", "test"):
        ids = {one["id"] for one in labelled_examples(labelled, split, removed)}
        everyone = {one["id"] for one in labelled_examples(labelled, split)}
        assert ids == everyone - removed
    assert removed_ids([], labelled) == frozenset()


def test_neither_scores_nor_baselines_see_what_is_listed(own_line, listed):
    shards = Artifact(own_line.shards_url)
    gone = [names(own_line, split)[0] for split in ("train", "test")]
    removed = removed_ids([listed(own_line.root, ids=gone)], shards)
    assert removed == set(gone)
    assert {one.id for one in documents_of(shards, 1000, removed)} == set(names(own_line, "test")) - removed
    counted = [name for table in token_tables(shards, "train", removed) for name in strings(table["id"])]
    assert counted == [name for name in names(own_line, "train") if name not in removed]
