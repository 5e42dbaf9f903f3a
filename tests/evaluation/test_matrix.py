"""The whole matrix through the real stages: each family by each objective, and by each task, that fit.

Two steps of a tiny model each, in English and Chinese by turns. By default a part runs in which each
family, each objective and each task occurs; all of it runs with the tests that take long. Training
runs in this process and not on Ray's workers, which have tests of their own.
"""

import json
from typing import Any

import pyarrow as pa
import pytest
from test_evaluation_stage import rows_for, settings_for
from tiny_line import Line, artifact, split_of

from lmtrain.building import Attempt, Built, ShardOutput
from lmtrain.config import Resources
from lmtrain.evaluation import stage as evaluating
from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.finetuning import stage as finetuning
from lmtrain.finetuning.config import FinetuneSection
from lmtrain.ingestion.task_forms import FILE_NAMES
from lmtrain.manifest import Artifact
from lmtrain.metrics import TASK_METRICS
from lmtrain.modeling.fitting import OBJECTIVES, TASKS, objectives_of
from lmtrain.modeling.sizes import DECODERS, ENCODERS, RECURRENT, SIZES
from lmtrain.predicting import predict
from lmtrain.pretraining import stage as pretraining
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.schemas import SPLITS, STARTS, shard_schema
from lmtrain.tokenization.boundaries import starts_of
from lmtrain.tokenization.config import ShardsConfig, TokenizerConfig, TokenizerSettings
from lmtrain.tokenization.special_tokens import wrap
from lmtrain.tokenization.training import train
from lmtrain.training.process import Process
from lmtrain.watch import SilentWatch

ROW = 48
VOCABULARY = 400
RESOURCES = Resources(workers=1, compile=False, checkpoint_seconds=1e9)
LANGUAGES = ("en", "zh")


class StartedLine(Line):
    """The line with a tokenizer of one kind, and shards that say where sentences and words begin."""

    def __init__(self, root: str, language: str, special_tokens: str) -> None:
        super().__init__(root, language)
        settings: dict[str, Any] = {"vocab_size": VOCABULARY, "special_tokens": special_tokens}
        texts = self.texts * 4
        self.tokenizer = wrap(train(iter(texts), TokenizerSettings(**settings)), special_tokens)
        self.tokenizer_url = artifact(
            TokenizerConfig(**settings), {"documents": [self.documents_url]}, root, self.write_tokenizer
        )
        inputs = {"documents": [self.documents_url], "tokenizer": [self.tokenizer_url]}
        config = ShardsConfig(sentence_starts=True, word_starts=True)
        self.shards_url = artifact(config, inputs, root, self.write_started)

    def write_started(self, output: ShardOutput) -> None:
        """Write shards of the documents, one for each split."""
        encodings = self.tokenizer.backend_tokenizer.encode_batch(self.texts, add_special_tokens=False)
        schema, by_split = shard_schema(len(self.tokenizer), STARTS), {}
        for split in SPLITS:
            rows = [
                {
                    "id": f"d{index:03d}",
                    "input_ids": encoding.ids,
                    "bytes": len(text.encode()),
                    **{name: starts_of(name, text, self.language, encoding) for name in STARTS},
                }
                for index, (text, encoding) in enumerate(zip(self.texts, encodings, strict=True))
                if split_of(index, len(self.texts)) == split
            ]
            with pa.ipc.new_stream(str(output.path(f"{split}.arrow")), schema) as writer:
                writer.write_table(pa.Table.from_pylist(rows, schema))
            output.add(f"{split}.arrow", "shards", rows=len(rows), split=split, source="tale")
            tokens, size = sum(len(row["input_ids"]) for row in rows), sum(row["bytes"] for row in rows)
            by_split[split] = {"documents": len(rows), "tokens": tokens, "bytes": size}
        output.stats = {"by_split": by_split}


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Gives the line of a language and a kind of tokenizer, made once."""
    made: dict[tuple[str, str], StartedLine] = {}

    def line_of(language: str, special_tokens: str) -> StartedLine:
        key = language, special_tokens
        if key not in made:
            made[key] = StartedLine(str(tmp_path_factory.mktemp("-".join(key))), *key)
        return made[key]

    return line_of


def trained_here(function, spec, attempt: Attempt, resources, watch) -> Built:
    """Train in this process: what `train_model` does on workers."""
    function({**spec, "attempt": attempt, "resources": resources}, Process())
    result = attempt.finished("model")
    assert result is not None
    return Built(result.files, result.stats)


@pytest.fixture(autouse=True)
def without_ray(monkeypatch):
    for stage in (pretraining, finetuning):
        monkeypatch.setattr(stage, "train_model", trained_here)


def special_tokens_of(family: str, objective: str) -> str:
    usual = "gpt2" if family in DECODERS else "bert" if family in ENCODERS else "roberta"
    allowed = OBJECTIVES[objective].special_tokens
    return usual if usual in allowed else allowed[0]


def pretrained(line: StartedLine, family: str, objective: str) -> str:
    heads = {} if family in RECURRENT else {"num_attention_heads": 2}
    config = PretrainConfig(
        architecture=family, objective=objective, hidden_size=32, num_hidden_layers=2, **heads,
        intermediate_size=48, row_tokens=ROW, train_batch_size=4, max_steps=2, eval_steps=2, precision="fp32",
        optimizer="adamw",
    )  # fmt: skip
    inputs = {"shards": [line.shards_url], "tokenizer": [line.tokenizer_url]}
    if objective == "distillation":
        inputs["teacher"] = [pretrained(line, family, objectives_of(family)[0])]
    return pretraining.build(inputs, config, line.root, RESOURCES, SilentWatch())


def covering(pairs: list[tuple[str, str]], sides: tuple[int, ...]) -> list[Any]:
    """Return all pairs, of which those are slow whose sides have occurred before."""
    seen: list[set[str]] = [set(), set()]
    found = []
    for number, pair in enumerate(pairs):
        new = any(pair[side] not in seen[side] for side in sides)
        if new:
            for side in sides:
                seen[side].add(pair[side])
        found.append(pytest.param(*pair, LANGUAGES[number % 2], marks=[] if new else [pytest.mark.slow]))
    return found


OBJECTIVE_PAIRS = [(family, name) for name, fits in OBJECTIVES.items() for family in fits.families]
TASK_PAIRS = [
    (family, name)
    for place, (name, fits) in enumerate(TASKS.items())
    for family in (*fits.families[place:], *fits.families[:place])
]
"""Tasks begin with another family each."""


def test_every_family_has_an_objective_and_a_task():
    assert {family for family, _ in OBJECTIVE_PAIRS} == set(SIZES) == {family for family, _ in TASK_PAIRS}


@pytest.mark.parametrize(("family", "objective", "language"), covering(OBJECTIVE_PAIRS, (0, 1)))
def test_every_objective_pretrains_every_family_that_fits(started, family, objective, language):
    line = started(language, special_tokens_of(family, objective))
    model = Artifact(pretrained(line, family, objective))
    assert model.stats["steps"] == 2
    losses = [value for name, value in model.stats.items() if name.startswith("validation_loss")]
    assert losses
    assert all(0 <= loss < 50 for loss in losses)
    assert model.files("weights")


@pytest.mark.parametrize(("family", "task", "language"), covering(TASK_PAIRS, (1,)))
def test_every_task_is_tuned_scored_and_predicted_by_every_family_that_fits(
    started, tmp_path, family, task, language
):
    objective = objectives_of(family)[0]
    line = started(language, special_tokens_of(family, objective))
    rows = rows_for(task, line.texts)
    data = line.labelled(task, rows, task)
    settings = {**settings_for(task), "max_length": ROW - 8}
    config = FinetuneSection.model_fields[task].annotation.__args__[0](
        name=task,
        data="set",
        num_train_epochs=1,
        train_batch_size=8,
        eval_steps=2,
        precision="fp32",
        **settings,
    )
    inputs = {"model": [pretrained(line, family, objective)], "labelled": [data]}
    tuned = finetuning.build(inputs, config, line.root, RESOURCES, SilentWatch())
    asked = EvaluateConfig(
        task=task, system="model", dataset=task, language=language, bootstrap_samples=20, max_target_length=4
    )
    scored = {"data": [data], "system": [tuned]}
    scores = Artifact(evaluating.build(scored, asked, line.root, RESOURCES, SilentWatch()))
    told = json.loads(scores.open(scores.files("scores")[0]).read_text(encoding="utf-8"))
    assert [row["metric"] for row in told] == [*TASK_METRICS[task]]
    assert all(row["low"] <= row["value"] + 1e-9 for row in told)
    records = [{FILE_NAMES.get(name, name): value for name, value in row.items()} for row in rows[:3]]
    if task == "retrieval":
        records = [{"text": row["query"]} for row in rows[:3]]
    path = tmp_path / "asked.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in records) + "\n", encoding="utf-8")
    folder = Artifact(tuned).folder("weights")
    answers = list(predict(folder, str(path), {}, Resources(workers=1), SilentWatch()))
    assert len(answers) == 3
    assert all("prediction" in answer for answer in answers)
