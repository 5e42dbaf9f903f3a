"""The stage: every task's model and baselines, from artifacts to scores."""

import json

import pytest
from tiny_line import CONTEXT, LONG, artifact

from lmtrain import schemas, storage
from lmtrain.canaries import TIMES, CanaryConfig
from lmtrain.config import Resources
from lmtrain.errors import CancelledError, RecipeError, StageError
from lmtrain.evaluation import memorization
from lmtrain.evaluation.comparison import compare, read_samples
from lmtrain.evaluation.config import BASELINES, EvaluateConfig
from lmtrain.evaluation.stage import BASELINE_SCORERS, MODELS, build
from lmtrain.manifest import Artifact
from lmtrain.metrics import METRICS, TASK_METRICS, metrics_of
from lmtrain.modeling.fitting import TASKS as FITS
from lmtrain.statistics import metric_from_statistics, statistics_of
from lmtrain.tokenization.config import ShardsConfig
from lmtrain.watch import SilentWatch

RESOURCES = Resources(workers=1)


@pytest.fixture(autouse=True)
def few_codes(monkeypatch):
    """Canaries are ranked among few codes."""
    monkeypatch.setattr(memorization, "CANDIDATES", 8)


def settings(task, system, language="en", **more):
    more = {"bootstrap_samples": 50, "max_target_length": 8, **more}
    return EvaluateConfig(task=task, system=system, dataset="set", language=language, **more)


def score(line, data, task, system="model", model=None, watch=None, **more):
    inputs = {"data": [data], **({"system": [model]} if model else {})}
    config = settings(task, system, line.language, **more)
    return build(inputs, config, line.root, RESOURCES, watch or SilentWatch())


def rows_of(url):
    scores = Artifact(url)
    return json.loads(scores.open(scores.files("scores")[0]).read_text(encoding="utf-8"))


def rows_for(task, texts):
    """Examples of a task made of texts."""
    labels = ["a", "b", "c"]
    made = {
        "classification": lambda text, n: {"text": text, "label": labels[n % 3]},
        "multi_label": lambda text, n: {"text": text, "labels": labels[: n % 3]},
        "token_classification": lambda text, n: {
            "tokens": list(text[:6].replace(" ", "_")),
            "tags": ["B-X", "I-X", "O", "B-Y", "O", "O"],
        },
        "question_answering": lambda text, n: {
            "context": text,
            "question": text[:5],
            "answers": [text[:4]] if n % 3 else [],
            "answer_starts": [0] if n % 3 else [],
        },
        "generative_qa": lambda text, n: {"context": text, "question": text[:5], "answers": [text[:4]]},
        "summarization": lambda text, n: {"document": text, "summary": text[:20]},
        "translation": lambda text, n: {"source_text": text, "target_text": text[::-1]},
        "generation": lambda text, n: {"prompt": text[:9], "response": text[9:]},
        "dialogue": lambda text, n: {
            "messages": [{"role": "user", "content": text[:9]}, {"role": "assistant", "content": text[9:]}]
        },
        "similarity": lambda text, n: {"sentence1": text, "sentence2": text[n % 7 :], "score": float(n % 6)},
        "retrieval": lambda text, n: {"query": text[:9], "passage": text},
    }[task]
    return [made(text, number) for number, text in enumerate(texts)]


def settings_for(task):
    if FITS[task].head == "text":
        return {"max_length": LONG, "max_target_length": 8}
    return {"max_length": CONTEXT, **({"stride": 4} if task == "question_answering" else {})}


def data_and_model(line, task):
    if task in ("language_modeling", "bias"):
        return line.shards_url, line.language_model()
    if task == "masked_language_modeling":
        return line.shards_url, line.masked_language_model()
    if task == "memorization":
        config = ShardsConfig(canaries=CanaryConfig(repetitions=list(TIMES), sets=2))
        inputs = {"documents": [line.documents_url], "tokenizer": [line.tokenizer_url]}
        return artifact(config, inputs, line.root, line.write_shards), line.language_model()
    rows = rows_for(task, line.texts)
    return line.labelled(task, rows, task), line.tuned(task, rows, **settings_for(task))


def test_every_task_has_its_scorers():
    assert set(MODELS) == set(BASELINES)
    assert {task: tuple(scorers) for task, scorers in BASELINE_SCORERS.items()} == BASELINES


@pytest.mark.parametrize("task", MODELS)
def test_every_system_is_scored_on_the_same_examples_in_both_languages(line, task):
    data, model = data_and_model(line, task)
    urls = [score(line, data, task, model=model)]
    urls += [score(line, data, task, name) for name in BASELINES[task]]
    examples = [read_samples(Artifact(url))["example_id"].to_pylist() for url in urls]
    assert examples[0]
    assert all(found == examples[0] for found in examples)


@pytest.mark.parametrize("task", MODELS)
def test_rows_say_what_was_measured_how_and_how_sure(line, task):
    data, model = data_and_model(line, task)
    url = score(line, data, task, model=model)
    rows, stats = rows_of(url), Artifact(url).stats
    assert [row["metric"] for row in rows] == [metric.name for metric in metrics_of(task)]
    for row in rows:
        assert list(row) == [
            "system", "model_digest", "task", "language", "dataset", "split", "metric", "signature",
            "value", "low", "high", "samples", "seed",
        ]  # fmt: skip
        assert row["low"] <= row["value"] + 1e-9
        assert row["value"] <= row["high"] + 1e-9
        assert row["signature"]
        assert row["model_digest"] == Artifact(model).manifest.digest
    assert stats["headline"] == {key: rows[0][key] for key in ("metric", "value", "low", "high")}
    assert stats["samples"] == rows[0]["samples"]


@pytest.mark.parametrize("task", MODELS)
def test_every_score_follows_from_the_samples(line, task):
    data, model = data_and_model(line, task)
    url = score(line, data, task, model=model)
    samples = read_samples(Artifact(url))
    assert samples.schema.equals(schemas.SAMPLES)
    for row in rows_of(url):
        again = metric_from_statistics(row["metric"], statistics_of(samples))
        assert again == pytest.approx(row["value"], rel=1e-9)


def test_a_baseline_is_a_system_without_a_model(english):
    row = rows_of(score(english, english.shards_url, "language_modeling", "xz"))[0]
    assert (row["system"], row["model_digest"]) == ("xz", None)


def test_xz_has_no_perplexity_of_tokens_because_it_has_none(english):
    rows = rows_of(score(english, english.shards_url, "language_modeling", "xz"))
    assert [row["metric"] for row in rows] == ["bits_per_byte", "word_perplexity"]


def test_a_language_model_shows_what_it_writes(line):
    scores = Artifact(score(line, line.shards_url, "language_modeling", model=line.language_model()))
    generated = json.loads(scores.open(scores.files("generated")[0]).read_text(encoding="utf-8"))
    assert 4 <= len(generated) <= 6
    for sample in generated:
        assert sample["continuation"]
        assert any(text.startswith(sample["prompt"]) for text in line.texts)


def test_the_same_scoring_writes_the_same_bytes(english):
    data, model = data_and_model(english, "summarization")
    inputs = {"data": [data], "system": [model]}
    hashes = []
    for _ in range(2):
        url = build(
            inputs, settings("summarization", "model", seed=7), english.root, RESOURCES, SilentWatch()
        )
        hashes.append([record.sha256 for record in Artifact(url).manifest.files])
        storage.delete(url.removesuffix("/manifest.json"))
    assert hashes[0] == hashes[1]


def test_fewer_examples_are_chosen_by_their_ids_alone(english):
    data, _ = data_and_model(english, "summarization")
    few = read_samples(Artifact(score(english, data, "summarization", "first_sentence", max_generated=4)))
    more = read_samples(Artifact(score(english, data, "summarization", "first_sentence", max_generated=6)))
    assert few["example_id"].to_pylist() == more["example_id"].to_pylist()[:4]
    url = score(english, english.shards_url, "language_modeling", "bigram", max_documents=3)
    assert rows_of(url)[0]["samples"] == 3


def test_two_systems_compare_on_the_same_examples(english):
    data, _ = data_and_model(english, "classification")
    majority = score(english, data, "classification", "majority")
    tfidf = score(english, data, "classification", "tfidf")
    difference = compare(tfidf, majority, "accuracy", samples=100)
    expected = rows_of(tfidf)[0]["value"] - rows_of(majority)[0]["value"]
    assert difference.value == pytest.approx(expected)
    assert compare(majority, tfidf, "accuracy", samples=100).value == pytest.approx(-expected)


def test_systems_on_different_examples_do_not_compare(english):
    a = score(english, english.shards_url, "language_modeling", "bigram", max_documents=3)
    b = score(english, english.shards_url, "language_modeling", "bigram", max_documents=4)
    with pytest.raises(StageError, match="different examples"):
        compare(a, b, "bits_per_byte")


def test_a_metric_that_a_system_lacks_is_named(english):
    url = score(english, english.shards_url, "language_modeling", "xz")
    with pytest.raises(StageError, match="has no perplexity; it has bits_per_byte"):
        compare(url, url, "perplexity")


def test_an_unknown_baseline_is_refused(english):
    with pytest.raises(RecipeError, match="no baseline 'xz'; there are: majority, tfidf"):
        score(english, english.shards_url, "classification", "xz")


def test_a_model_with_another_vocabulary_is_refused(lines):
    with pytest.raises(StageError, match="another vocabulary"):
        score(
            lines["en"], lines["en"].shards_url, "language_modeling", model=lines["zh"].language_model(),
            seed=3,
        )  # fmt: skip


def test_a_set_without_test_examples_is_refused(english):
    rows = [{"text": "a", "label": "a", "split": "train"}, {"text": "b", "label": "b", "split": "train"}]
    data = english.labelled("classification", rows, "onlytrain")
    with pytest.raises(StageError, match="onlytrain has no test examples"):
        score(english, data, "classification", "majority")


def test_one_class_only_is_refused(english):
    rows = [{"text": text, "label": "a"} for text in english.texts]
    data = english.labelled("classification", rows, "oneclass")
    with pytest.raises(StageError, match="all training examples are 'a'"):
        score(english, data, "classification", "tfidf")


def test_it_stops_when_the_watch_says_so(english):
    class Impatient(SilentWatch):
        def cancelled(self):
            return True

    with pytest.raises(CancelledError):
        score(
            english, english.shards_url, "language_modeling", model=english.language_model(),
            watch=Impatient(), seed=5,
        )  # fmt: skip


def test_progress_counts_to_its_end(english):
    class Seen(SilentWatch):
        def __init__(self):
            self.told = []

        def progress(self, done, total, unit):
            self.told.append((done, total, unit))

    watch = Seen()
    model = english.language_model()
    score(english, english.shards_url, "language_modeling", model=model, watch=watch, seed=6)
    assert watch.told[0][0] == 0
    assert watch.told[-1][0] == watch.told[-1][1] > 0


def test_every_metric_belongs_to_a_task_that_is_scored():
    assert set(TASK_METRICS) == set(MODELS)
    assert {name for names in TASK_METRICS.values() for name in names} == set(METRICS)
