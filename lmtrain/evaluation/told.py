"""A model to which several tasks are told as text: what it writes on a test set is read as an answer.

Scores stand beside those of models with a head: the same metrics, on the same
examples. What can't be read as an answer has no prediction, and counts as wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lmtrain.encoding.prompts import PROMPTS
from lmtrain.encoding.told import answer_in, label_in, labels_in, score_in, told
from lmtrain.errors import StageError
from lmtrain.evaluation.classification import scored_labels
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.examples import Example, labelled_examples
from lmtrain.evaluation.question_answering import scored_answers
from lmtrain.evaluation.scored import Scored
from lmtrain.evaluation.text_to_text import load_writer, scored_texts, written
from lmtrain.evaluation.vectors import scored_similarities
from lmtrain.manifest import Artifact

ANY_STEP = 1.0
"""Of scores: sources don't follow from it."""


def score_model(labelled: Artifact, system: Artifact, context: Context) -> Scored:
    """Score what a model writes for one of its tasks, named by the config's `part`.

    Raises:
        StageError: the model doesn't know the task.
    """
    config = context.config
    most = config.max_generated if config.task in PROMPTS else None  # other tasks' answers are short
    examples = labelled_examples(labelled, "test", context.removed, most)
    loaded = load_writer(system, context)
    known = loaded.params("text_to_text")
    if config.part not in known:
        raise StageError(f"the model wasn't fine-tuned for {config.part!r}; it was for {', '.join(known)}")
    params = known[config.part]
    sources = [told(config.task, ANY_STEP).source(example) for example in examples]
    texts = written(loaded, sources, context, params)
    about = f"beams:{config.num_beams}"
    if config.task in PROMPTS:
        return scored_texts(examples, texts, context, about)
    return READERS[config.task](examples, texts, params, context, f"|written|{about}")


def read_label(
    examples: Sequence[Example], texts: Sequence[str], params: dict[str, Any], context: Context, about: str
) -> Scored:
    """Score labels; a text that is none is no label."""
    labels = [label_in(text, params["labels"]) for text in texts]
    scored = scored_labels(examples, [[] if one is None else [one] for one in labels], context, about)
    return _with_unread(scored, [one is not None for one in labels])


def read_labels(
    examples: Sequence[Example], texts: Sequence[str], params: dict[str, Any], context: Context, about: str
) -> Scored:
    """Score several labels; of a text that isn't made of labels alone those that are count."""
    found = [labels_in(text, params["labels"]) for text in texts]
    scored = scored_labels(examples, [labels for labels, _ in found], context, about)
    return _with_unread(scored, [whole or bool(labels) for labels, whole in found])


def read_answer(
    examples: Sequence[Example], texts: Sequence[str], params: dict[str, Any], context: Context, about: str
) -> Scored:
    """Score answers, any text of which may be one."""
    return scored_answers(examples, [answer_in(text) for text in texts], context, about)


def read_score(
    examples: Sequence[Example], texts: Sequence[str], params: dict[str, Any], context: Context, about: str
) -> Scored:
    """Score numbers; a text that is none counts as the lowest score of training."""
    lowest, highest = params["range"]
    scores = [score_in(text, lowest, highest) for text in texts]
    numbers = np.array([lowest if one is None else one for one in scores])
    scored = scored_similarities(examples, numbers, about.strip("|"))
    return _with_unread(scored, [one is not None for one in scores])


READERS: dict[str, Callable[..., Scored]] = {
    "classification": read_label,
    "multi_label": read_labels,
    "question_answering": read_answer,
    "similarity": read_score,
}
"""How what is written is read, by task; other tasks' answers are texts."""


def _with_unread(scored: Scored, read: Sequence[bool]) -> Scored:
    """Return scores without predictions where nothing could be read, and how often that was."""
    predictions = [text if good else None for text, good in zip(scored.predictions, read, strict=True)]
    return replace(scored, predictions=predictions, stats={**scored.stats, "unread": read.count(False)})
