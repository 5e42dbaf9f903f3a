"""A model handed over: the folder loads, and its card says what the manifests say."""

import pytest
import yaml
from click.testing import CliRunner
from test_evaluation_stage import data_and_model, rows_of, score
from tiny_line import Line
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from lmtrain.cli import main
from lmtrain.handover import whole_card


def exported(model, folder):
    result = CliRunner().invoke(main, ["export", model, str(folder)])
    assert result.exit_code == 0, result.output
    card = (folder / "README.md").read_text(encoding="utf-8")
    _, metadata, body = card.split("---\n", 2)
    return result.stdout, yaml.safe_load(metadata), body


@pytest.fixture(params=["en", "zh"])
def line(request, tmp_path):
    """A line of this test's own: others leave scores of the same models under theirs."""
    return Line(str(tmp_path / "runs"), request.param)


@pytest.mark.parametrize(
    ("task", "loader"),
    [
        ("classification", AutoModelForSequenceClassification),
        ("language_modeling", AutoModelForCausalLM),
    ],
)
def test_the_folder_loads_and_its_card_has_the_scores_and_the_recipe(line, tmp_path, task, loader):
    data, model = data_and_model(line, task)
    scores = rows_of(score(line, data, task, model=model))
    told, metadata, body = exported(model, tmp_path / "model")
    assert f"({len(scores)} scores" in told
    loader.from_pretrained(tmp_path / "model", use_safetensors=True)
    (result,) = metadata["model-index"][0]["results"]
    assert {one["type"]: one["value"] for one in result["metrics"]} == {
        row["metric"]: row["value"] for row in scores
    }
    for row in scores:
        assert f"{row['low']:.4g} to {row['high']:.4g}" in body
    recipe = yaml.safe_load(body.split("```yaml\n")[1].split("```")[0])
    assert recipe["tokenize"]["vocab_size"] == len(line.tokenizer)


def test_scores_of_another_model_are_not_its_own(line, tmp_path):
    data, model = data_and_model(line, "language_modeling")
    score(line, data, "language_modeling", model=model)
    _, other = data_and_model(line, "masked_language_modeling")
    _, metadata, body = exported(other, tmp_path / "model")
    assert "model-index" not in metadata
    assert "## Scores" not in body


def test_a_folder_with_something_in_it_is_left_alone(english, tmp_path):
    _, model = data_and_model(english, "language_modeling")
    (tmp_path / "mine.txt").write_text("mine")
    result = CliRunner().invoke(main, ["export", model, str(tmp_path)])
    assert result.exit_code == 2
    assert "isn't empty" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_scores_and_recipe_stand_before_the_use_and_the_rest_stays():
    card = (
        "---\nlanguage: [zh]\npipeline_tag: x\n---\n\n# 名\n\n## Data\n\n- a\n\n## Use\n\n```python\n1\n```\n"
    )
    row = {
        "system": "s", "task": "t", "dataset": "数据", "split": "test", "metric": "bleu", "value": 12.345,
        "low": 10.0, "high": 14.0, "samples": 1200, "signature": "tok:zh",
    }  # fmt: skip
    whole = whole_card(card, [row], "name: x\n")
    sections = [line for line in whole.splitlines() if line.startswith("## ")]
    assert sections == ["## Data", "## Scores", "## Recipe", "## Use"]
    assert "| t | 数据, test | bleu | 12.35 | 10 to 14 | 1,200 |" in whole
    assert "bleu: `tok:zh`" in whole
    assert whole.endswith("```python\n1\n```\n")
    assert "数据" in whole.split("---\n")[1]
