"""A model over a file: every record is answered or named, in order, and says what the scores say."""

import json

import pytest
from click.testing import CliRunner
from test_evaluation_stage import rows_for, rows_of, score, settings_for

from lmtrain.cli import main
from lmtrain.config import Resources
from lmtrain.errors import RecipeError
from lmtrain.evaluation.comparison import read_samples
from lmtrain.ingestion.task_forms import FILE_NAMES
from lmtrain.manifest import Artifact
from lmtrain.predicting import INPUTS, predict
from lmtrain.watch import SilentWatch

KINDS = {
    "multi_label": list, "token_classification": list, "similarity": float, "retrieval": list,
}  # fmt: skip


def written(path, records):
    lines = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def said_by(model, path, **columns):
    folder = Artifact(model).folder("weights")
    return list(predict(folder, path, columns, Resources(workers=1), SilentWatch()))


@pytest.mark.parametrize("task", INPUTS)
def test_every_task_says_something_of_every_record(lines, tmp_path, task):
    line = lines["zh" if task in ("classification", "similarity") else "en"]
    rows = rows_for(task, line.texts[:6])
    model = line.tuned(task, rows, **settings_for(task))
    records = [{FILE_NAMES.get(name, name): value for name, value in row.items()} for row in rows]
    if task == "retrieval":
        records = [{"text": row["query"]} for row in rows]
    found = said_by(model, written(tmp_path / "asked.jsonl", records))
    assert [row["record"] for row in found] == list(range(6))
    assert all(isinstance(row["prediction"], KINDS.get(task, str)) for row in found)
    assert said_by(model, written(tmp_path / "again.jsonl", records)) == found


def test_what_is_predicted_is_what_is_scored(english, tmp_path):
    rows = rows_for("classification", english.texts)
    data = english.labelled("classification", rows)
    model = english.tuned("classification", rows, **settings_for("classification"))
    samples = read_samples(Artifact(score(english, data, "classification", model=model)))
    gold = {
        row["id"]: row
        for table in Artifact(data).tables("labelled", split="test")
        for row in table.to_pylist()
    }
    asked = [{"text": gold[identity]["text"]} for identity in samples["example_id"].to_pylist()]
    found = said_by(model, written(tmp_path / "asked.jsonl", asked))
    assert [row["prediction"] for row in found] == samples["prediction"].to_pylist()


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(english, tmp_path):
    model = english.classifier(["good", "bad"])
    asked = written(
        tmp_path / "asked.jsonl", [{"review": "fine"}, {"review": 3}, "{broken", {"review": "poor"}]
    )
    out = tmp_path / "said.jsonl"
    run = CliRunner().invoke(main, ["predict", model, asked, "--column", "text=review", "--out", str(out)])
    assert run.exit_code == 0, run.output
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert ["prediction" in row for row in found] == [True, False, False, True]
    assert found[1]["refused"] == "missing_text"
    assert "2 predicted, 1 missing_text" in run.output
    with pytest.raises(RecipeError, match="classification reads text"):
        said_by(model, asked, tekst="review")
    with pytest.raises(RecipeError, match="lmtrain generate"):
        said_by(english.language_model(), asked)


def test_two_systems_are_compared_metric_by_metric(english):
    data = english.labelled("classification", rows_for("classification", english.texts))
    scores = [score(english, data, "classification", system) for system in ("tfidf", "majority")]
    run = CliRunner().invoke(main, ["compare", *scores, "--samples", "100"])
    assert run.exit_code == 0, run.output
    for row, other in zip(rows_of(scores[0]), rows_of(scores[1]), strict=True):
        assert f"{row['metric']:<20} {row['value'] - other['value']:+.4f} [" in run.output
    same = CliRunner().invoke(main, ["compare", scores[0], scores[0], "--samples", "100"])
    assert "+0.0000 [+0.0000, +0.0000]" in same.output
    assert "chance doesn't" not in same.output
