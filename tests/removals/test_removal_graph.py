"""A removal list in the graph: it moves what trains and scores, and nothing that was curated."""

import pytest

from lmtrain.errors import SourceError
from lmtrain.graph import nodes_of
from lmtrain.node import Node, needed
from lmtrain.recipe import parse_recipe

RAW = {
    "name": "small",
    "ingest": {"docstrings": [{"alias": "python", "packages": ["click"]}]},
    "label": {"docstrings": [{"alias": "package", "label": "package"}]},
    "finetune": {"classification": [{"name": "first", "data": "package"}]},
}


def nodes(**changes) -> list[Node]:
    return nodes_of(parse_recipe({**RAW, **changes}))


def addresses(**changes) -> dict[str, str]:
    return {f"{node.stage} {node.label}": node.address.folder for node in nodes(**changes)}


@pytest.fixture
def ids(tmp_path):
    """Writes ids to a list; returns the section of the recipe that names it."""

    def write(*lines: str) -> dict[str, list[str]]:
        (tmp_path / "ids.txt").write_text("\n".join(lines))
        return {"ids": [str(tmp_path / "ids.txt")]}

    return write


def test_a_list_moves_training_and_scores_and_nothing_before(ids):
    before = addresses()
    after = addresses(remove=ids("d1"))
    moved = {name.split()[0] for name, folder in after.items() if before.get(name) != folder}
    assert moved == {"list_removals", "pretrain", "finetune", "evaluate", "report"}
    assert set(after) - set(before) == {"list_removals list"}
    longer = addresses(remove=ids("d1", "d2"))
    assert {name.split()[0] for name in longer if longer[name] != after[name]} == moved
    assert addresses(remove=ids("d2", "d1", "# sorted")) == longer


def test_no_list_moves_nothing():
    assert addresses(remove={}) == addresses() == addresses(remove={"ids": [], "urls": []})


def test_a_list_is_made_before_what_it_is_for(ids):
    made = nodes(remove=ids("d1"))
    by_stage = {node.stage: node for node in made}
    for stage in ("curate", "pretrain", "finetune", "evaluate"):
        (listed,) = by_stage[stage].inputs["removals"]
        assert listed is by_stage["list_removals"]
    assert [node.stage for node in needed([by_stage["curate"]])] == ["ingest", "list_removals", "curate"]
    assert all(node.inputs.get("removals") for node in made if node.stage == "evaluate"), "baselines, too"


def test_a_list_that_cannot_be_read_ends_a_plan_in_one_line(tmp_path):
    with pytest.raises(SourceError, match=r"^remove\.ids: no file at .*: check the path"):
        nodes(remove={"ids": [str(tmp_path / "nowhere.txt")]})
