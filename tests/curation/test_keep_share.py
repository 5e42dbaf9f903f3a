"""A share of the best documents by the classifier's score: exact, told of, the same whatever the workers."""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from good_and_bad import LANGUAGES, bad, good
from hypothesis import given, settings
from hypothesis import strategies as st
from made_corpora import rows_of
from pydantic import ValidationError
from test_classifier_stage import built, hashes, raw, write_lines, write_sources

from lmtrain import cli
from lmtrain.curation import share, stage
from lmtrain.curation.classifier import open_classifier
from lmtrain.curation.config import CurateConfig
from lmtrain.curation.explain import decision, explain
from lmtrain.errors import RecipeError
from lmtrain.manifest import Artifact
from lmtrain.recipe import parse_recipe
from lmtrain.watch import SilentWatch

SHARE = 0.3
CURATE = {"preset": "none", "keep_share": SHARE, "keep_text": "all"}
COPIES = 4
"""Of one good and one bad text each: they score the same, so ids must decide among them."""

SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.2500001, 0.5, 0.9999, 1.0])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(SCORES, st.binary(min_size=1, max_size=2)), min_size=1, unique=True), st.data())
def test_the_histogram_and_its_bucket_find_the_worst_that_a_sort_finds(rows, data):
    wanted = data.draw(st.integers(1, len(rows)))
    expected = sorted(rows, key=lambda row: (-row[0], row[1]))[wanted - 1]
    scores = np.array([score for score, _ in rows])
    buckets = share.buckets_of(scores)
    bucket, own = share.bucket_holding(np.bincount(buckets, minlength=share.BUCKETS), wanted)
    inside = [key for (_, key), number in zip(rows, buckets, strict=True) if number == bucket]
    assert share.worst_of(scores[buckets == bucket], inside, own) == expected


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_better_score_is_in_no_lower_bucket(one, other):
    low, high = share.buckets_of(np.array(sorted([one, other])))
    assert 0 <= low <= high < share.BUCKETS


@pytest.mark.parametrize(
    ("part", "documents", "kept"),
    [(0.1, 30, 3), (0.1, 31, 4), (0.1, 1, 1), (0.5, 5, 3), (0.29, 100, 29), (1e-9, 7, 1)],
)
def test_the_number_kept_is_the_share_as_it_is_written_rounded_up(part, documents, kept):
    assert share.number_kept(part, documents) == kept


def write_tied_sources(folder: Path, language: str) -> None:
    """Write what `write_sources` does, and some documents of the corpus again under other ids."""
    write_sources(folder, language)
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    again = [line.replace('"id": "', f'"id": "again{n}') for line in lines[::20] for n in range(COPIES)]
    (folder / "corpus.jsonl").write_text("\n".join([*lines, *again]) + "\n", encoding="utf-8")


@pytest.fixture(scope="module", params=LANGUAGES)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ray_cluster: None):
    """A corpus of which the best share is kept, in each language."""
    folder = tmp_path_factory.mktemp(f"share-{request.param}")
    write_tied_sources(folder, request.param)
    return folder, built(parse_recipe(raw(folder, curate=CURATE)), "curate")


def scores_of(artifact: Artifact) -> dict[str, float]:
    """Return the score of every document, dropped ones too, by the classifier itself."""
    (given,) = artifact.inputs("classifier")
    one = open_classifier(given.url)
    rows = {**rows_of(artifact, "documents"), **rows_of(artifact, "dropped")}
    return {name: one.score(row["text"]) for name, row in rows.items()}


def test_the_best_share_stays_to_the_document(shared):
    _, artifact = shared
    scores, dropped = scores_of(artifact), rows_of(artifact, "dropped")
    below = {name for name, row in dropped.items() if row["filter"] == share.KEEP_SHARE}
    order = sorted(scores, key=lambda name: (-scores[name], share.key_of(name)))
    kept = math.ceil(Fraction(str(SHARE)) * len(scores))
    assert below == set(order[kept:])
    assert artifact.stats["read"] == artifact.stats["kept"] + sum(artifact.stats["dropped"].values())


def test_the_threshold_that_came_out_stands_in_stats_rows_and_the_funnel(shared):
    _, artifact = shared
    scores, dropped = scores_of(artifact), rows_of(artifact, "dropped")
    told = artifact.stats["keep_share"]
    below = {name: row for name, row in dropped.items() if row["filter"] == share.KEEP_SHARE}
    worst = min(scores[name] for name in scores if name not in below)
    assert told["threshold"] == worst
    assert (told["judged"], told["kept"]) == (len(scores), len(scores) - len(below))
    for name, row in below.items():
        assert (row["value"], row["threshold"]) == (scores[name], worst)
        assert row["reason"] == ("tied_quality" if scores[name] == worst else "low_quality")
    step = next(step for step in artifact.stats["funnel"] if step["filter"] == share.KEEP_SHARE)
    assert (step["dropped"], step["threshold"]) == (len(below), worst)
    shown = CliRunner().invoke(cli.main, ["show", artifact.url], catch_exceptions=False).stdout
    assert f"keep_share (score from {worst:.6g})" in shown


def test_documents_keep_their_score(shared):
    _, artifact = shared
    scores = scores_of(artifact)
    assert all(row["quality"] == scores[name] for name, row in rows_of(artifact, "documents").items())


def test_what_is_kept_does_not_depend_on_the_workers(shared, tmp_path):
    folder, artifact = shared
    recipe = raw(folder, root=str(tmp_path), curate=CURATE)
    again = built(parse_recipe(recipe), "curate", workers=1)
    assert hashes(again) == hashes(artifact)
    assert again.stats == artifact.stats


def test_explain_decides_as_the_run_did(shared):
    _, artifact = shared
    (given,) = artifact.inputs("classifier")
    config, cut = CurateConfig(preset="none", keep_share=SHARE), share.cut_of(artifact.stats)
    one, dropped = open_classifier(given.url), rows_of(artifact, "dropped")
    for name, row in {**rows_of(artifact, "documents"), **dropped}.items():
        rows = explain(row["text"], config, classifier=one, cut=cut, identity=name)
        broken = decision(rows)
        assert (broken is not None) == (name in dropped and row["filter"] == share.KEEP_SHARE)
        assert rows[-1].threshold == artifact.stats["keep_share"]["threshold"]
    before = explain("Any text.", config, classifier=one)[-1]
    assert (before.outcome, before.threshold) == ("off", None)
    assert "known once documents are curated" in before.note


def test_the_command_explains_with_the_threshold_of_the_run(shared):
    folder, artifact = shared
    path = folder / "recipe.json"
    write_lines(path, [raw(folder, curate=CURATE)])
    name = next(n for n, r in rows_of(artifact, "dropped").items() if r["reason"] == "low_quality")
    ended = CliRunner().invoke(cli.main, ["explain", str(path), "--id", name], catch_exceptions=False)
    assert "dropped by keep_share/low_quality" in ended.stdout, ended.output


@pytest.mark.parametrize(("keep", "stays"), [("longest", "spoiled"), ("best_score", "clean")])
def test_of_copies_the_one_with_the_best_score_can_stay(keep, stays, shared, tmp_path):
    folder, artifact = shared
    language = rows_of(artifact, "documents").popitem()[1]["language"]
    text = max(good(language), key=len)
    menu = bad(text, language, 1)[: len(text) // 6]
    rows = [{"id": "clean", "text": text}, {"id": "spoiled", "text": f"{text}\n{menu}"}]
    write_lines(tmp_path / "corpus.jsonl", rows)
    score = "quality" if keep == "best_score" else None
    copies = {"keep": keep, "score_column": score, "threshold": 0.5}
    curate = {"preset": "none", "thresholds": {"min_quality": 0}, "deduplication": copies}
    files = [{"alias": "mine", "urls": [str(tmp_path / "corpus.jsonl")], "id_column": "id"}]
    made = built(parse_recipe(raw(folder, curate=curate, ingest={"files": files})), "curate")
    assert set(rows_of(made, "documents")) == {stays}


def test_without_a_classifier_documents_have_no_score(tmp_path, ray_cluster):
    write_lines(tmp_path / "corpus.jsonl", [{"id": "a", "text": "One text."}])
    recipe = raw(tmp_path, curate={"preset": "none"})
    artifact = built(parse_recipe({k: recipe[k] for k in ("name", "root", "ingest", "curate")}), "curate")
    assert rows_of(artifact, "documents")["a"]["quality"] is None


def test_a_share_and_a_score_together_are_refused():
    with pytest.raises(ValidationError, match=r"keep_share 0.1 and thresholds.min_quality 0.5 both cut"):
        CurateConfig(keep_share=0.1, thresholds={"min_quality": 0.5})
    CurateConfig(keep_share=0.1, thresholds={"min_quality": 0})


@pytest.mark.parametrize("part", [0, -0.1, 1.5, float("nan")])
def test_a_share_beyond_its_bounds_is_refused_by_name(part):
    with pytest.raises(ValidationError, match="keep_share"):
        CurateConfig(keep_share=part)


def test_a_share_without_a_classifier_is_refused_before_anything_is_read(tmp_path, root, resources):
    recipe: dict[str, Any] = raw(tmp_path, curate={"keep_share": 0.1})
    del recipe["classifier"]
    with pytest.raises(RecipeError, match=r"curate: keep_share needs a classifier; .* classifier\.data"):
        parse_recipe(recipe)
    with pytest.raises(RecipeError, match=r"curate\.keep_share needs a classifier among the inputs"):
        stage.build({"corpora": []}, CurateConfig(keep_share=0.1), root, resources, SilentWatch())


def test_a_share_alone_is_a_use_of_a_classifier(tmp_path):
    parse_recipe(raw(tmp_path, curate={"keep_share": 0.1}))
    by_score = {"deduplication": {"keep": "best_score", "score_column": "quality"}}
    parse_recipe(raw(tmp_path, curate=by_score))
