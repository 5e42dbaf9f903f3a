"""Static vectors as systems: on every task that they can serve, in the same scores as the others."""

import json

import numpy as np
import pytest
from test_evaluation_stage import RESOURCES, data_and_model, rows_for, rows_of, score, settings
from tiny_line import artifact

from lmtrain.errors import CancelledError, RecipeError
from lmtrain.evaluation.comparison import read_samples
from lmtrain.evaluation.config import BASELINES, WORD_VECTOR_TASKS, WORD_VECTORS
from lmtrain.evaluation.stage import WORD_VECTOR_SCORERS, build
from lmtrain.evaluation.token_classification import windows_of
from lmtrain.manifest import Artifact
from lmtrain.metrics import metrics_of
from lmtrain.text.word_vectors import WordVectors, words_of
from lmtrain.watch import SilentWatch
from lmtrain.wordvectors.config import WordVectorsConfig

TOPICS = {
    "en": {"animal": "cat dog fox horse mouse", "food": "bread soup rice cake apple", "": "the a of in is"},
    "zh": {"animal": "小猫 小狗 狐狸 老虎 大象", "food": "面包 米饭 苹果 蛋糕 牛奶", "": "的 在 是 了 有"},
}
"""Words of two topics, and words of none."""


def vectors_of_topics(language: str) -> WordVectors:
    """Vectors that tell the topics apart: what training gives on much text."""
    chance = np.random.default_rng(0)
    words, rows = [], []
    for place, names in enumerate(TOPICS[language].values()):
        for word in names.split():
            words.append(word)
            rows.append(chance.normal(0, 0.1, 6) + np.eye(6)[place])
    return WordVectors(words, np.array(rows, dtype=np.float32), np.array([10] * 10 + [500] * 5))


def texts_of_topics(language: str) -> list[tuple[str, str]]:
    """Texts, each with its topic."""
    chance = np.random.default_rng(1)
    space = " " if language == "en" else ""
    found = []
    for number in range(60):
        topic = ("animal", "food")[number % 2]
        own, none = TOPICS[language][topic].split(), TOPICS[language][""].split()
        words = [str(chance.choice(none if place % 2 else own)) for place in range(6)]
        found.append((space.join(words), topic))
    return found


@pytest.fixture
def vectors(line) -> str:
    """The URL of an artifact with the vectors of the line's language."""

    def write(output):
        vectors_of_topics(line.language).save(output.path("vectors/vocabulary.json").parent)
        output.add_folder("vectors", "vectors")

    inputs = {"documents": [line.documents_url]}
    return artifact(WordVectorsConfig(name="topics"), inputs, line.root, write)


def scored(line, data, task, vectors):
    return score(line, data, task, WORD_VECTORS, vectors)


def headline(url):
    return rows_of(url)[0]["value"]


def test_every_task_that_they_serve_has_its_scorer():
    assert set(WORD_VECTOR_SCORERS) == set(WORD_VECTOR_TASKS) < set(BASELINES)


@pytest.mark.parametrize("task", WORD_VECTOR_TASKS)
def test_they_are_scored_on_the_examples_of_the_other_systems_and_named_by_their_label(line, vectors, task):
    data, _ = data_and_model(line, task)
    url = scored(line, data, task, vectors)
    rows = rows_of(url)
    assert {row["system"] for row in rows} == {"word2vec-topics"}
    assert {row["model_digest"] for row in rows} == {Artifact(vectors).address.digest}
    assert [row["metric"] for row in rows] == [metric.name for metric in metrics_of(task)]
    assert all("words" in row["signature"] for row in rows)
    for other in BASELINES[task]:
        compared = score(line, data, task, other)
        assert read_samples(Artifact(url))["example_id"] == read_samples(Artifact(compared))["example_id"]


def test_texts_are_told_apart_by_the_meaning_of_their_words(line, vectors):
    rows = [{"text": text, "label": topic} for text, topic in texts_of_topics(line.language)]
    assert (
        headline(scored(line, line.labelled("classification", rows, "topics"), "classification", vectors))
        == 1
    )
    several = [
        {"text": row["text"], "labels": [row["label"], "any"][: 1 + n % 2]} for n, row in enumerate(rows)
    ]
    found = scored(line, line.labelled("multi_label", several, "marks"), "multi_label", vectors)
    samples = read_samples(Artifact(found)).to_pylist()
    assert all(rows[int(sample["example_id"][1:])]["label"] in sample["prediction"] for sample in samples)


def test_words_are_labelled_by_what_they_and_their_neighbours_mean(line, vectors):
    tag = {
        word: f"B-{topic}"
        for topic, words in TOPICS[line.language].items()
        if topic
        for word in words.split()
    }
    rows = []
    for text, _ in texts_of_topics(line.language):
        tokens = words_of(text, line.language, "default", lowercase=True)
        rows.append({"tokens": tokens, "tags": [tag.get(token, "O") for token in tokens]})
    data = line.labelled("token_classification", rows, "tags")
    assert headline(scored(line, data, "token_classification", vectors)) == 1


def test_a_set_with_one_label_only_is_labelled_so(line, vectors):
    rows = [{"tokens": text[:6].split() or ["x"], "tags": ["O"]} for text in line.texts]
    rows = [{"tokens": row["tokens"][:1], "tags": row["tags"]} for row in rows]
    data = line.labelled("token_classification", rows, "outside")
    found = read_samples(Artifact(scored(line, data, "token_classification", vectors)))
    assert set(found["prediction"].to_pylist()) == {"O"}


def test_a_window_is_the_word_between_its_neighbours(line):
    own = vectors_of_topics(line.language)
    first, second = own.words[:2]
    examples = [{"tokens": [first, second, "unknown"]}, {"tokens": []}, {"tokens": [second]}]
    zero, one, two = np.zeros(6), own.vectors[0], own.vectors[1]
    expected = [[zero, one, two], [one, two, zero], [two, zero, zero], [zero, two, zero]]
    assert windows_of(own, examples).tolist() == [np.concatenate(row).tolist() for row in expected]


def test_what_means_the_same_is_near(line, vectors):
    texts = texts_of_topics(line.language)
    pairs = [(texts[n], texts[n + 1 + n % 3]) for n in range(50)]
    rows = [
        {"sentence1": one, "sentence2": two, "score": 5.0 * (topic == other)}
        for (one, topic), (two, other) in pairs
    ]
    url = scored(line, line.labelled("similarity", rows, "pairs"), "similarity", vectors)
    assert headline(url) > 0.8
    own = vectors_of_topics(line.language)
    test = rows[34:]
    told = read_samples(Artifact(url))["prediction"].to_pylist()
    by_hand = []
    for row in test:
        one, two = (own.of_text(row[name], line.language) for name in ("sentence1", "sentence2"))
        by_hand.append(one @ two / np.linalg.norm(one) / np.linalg.norm(two))
    assert sorted(map(float, told)) == pytest.approx(sorted(by_hand), abs=1e-4)


def test_a_text_without_a_known_word_is_like_none(line, vectors):
    rows = [{"query": text, "passage": f"{text} 0"} for text, _ in texts_of_topics(line.language)]
    unknown = [{"query": "qwertz", "passage": row["passage"]} for row in rows]
    found = scored(line, line.labelled("retrieval", unknown, "unknown"), "retrieval", vectors)
    ranks = read_samples(Artifact(found))["prediction"].to_pylist()
    assert set(ranks) == {str(len({row["passage"] for row in unknown[40:]}))}, "as near as all: last"
    known = scored(line, line.labelled("retrieval", rows, "known"), "retrieval", vectors)
    assert headline(known) == 1


def test_the_same_scoring_writes_the_same_bytes(line, vectors, root):
    data = line.labelled("classification", rows_for("classification", line.texts), "again")
    inputs = {"data": [data], "system": [vectors]}
    hashes = []
    for seed in (7, 8):
        config = settings("classification", WORD_VECTORS, line.language, seed=seed)
        made = Artifact(build(inputs, config, line.root, RESOURCES, SilentWatch()))
        hashes.append(next(record.sha256 for record in made.files("samples")))
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("task", ["classification", "similarity"])
def test_it_stops_when_the_watch_says_so(line, vectors, task):
    class Impatient(SilentWatch):
        def cancelled(self):
            return True

    data = line.labelled(task, rows_for(task, line.texts), "stopped")
    with pytest.raises(CancelledError):
        score(line, data, task, WORD_VECTORS, vectors, watch=Impatient())


def test_what_they_cannot_serve_is_refused(line, vectors):
    with pytest.raises(
        RecipeError, match="static vectors can't serve summarization; they can: classification"
    ):
        scored(
            line,
            line.labelled("summarization", rows_for("summarization", line.texts), "s"),
            "summarization",
            vectors,
        )


def test_the_scores_are_named_by_the_vectors_and_the_set(line, vectors):
    data = line.labelled("similarity", rows_for("similarity", line.texts), "own")
    made = Artifact(scored(line, data, "similarity", vectors))
    assert [record.role for record in made.manifest.files] == ["scores", "samples"]
    assert made.address.label == "word2vec-topics-set"
    assert json.loads(made.open(made.files("scores")[0]).read_text())[0]["seed"] == 0
