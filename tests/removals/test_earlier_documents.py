"""Earlier documents that a recipe names: found under its root, or refused before anything is made."""

from pathlib import Path

import pytest
from tiny_line import artifact

from lmtrain.building import ShardOutput
from lmtrain.curation.config import CurateConfig, DeduplicationConfig
from lmtrain.errors import RecipeError
from lmtrain.graph import nodes_of
from lmtrain.manifest import Address, Artifact
from lmtrain.planning import plan, plan_table
from lmtrain.recipe import Recipe, parse_recipe


def made(root: str, role: str = "signatures", **curate) -> Artifact:
    """Write curated documents of a kind of file that says nothing."""

    def write(output: ShardOutput) -> None:
        output.path(f"{role}.parquet").write_bytes(b"empty")
        output.add(f"{role}.parquet", role)

    return Artifact(artifact(CurateConfig(preset="none", **curate), {"corpora": []}, root, write))


def recipe(root: str, *earlier: str, **curate) -> Recipe:
    ingest = {"docstrings": [{"alias": "python", "packages": ["click"]}]}
    given = {"earlier": list(earlier), **curate}
    return parse_recipe({"name": "small", "root": root, "ingest": ingest, "curate": given})


def curated(root: str, *earlier: str) -> Address:
    (node,) = (node for node in nodes_of(recipe(root, *earlier)) if node.stage == "curate")
    return node.address


def test_they_are_part_of_the_address_however_they_are_written(root):
    first, second = made(root), made(root, keep_text="all")
    folder = first.address.folder
    assert curated(root, folder) != curated(root)
    same = [folder, f"{folder}/", f"{folder}/manifest.json", first.url, f"{root}/{folder}"]
    assert len({curated(root, given) for given in same}) == 1
    assert curated(root, folder, first.url) == curated(root, folder)
    assert len({curated(root, *given) for given in ([folder], [second.url], [folder, second.url])}) == 3


def test_a_plan_has_them_as_there_and_never_makes_them(root):
    first = made(root)
    lines = plan(nodes_of(recipe(root, first.address.folder)), root)
    (line,) = [line for line in lines if line.node.stage == "earlier"]
    assert line.hit
    assert line.node.address == first.address
    curate = next(line.node for line in lines if line.node.stage == "curate")
    assert curate.inputs["earlier"] == [line.node]
    assert "1 HIT, 10 NEW" in plan_table(lines)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("documents/none-0123456789ab", "isn't there: no manifest at "),
        ("documents/none", "is not an artifact: name it as documents/NAME-DIGEST"),
        ("corpus/python-0123456789ab", "is of the kind corpus, not documents"),
        ("/other/documents/none-0123456789ab", "lies under the root /other, not under "),
        ("../documents/none-0123456789ab", "lies under the root "),
    ],
)
def test_what_cannot_be_had_is_refused_before_anything_is_made(root, given, told):
    with pytest.raises(RecipeError, match=r"^curate\.earlier: ") as refused:
        nodes_of(recipe(root, given))
    assert f"{given} {told}" in str(refused.value)


def test_what_lost_a_file_or_has_no_signatures_is_refused(root):
    whole, bare = made(root), made(root, role="documents", keep_text="all")
    with pytest.raises(RecipeError, match="has no signatures to compare with: curate it again"):
        nodes_of(recipe(root, bare.address.folder))
    Path(whole.open(whole.files("signatures")[0])).unlink()
    with pytest.raises(RecipeError, match=r"isn't whole: .*signatures.parquet is missing or cut short"):
        nodes_of(recipe(root, whole.address.folder))
    Path(whole.url).write_text("{}")
    with pytest.raises(RecipeError, match=r"^curate\.earlier: .* is not a manifest: "):
        nodes_of(recipe(root, whole.address.folder))


def test_what_was_curated_with_other_signatures_is_refused_with_the_field(root):
    first = made(root, deduplication=DeduplicationConfig(bands=7))
    with pytest.raises(RecipeError, match=r"deduplication\.bands is 14, but 7 in the earlier documents "):
        nodes_of(recipe(root, first.address.folder))
    assert nodes_of(recipe(root, first.address.folder, deduplication={"bands": 7}))
