"""Shards, tokenizers and models that are damaged or don't belong together: one clear line before any step."""

import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from made_shards import END, write_shard
from tiny_line import CONTEXT, Line, artifact, split_of, tiny_config, train_tokenizer

from lmtrain.building import Attempt, Built
from lmtrain.config import Resources
from lmtrain.errors import CorruptArtifactError, LmtrainError, RecipeError, StageError
from lmtrain.manifest import Address, Artifact, FileRecord
from lmtrain.modeling.special_ids import special_ids
from lmtrain.pretraining.checks import check_checkpoint, check_inputs, check_model
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.work import pretrained
from lmtrain.pretraining.worker import train
from lmtrain.schemas import SPLITS, shard_schema
from lmtrain.tokenization.config import ShardsConfig, TokenizerConfig
from lmtrain.training.loop import Trainer
from lmtrain.training.packing import PackedRows
from lmtrain.training.process import Process

CONFIG = PretrainConfig(
    hidden_size=16, num_hidden_layers=1, num_attention_heads=2, row_tokens=CONTEXT, train_batch_size=2,
    max_steps=2, eval_steps=2, max_eval_rows=4, precision="fp32",
)  # fmt: skip


@pytest.fixture(params=["en", "zh"])
def own_line(request, tmp_path) -> Line:
    """A line that a test may damage."""
    return Line(str(tmp_path / "runs"), request.param)


@pytest.fixture
def untrained(monkeypatch) -> None:
    """No training may begin."""
    monkeypatch.setattr(Trainer, "run", lambda _: pytest.fail("a training began"))


def trained(line: Line, config: PretrainConfig = CONFIG, **given: str) -> dict[str, Any]:
    """Train in this process as a worker does."""
    spec = {
        "config": config,
        "attempt": Attempt(line.root, Address("model", "tiny", "0" * 12), "one"),
        "resources": Resources(workers=1, compile=False),
        "shards": line.shards_url,
        "tokenizer": line.tokenizer_url,
        "removed": None,
        **given,
    }
    return train(spec, Process())


def not_launched(spec: dict[str, Any], attempt: Attempt) -> Built:
    """Stand for the launch of workers, which mustn't be reached."""
    pytest.fail("workers were launched")


def shard_of(line: Line) -> tuple[Path, FileRecord]:
    shards = Artifact(line.shards_url)
    (record,) = shards.files("shards", split="train")
    return Path(line.root, record.path), record


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.usefixtures("untrained")
def test_a_flipped_bit_in_a_shard_is_found_by_its_checksum(own_line):
    path, _ = shard_of(own_line)
    flip(path)
    with pytest.raises(
        CorruptArtifactError, match=re.escape(f"{path.name} isn't what its manifest says")
    ) as raised:
        trained(own_line)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_a_shard_that_is_missing_or_cut_short_is_named_before_workers_are_launched(own_line, damage):
    path, _ = shard_of(own_line)
    damage(path)
    inputs = {"shards": [own_line.shards_url], "tokenizer": [own_line.tokenizer_url]}
    with pytest.raises(CorruptArtifactError, match=f"{path.name} is missing or cut short: run again"):
        pretrained(inputs, CONFIG, own_line.root, not_launched)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_a_worker_that_lacks_a_shard_names_it_too(own_line, damage):
    path, _ = shard_of(own_line)
    damage(path)
    with pytest.raises(CorruptArtifactError, match=path.name):
        trained(own_line)


def test_a_stream_that_ends_early_is_refused_even_where_its_checksum_is_right(tmp_path):
    path = write_shard(tmp_path / "cut.arrow", [("a", [*range(1, 200)])] * 4, batch_rows=1)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(CorruptArtifactError, match=r"cut\.arrow isn't a whole Arrow stream"):
        PackedRows({"one": [path]}, 8, END)


def other_shards(line: Line, tokenizer: str, largest: int | None = None, **stats: int) -> str:
    """Shards of the line's texts, said to be made with another tokenizer, or that hold another id."""
    ids = line.tokenizer(line.texts, add_special_tokens=False)["input_ids"]

    def write(output) -> None:
        by_split = {}
        for split in SPLITS:
            rows = [
                {"id": f"d{n:03d}", "input_ids": [*own, *([largest] if largest else [])], "bytes": 9}
                for n, own in enumerate(ids)
                if split_of(n, len(ids)) == split
            ]
            table = pa.Table.from_pylist(rows, shard_schema(1 << 16))
            with pa.ipc.new_stream(str(output.path(f"{split}.arrow")), table.schema) as writer:
                writer.write_table(table)
            output.add(f"{split}.arrow", "shards", rows=len(rows), split=split, source="tale")
            tokens = sum(len(row["input_ids"]) for row in rows)
            by_split[split] = {"documents": len(rows), "tokens": tokens, "bytes": 9 * len(rows)}
        output.stats = {"by_split": by_split, **stats}

    inputs = {"documents": [line.documents_url], "tokenizer": [tokenizer]}
    return artifact(ShardsConfig(shard_tokens=1000 + (largest or 0)), inputs, line.root, write)


def other_tokenizer(line: Line, config: TokenizerConfig) -> str:
    def write(output) -> None:
        folder = output.path("tokenizer/tokenizer.json").parent
        train_tokenizer(["一二三四五六七八九十 other words of another text"] * 30).save_pretrained(folder)
        output.add_folder("tokenizer", "tokenizer")

    return artifact(config, {"documents": [line.documents_url]}, line.root, write)


def test_a_tokenizer_that_did_not_make_the_shards_is_refused(own_line):
    foreign = other_tokenizer(own_line, TokenizerConfig(vocab_size=400))
    inputs = {"shards": [own_line.shards_url], "tokenizer": [foreign]}
    theirs = Artifact(own_line.tokenizer_url).address.folder
    with pytest.raises(StageError, match=rf"were made with {theirs}, not with the tokenizer .*bpe-400"):
        pretrained(inputs, CONFIG, own_line.root, not_launched)


@pytest.mark.parametrize(("model", "refused"), [("bpe", False), ("unigram", True), ("wordpiece", True)])
def test_a_tokenizer_made_again_is_refused_unless_it_comes_out_the_same(own_line, model, refused):
    url = other_tokenizer(own_line, TokenizerConfig(model=model, vocab_size=444))
    shards = Artifact(other_shards(own_line, url))
    check_inputs(shards, Artifact(url))
    manifest = Path(url)
    manifest.write_text(manifest.read_text().replace('"seconds"', ' "seconds"'))
    told = pytest.raises(StageError, match=r"was made again after the shards .* delete the folder")
    with told if refused else nullcontext():
        check_inputs(shards, Artifact(url))


def test_shards_with_ids_beyond_the_vocabulary_are_refused(own_line):
    shards = Artifact(other_shards(own_line, own_line.tokenizer_url, largest=9000, largest_id=9000))
    tokenizer = Artifact(own_line.tokenizer_url)
    tokenizer.manifest.stats["vocab_size"] = len(own_line.tokenizer)
    with pytest.raises(
        StageError, match=f"hold token 9000, but the vocabulary of .* {len(own_line.tokenizer)}"
    ):
        check_inputs(shards, tokenizer)


def test_ids_beyond_the_vocabulary_stop_a_training_before_its_first_step(own_line, monkeypatch):
    monkeypatch.setattr(Trainer, "_update", lambda *_: pytest.fail("a step was made"))
    shards = other_shards(own_line, own_line.tokenizer_url, largest=9000)
    with pytest.raises(CorruptArtifactError, match="source tale hold token 9000, but the vocabulary has"):
        trained(own_line, shards=shards)


def test_rows_longer_than_the_positions_of_a_model_are_refused(lines):
    shape = tiny_config(lines["en"].tokenizer)
    check_model(shape, len(lines["en"].tokenizer), CONTEXT)
    with pytest.raises(
        RecipeError, match=r"pretrain\.row_tokens 33 is more than the 32 positions .* most 32"
    ):
        check_model(shape, len(lines["en"].tokenizer), CONTEXT + 1)


def test_a_model_with_fewer_entries_than_the_tokenizer_is_refused(lines):
    shape = tiny_config(lines["zh"].tokenizer)
    with pytest.raises(StageError, match=f"vocabulary has {shape.vocab_size} entries, but .* 50000"):
        check_model(shape, 50_000, CONTEXT)


def test_a_tokenizer_that_is_not_that_of_the_checkpoint_is_refused(own_line):
    model = own_line.language_model()
    check_checkpoint(Artifact(model), Artifact(own_line.tokenizer_url))
    foreign = other_tokenizer(own_line, TokenizerConfig(vocab_size=400))
    with pytest.raises(StageError, match=r"isn't that of the model .*: token .* is .* here and .* there"):
        check_checkpoint(Artifact(model), Artifact(foreign))
    inputs = {
        "shards": [other_shards(own_line, foreign)],
        "tokenizer": [foreign],
        "model": [model],
    }
    with pytest.raises(StageError, match="isn't that of the model"):
        pretrained(inputs, CONFIG, own_line.root, not_launched)


def test_a_tokenizer_without_an_end_or_separator_is_refused(lines):
    tokenizer = lines["en"].tokenizer

    class Without:
        cls_token_id = bos_token_id = eos_token_id = sep_token_id = None

    assert special_ids(tokenizer, "folder").end == tokenizer.eos_token_id
    with pytest.raises(StageError, match="the tokenizer folder has neither an end token nor a separator"):
        special_ids(Without(), "folder")


def test_a_source_that_is_not_there_is_refused_before_workers_are_launched(own_line):
    config = CONFIG.model_validate(
        {**CONFIG.model_dump(), "mixing": {"sources": [{"source": "fable", "weight": 1}]}}
    )
    inputs = {"shards": [own_line.shards_url], "tokenizer": [own_line.tokenizer_url]}
    with pytest.raises(RecipeError, match=r"no source 'fable' in the training split \(there are: tale\)"):
        pretrained(inputs, config, own_line.root, not_launched)


@pytest.mark.usefixtures("untrained")
def test_a_cap_on_epochs_is_checked_before_the_first_step(own_line):
    config = CONFIG.model_validate({**CONFIG.model_dump(), "max_steps": 500, "mixing": {"max_epochs": 2.0}})
    with pytest.raises(LmtrainError, match=r"max_epochs of 'tale' is 2, but max_steps 500 would read"):
        trained(own_line, config)


@pytest.mark.parametrize("packing", ["best_fit", "none"])
def test_a_training_on_rows_of_each_kind_tells_padding_and_cut_documents(own_line, packing):
    settings = {**CONFIG.model_dump(), "packing": packing, "mixing": {"temperature": 0.5}}
    figures = trained(own_line, CONFIG.model_validate(settings))
    assert figures["packing"]["kind"] == packing
    assert 0 <= figures["packing"]["padding"] < 1
    assert figures["mixing"]["tale"]["share"] == 1
    assert np.isfinite(figures["validation_loss"])
