"""Lineage: every manifest with its inputs, a graph of them, and a recipe that leads to the same addresses."""

import yaml
from made_line import chinese_recipe, make_line

from lmtrain.graph import nodes_of
from lmtrain.manifest import Address
from lmtrain.recipe import parse_recipe
from lmtrain.reporting import lineage
from lmtrain.reporting.line import Line


def addresses(inputs) -> set[str]:
    return {Address.parse(url)[1].folder for urls in inputs.values() for url in urls}


def test_the_recipe_on_the_page_leads_to_the_same_addresses(english):
    written = lineage.recipe_text(Line.open(english), "quickstart")
    nodes = nodes_of(parse_recipe(yaml.safe_load(written)))
    assert {node.address.folder for node in nodes[:-1]} == addresses(english)
    assert nodes[-1].address.label == "quickstart"


def test_a_recipe_on_files_does_so_once_their_place_is_given(chinese, tmp_path):
    given = chinese_recipe(tmp_path)
    recipe = lineage.recipe(Line.open(chinese), "quickstart-zh")
    for section in ("ingest", "label"):
        recipe[section]["files"][0]["urls"] = given[section]["files"][0]["urls"]
    nodes = nodes_of(parse_recipe(recipe))
    assert {node.address.folder for node in nodes[:-1]} == addresses(chinese)


def test_a_classifier_is_drawn_before_the_documents_and_stands_in_the_recipe(tmp_path):
    given = chinese_recipe(tmp_path / "sources") | {"classifier": {"data": "mood", "positive": "积极"}}
    given["curate"] = {"preset": "chinese", "thresholds": {"min_quality": 0.4}}
    line = Line.open(make_line(given, str(tmp_path / "runs")))
    recipe = lineage.recipe(line, "quickstart-zh")
    for section in ("ingest", "label"):
        recipe[section]["files"][0]["urls"] = given[section]["files"][0]["urls"]
    assert recipe["classifier"] == given["classifier"]
    folders = {node.address.folder for node in nodes_of(parse_recipe(recipe))[:-1]}
    assert folders == {row.folder for row in lineage.made(line)}
    kinds = [box.kind for box in lineage.boxes(line, "quickstart-zh")]
    assert kinds.index("labelled") < kinds.index("classifier") < kinds.index("documents")


def test_the_table_names_every_manifest_and_its_inputs(english):
    rows = lineage.made(Line.open(english))
    assert {row.folder for row in rows} == addresses(english)
    pretrain = next(row for row in rows if row.stage == "pretrain")
    assert [role for role, _ in pretrain.inputs] == ["shards", "tokenizer"]
    assert {folder for _, folder in pretrain.inputs} < addresses(english)


def test_the_graph_draws_each_artifact_once_and_the_scores_of_a_set_together(english):
    boxes = lineage.boxes(Line.open(english), "quickstart")
    kinds = [box.kind for box in boxes]
    assert kinds.count("model") == 5
    assert kinds.count("scores") == 4
    assert kinds[-1] == "report"
    drawn = [box.key for box in boxes]
    assert all(drawn.index(need) < drawn.index(box.key) for box in boxes for need in box.needs)
