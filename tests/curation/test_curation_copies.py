"""The stage where there are copies: across splits, in a batch that comes later, and where there are none."""

import pytest
from made_corpora import corpus, curated, document, prose, rows_of

from lmtrain.curation import stage
from lmtrain.curation.config import CurateConfig
from lmtrain.errors import RecipeError
from lmtrain.manifest import Artifact
from lmtrain.watch import SilentWatch

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.mark.parametrize(
    ("splits", "kept"),
    [
        ({"a": "train", "b": "validation"}, "b"),
        ({"a": "train", "b": "test"}, "b"),
        ({"a": "validation", "b": "test"}, "b"),
        ({"a": "train", "b": "train"}, "a"),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
def test_where_copies_cross_splits_the_training_copy_goes(root, resources, splits, kept, exact):
    """Without another reason the longer one stays, and `a` is longer or has the smaller id."""
    longer, shorter = prose(1), prose(1) if exact else prose(1).rsplit(" ", 1)[0]
    rows = [document("a", longer, splits["a"]), document("b", shorter, splits["b"])]
    artifact = curated(root, [[*rows, document("c", prose(2))]], resources, preset="none")
    assert set(rows_of(artifact, "documents")) == {kept, "c"}
    assert artifact.stats["copies_across_splits"] == (splits["a"] != splits["b"])
    (dropped,) = rows_of(artifact, "dropped").values()
    assert dropped["detail"] == kept


def later(root: str, files: list[list[dict[str, str]]], earlier: Artifact, resources, **config):
    """Curate a further batch beside an earlier one."""
    inputs = {"corpora": [corpus(root, f"after-{earlier.address.digest}", files)], "earlier": [earlier.url]}
    return Artifact(stage.build(inputs, CurateConfig(**config), root, resources, SilentWatch()))


def test_a_new_batch_is_compared_with_earlier_ones_without_their_text(root, resources):
    first = curated(root, [[document("a", prose(1)), document("b", prose(2))]], resources)
    for record in first.files("documents"):
        first.open(record).unlink()  # nobody may read it
    rows = [
        document("a", prose(7)),
        document("exact", prose(1), "test"),
        document("near", prose(2) + " And more of it.", "test"),
        document("fresh", prose(3)),
        document("copy", prose(3) + " That was it."),
    ]
    second = later(root, [rows[:2], rows[2:]], first, resources)
    dropped = rows_of(second, "dropped")
    assert {name: (row["reason"], row["detail"]) for name, row in dropped.items()} == {
        "a": ("known_id", "a"),
        "exact": ("exact_copy", "a"),
        "near": ("near_copy", "b"),
        "fresh": ("near_copy", "copy"),
    }
    assert set(rows_of(second, "documents")) == {"copy"}
    assert rows_of(second, "documents")["copy"]["cluster_size"] == 2
    assert second.stats["copies_of_earlier"] == 3
    third = later(root, [[document("again", prose(3)), document("other", prose(9))]], second, resources)
    assert {n: row["reason"] for n, row in rows_of(third, "dropped").items()} == {"again": "near_copy"}


def test_earlier_batches_with_other_signatures_are_refused(root, resources):
    first = curated(root, [[document("a", prose(1))]], resources, deduplication={"bands": 7})
    with pytest.raises(RecipeError, match=r"deduplication.bands is 14, but 7 in the earlier documents"):
        later(root, [[document("b", prose(2))]], first, resources)


def test_short_documents_without_words_are_not_each_others_copies(root, resources):
    rows = [document(f"d{n}", "?" * (n + 1)) for n in range(5)]
    artifact = curated(root, [rows], resources, preset="none")
    assert artifact.stats["kept"] == 5
