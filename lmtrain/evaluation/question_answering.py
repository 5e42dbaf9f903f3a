"""Extractive question answering on the test split: a model of ours, no answer, and the nearest sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from transformers import AutoModelForQuestionAnswering

from lmtrain.encoding.rows import Row
from lmtrain.encoding.windows import Window, windows
from lmtrain.evaluation.answers import BY_CHARACTERS, answer_scores, cmrc_units, squad_words
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.examples import Example, labelled_examples
from lmtrain.evaluation.models import Loaded, batches_by_length, run_batches
from lmtrain.evaluation.scored import Scored, scored_examples
from lmtrain.manifest import Artifact
from lmtrain.text.segmentation import sentences

TOKENS_AT_ONCE = 4096
"""Tokens of a batch, padding included."""

LONGEST_ANSWER = 40
"""Tokens of an answer at most."""

NO_ANSWER = 0
"""Place of the token that stands for no answer."""


@dataclass(frozen=True)
class Span:
    """The best answer of a window.

    Attributes:
        score: of its begin and end together.
        text: as the context has it.
    """

    score: float
    text: str


def score_model(labelled: Artifact, system: Artifact, context: Context) -> Scored:
    """Score a fine-tuned model."""
    examples = labelled_examples(labelled, "test", context.removed)
    loaded = context.load(AutoModelForQuestionAnswering, context.weights(system))
    return scored_answers(
        examples, predict(loaded, examples, context), context, f"|answer:{LONGEST_ANSWER} tokens"
    )


def predict(loaded: Loaded, examples: Sequence[Example], context: Context) -> list[str]:
    """Return the answer to each question; empty where no answer scores higher than every span.

    As SQuAD 2.0's systems do (Devlin et al. 2019): the best span of all windows, unless the window that is
    least sure of no answer is surer of it.
    """
    params = loaded.params("question_answering")
    cut = [
        windows(loaded.tokenizer, one["question"], one["context"], params["max_length"], params["stride"])
        for one in examples
    ]
    flat = [(number, window) for number, own in enumerate(cut) for window in own]
    best: list[Span] = [Span(-np.inf, "")] * len(flat)
    none = np.zeros(len(flat))

    def work(batch: list[int]) -> None:
        found = loaded.model(**loaded.batch([Row(flat[index][1].by_token) for index in batch]))
        begins, ends = (logits.float().cpu().numpy() for logits in (found.start_logits, found.end_logits))
        for row, index in enumerate(batch):
            number, window = flat[index]
            best[index] = best_span(begins[row], ends[row], window, examples[number]["context"])
            none[index] = begins[row, NO_ANSWER] + ends[row, NO_ANSWER]

    batches = batches_by_length([len(window.characters) for _, window in flat], TOKENS_AT_ONCE)
    run_batches(batches, work, context.watch, "windows", context.threads)
    answers = [Span(-np.inf, "")] * len(examples)
    doubt = np.full(len(examples), np.inf)
    for (number, _), span, silent in zip(flat, best, none, strict=True):
        doubt[number] = min(doubt[number], silent)
        if span.score > answers[number].score:
            answers[number] = span
    return [span.text if span.score > silent else "" for span, silent in zip(answers, doubt, strict=True)]


def best_span(begins: np.ndarray, ends: np.ndarray, window: Window, context: str) -> Span:
    """Return the span of the context with the highest score of begin and end.

    Args:
        begins: score of each token as the begin, shape (tokens or more,).
        ends: the same as the end.
        window: what the model has read.
        context: whose characters the window names.
    """
    tokens = len(window.characters)
    inside = np.flatnonzero(window.characters[:, 0] >= 0)
    if not len(inside):
        return Span(-np.inf, "")
    scores = begins[:tokens, None] + ends[None, :tokens]
    first, last = np.arange(tokens)[:, None], np.arange(tokens)[None, :]
    allowed = (last >= first) & (last - first < LONGEST_ANSWER)
    allowed &= (first >= inside[0]) & (last <= inside[-1])
    scores = np.where(allowed, scores, -np.inf)
    begin, end = divmod(int(scores.argmax()), tokens)
    text = context[window.characters[begin, 0] : window.characters[end, 1]]
    return Span(float(scores[begin, end]), text.strip())


def score_no_answer(labelled: Artifact, context: Context) -> Scored:
    """Score saying nothing: right for every question without an answer."""
    examples = labelled_examples(labelled, "test", context.removed)
    return scored_answers(examples, [""] * len(examples), context)


def score_nearest_sentence(labelled: Artifact, context: Context) -> Scored:
    """Score the sentence of the context that shares most words with the question."""
    examples = labelled_examples(labelled, "test", context.removed)
    language = context.config.tokens_of
    return scored_answers(
        examples,
        [nearest_sentence(one["question"], one["context"], language) for one in examples],
        context,
    )


def nearest_sentence(question: str, context: str, language: str) -> str:
    """Return the sentence that shares most different words (in Chinese characters) with a question.

    Of several the first; by sharing is meant a share of the sentence's words, so that long ones don't win.
    """
    units = cmrc_units if language in BY_CHARACTERS else squad_words
    asked = set(units(question))
    best, text = -1.0, ""
    for sentence in sentences(context, language):
        own = set(units(sentence))
        share = len(own & asked) / (len(own) + len(asked)) if own else 0.0
        if share > best:
            best, text = share, sentence.strip()
    return text


def scored_answers(
    examples: Sequence[Example], answers: Sequence[str], context: Context, about: str = ""
) -> Scored:
    """Return the scores of answers, empty for none; `about` tells in the signature how they came about."""
    language = context.config.tokens_of
    rows = [
        [1.0, *answer_scores(answer, example["answers"], language)]
        for example, answer in zip(examples, answers, strict=True)
    ]
    rules = "cmrc2018" if language in BY_CHARACTERS else "squad"
    return scored_examples(
        examples, answers, np.array(rows), dict.fromkeys(("f1", "exact_match"), f"rules:{rules}{about}")
    )
