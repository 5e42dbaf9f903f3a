"""Static vectors on the page: beside the other systems, with the words that they put near each other."""

import yaml
from made_line import HOSTILE, RECIPE, chinese_recipe, make_line
from page_reader import Reader

from lmtrain.graph import nodes_of
from lmtrain.recipe import parse_recipe
from lmtrain.reporting import lineage, page
from lmtrain.reporting.line import Line
from lmtrain.reporting.results import results

VECTORS = [{"name": "plain"}, {"name": "pieces", "algorithm": "fasttext", "min_n": 2}]
LABELS = ["word2vec-plain", "fasttext-pieces"]


def read(line: Line) -> Reader:
    return Reader(page.render(page.gather(line, "quickstart")))


def test_they_stand_in_the_scores_by_their_label_and_are_compared(tmp_path):
    line = Line.open(make_line({**RECIPE, "word_vectors": VECTORS}, str(tmp_path)))
    result = next(result for result in results(line) if result.dataset == "package")
    assert result.headline is not None
    styles = {row.system: row.style for row in result.headline.rows}
    assert {label: styles[label] for label in LABELS} == dict.fromkeys(LABELS, "baseline")
    assert not result.incomparable
    told = {compared.system: compared.told for compared in result.compared}
    assert told["word2vec-plain"].startswith("Beats word2vec-plain: +")
    assert not any(row.system in LABELS for one in results(line)[2:] for row in one.metrics[0].rows)
    reader = read(line)
    assert "fasttext-pieces" in reader.shown
    assert "element, vector" in reader.shown
    assert HOSTILE.replace("  ", " ") in reader.shown


def test_chinese_words_are_marked_as_chinese(tmp_path):
    given = chinese_recipe(tmp_path / "texts") | {"word_vectors": [{"name": "wide", "algorithm": "glove"}]}
    reader = read(Line.open(make_line(given, str(tmp_path / "runs"))))
    assert "元素, 向量" in reader.shown
    assert "glove-wide" in reader.shown
    rows = [attributes for tag, attributes in reader.elements if tag == "tr"]
    assert {"lang": "zh-Hans"} in rows


def test_a_set_without_a_fine_tuning_has_its_scores_too(tmp_path):
    given = {**RECIPE, "finetune": {}, "word_vectors": VECTORS}
    line = Line.open(make_line(given, str(tmp_path)))
    result = next(result for result in results(line) if result.dataset == "package")
    assert {row.system for row in result.metrics[0].rows} == {*LABELS, "majority", "tfidf"}
    assert result.ours is None
    assert "word2vec-plain" in read(line).shown


def test_the_recipe_on_the_page_leads_to_the_same_addresses(tmp_path):
    inputs = make_line({**RECIPE, "word_vectors": VECTORS}, str(tmp_path))
    written = yaml.safe_load(lineage.recipe_text(Line.open(inputs), "quickstart"))
    assert [given["name"] for given in written["word_vectors"]] == ["plain", "pieces"]
    addresses = {node.address.folder for node in nodes_of(parse_recipe(written))[:-1]}
    assert addresses == {row.folder for row in lineage.made(Line.open(inputs))}
    kinds = [box.kind for box in lineage.boxes(Line.open(inputs), "quickstart")]
    assert kinds.index("documents") < kinds.index("word_vectors") < kinds.index("scores")
