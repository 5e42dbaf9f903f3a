"""Labels of words on the test split: a model, static vectors, and the most frequent label of each word.

Entities are counted as seqeval counts them, in both of its modes: by default an
entity may begin with I- where nothing of its type stands before; in strict mode
(scheme IOB2) only with B-.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib import metadata
from itertools import islice

import numpy as np
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, Entities
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from transformers import AutoModelForTokenClassification

from lmtrain.encoding.rows import Row
from lmtrain.encoding.words import encode_words
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.examples import Example, labelled_examples
from lmtrain.evaluation.models import Loaded, batches_by_length, run_batches
from lmtrain.evaluation.scored import Scored, scored_examples
from lmtrain.manifest import Artifact
from lmtrain.text.word_vectors import WordVectors

TOKENS_AT_ONCE = 4096
"""Tokens of a batch, padding included."""

TOLERANCE = 1e-3
"""Gradient at which the regression ends."""

OUTSIDE = "O"
"""Label of a word that belongs to no entity, and of one that a model doesn't see."""

NEIGHBORS = 1
"""Words to each side whose vectors a regression reads beside the word's own."""

INVERSE_REGULARIZATION = 1.0
"""C of the logistic regression on static vectors: on names in a newspaper better than 0.1, as good as 10."""

Entity = tuple[str, int, int]
"""Type, first word, and the word behind the last."""


def score_model(labelled: Artifact, system: Artifact, context: Context) -> Scored:
    """Score a fine-tuned model."""
    examples = labelled_examples(labelled, "test", context.removed)
    loaded = context.load(AutoModelForTokenClassification, context.weights(system))
    return _scored(examples, predict(loaded, examples, context))


def predict(loaded: Loaded, examples: Sequence[Example], context: Context) -> list[list[str]]:
    """Return a label for each word of each example.

    A sentence that is too long for the model is read in pieces that begin where the one before ended.
    """
    longest = loaded.params("token_classification")["max_length"]
    names = loaded.model.config.id2label
    rows: list[Row] = []
    where: list[tuple[int, int, list[int]]] = []  # example, its first word in the row, places of words
    for number, example in enumerate(examples):
        first = 0
        while first < len(example["tokens"]):
            ids, places = encode_words(loaded.tokenizer, example["tokens"][first:], longest)
            if not places:  # one word that is longer than a row
                first += 1
                continue
            rows.append(Row({"input_ids": np.array(ids)}))
            where.append((number, first, places))
            first += len(places)
    labels = [[OUTSIDE] * len(example["tokens"]) for example in examples]

    def work(batch: list[int]) -> None:
        found = loaded.model(**loaded.batch([rows[index] for index in batch])).logits.argmax(dim=-1).tolist()
        for index, tags in zip(batch, found, strict=True):
            number, first, places = where[index]
            for word, place in enumerate(places):
                if place >= 0:
                    labels[number][first + word] = names[tags[place]]

    batches = batches_by_length([row.tokens for row in rows], TOKENS_AT_ONCE)
    run_batches(batches, work, context.watch, "sentences", context.threads)
    return labels


def score_most_frequent(labelled: Artifact, context: Context) -> Scored:
    """Score the label that each word has most often in training; of a word that isn't there none."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for example in labelled_examples(labelled, "train", context.removed):
        for word, tag in zip(example["tokens"], example["tags"], strict=True):
            counts[word][tag] += 1
    usual = {word: min(own, key=lambda tag: (-own[tag], tag)) for word, own in counts.items()}
    examples = labelled_examples(labelled, "test", context.removed)
    predictions = [[usual.get(word, OUTSIDE) for word in example["tokens"]] for example in examples]
    return _scored(examples, predictions)


def score_word_vectors(labelled: Artifact, system: Artifact, context: Context) -> Scored:
    """Score logistic regression on the static vectors of each word and of those beside it."""
    training = labelled_examples(labelled, "train", context.removed)
    examples = labelled_examples(labelled, "test", context.removed)
    vectors = WordVectors.load(system.folder("vectors"))
    tags = [tag for example in training for tag in example["tags"]]
    asked = windows_of(vectors, examples)
    if len(set(tags)) < 2:  # a regression needs something to tell apart
        found = [*tags[:1], OUTSIDE][:1] * len(asked)
    else:
        regression = LogisticRegression(C=INVERSE_REGULARIZATION, tol=TOLERANCE, max_iter=1000)
        model = make_pipeline(StandardScaler(), regression)
        with threadpool_limits(1):  # the products are too small to share
            found = model.fit(windows_of(vectors, training), tags).predict(asked).tolist()
    words = iter(found)
    predictions = [list(islice(words, len(example["tokens"]))) for example in examples]
    about = f"|words:{2 * NEIGHBORS + 1}|sklearn:{metadata.version('scikit-learn')}"
    return _scored(examples, predictions, about)


def windows_of(vectors: WordVectors, examples: Sequence[Example]) -> np.ndarray:
    """Return the vectors of each word and its neighbours, zeros beyond the ends of a sentence.

    Args:
        vectors: of words.
        examples: sentences.

    Returns:
        Shape (words of all sentences, (2 * NEIGHBORS + 1) * width), float32.
    """
    rows = [np.zeros((0, (2 * NEIGHBORS + 1) * vectors.width), dtype=np.float32)]
    for example in examples:
        padded = np.pad(vectors.of(example["tokens"]), ((NEIGHBORS, NEIGHBORS), (0, 0)))
        shifts = range(2 * NEIGHBORS + 1)
        rows.append(np.concatenate([padded[at : at + len(example["tokens"])] for at in shifts], axis=1))
    return np.concatenate(rows)


def entities(tags: Sequence[str]) -> set[Entity]:
    """Return the entities of a sentence by seqeval's default mode."""
    return {(kind, first, last + 1) for kind, first, last in get_entities(list(tags))}


def strict_entities(tags: Sequence[str]) -> set[Entity]:
    """Return the entities of a sentence by seqeval's strict mode with the scheme IOB2."""
    found = Entities([list(tags)], IOB2).entities[0]
    return {(one.tag, one.start, one.end) for one in found}


def statistics_of_tags(
    predictions: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], types: Sequence[str]
) -> np.ndarray:
    """Return the statistics of each sentence, shape (sentences, 6 * types + 2); see `lmtrain.metrics`."""
    column = {kind: place for place, kind in enumerate(types)}
    rows = np.zeros((len(gold), 6 * len(types) + 2))
    for row, (ours, theirs) in enumerate(zip(predictions, gold, strict=True)):
        for mode, found_in in enumerate((entities, strict_entities)):
            predicted, true = found_in(ours), found_in(theirs)
            for place, some in enumerate((predicted & true, predicted, true)):
                for kind, *_ in some:
                    rows[row, mode * 3 * len(types) + 3 * column[kind] + place] += 1
        rows[row, -2:] = sum(map(str.__eq__, ours, theirs)), len(theirs)
    return rows


def _scored(examples: Sequence[Example], predictions: Sequence[Sequence[str]], about: str = "") -> Scored:
    gold = [example["tags"] for example in examples]
    types = sorted({kind for tags in [*gold, *predictions] for kind, *_ in entities(tags)})
    version = f"seqeval:{metadata.version('seqeval')}{about}"
    default = f"mode:default|types:{len(types)}|{version}"
    names = ("entity_f1", "entity_precision", "entity_recall", "entity_f1_macro")
    return scored_examples(
        examples,
        [" ".join(tags) for tags in predictions],
        statistics_of_tags(predictions, gold, types),
        {
            **dict.fromkeys(names, default),
            "entity_f1_strict": f"mode:strict|scheme:IOB2|types:{len(types)}|{version}",
            "word_accuracy": f"words{about}",
        },
        types=types,
    )
