"""What a labelled record must hold, task by task, and what is made of it.

In: the values of a record, and what its columns are called. Out: the columns of
`lmtrain.schemas.TASK_COLUMNS`, or why the record can't be used.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lmtrain.schemas import TASK_COLUMNS

Content = dict[str, Any]
"""The columns of a task."""

TAG = re.compile(r"O|[BI]-\S+")
"""A word's label in the scheme IOB2; other schemes are for labels that aren't spans."""

FILE_NAMES = {"source_text": "source", "target_text": "target", "answer_starts": "answers"}
"""What a column is called in files where it isn't called as here."""


class UnusableError(Exception):
    """Why a record can't be used: a reason to count, and what is wrong with it."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class TaskForm:
    """How records of a task are read.

    Attributes:
        read: makes a task's columns of the values that stand under their names.
        labels: of an example, where they are of a closed set: each must be in training too.
        optional: columns that a record may lack.
    """

    read: Callable[[Content], Content]
    labels: Callable[[Content], list[str]] | None = None
    optional: frozenset[str] = frozenset()


def names_of(task: str, given: dict[str, str]) -> dict[str, str]:
    """Return what each column of a task is called in the files."""
    return {name: given.get(name, FILE_NAMES.get(name, name)) for name in TASK_COLUMNS[task]}


def contents(task: str, values: dict[str, Any], names: dict[str, str]) -> Iterator[Content]:
    """Yield the examples that a record holds: one, or of a SQuAD article each question of each paragraph.

    Raises:
        UnusableError: one of them can't be used.
    """
    for record in records_in(task, values):
        yield content_of(task, record, names)


def records_in(task: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the record itself, or of a SQuAD article each question with its paragraph.

    Raises:
        UnusableError: the article isn't made of paragraphs with questions.
    """
    return list(_questions(values)) if task in ASKED and "paragraphs" in values else [values]


def content_of(task: str, record: dict[str, Any], names: dict[str, str]) -> Content:
    """Return the example of a record.

    Raises:
        UnusableError: it can't be used.
    """
    form = FORMS[task]
    found = {}
    for name, column in names.items():
        if record.get(column) is None and name not in form.optional:
            kind = "text" if name == next(iter(names)) else name
            raise UnusableError(f"missing_{kind}", f"no {name} in {column!r}")
        found[name] = record.get(column)
    return form.read(found)


def text_in(value: Any, name: str) -> str:
    """Return a text that isn't empty.

    Raises:
        UnusableError: it is no text, or there is nothing in it.
    """
    if not isinstance(value, str):
        raise UnusableError(f"missing_{name}", f"a {type(value).__name__} instead of a text")
    if not value.strip():
        raise UnusableError(f"empty_{name}")
    return value


def label_in(value: Any, name: str = "label") -> str:
    """Return a label as text without spaces around it: from text, an integer or a truth value.

    Raises:
        UnusableError: it is something else, or empty.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int):
        raise UnusableError(f"missing_{name}", f"a {type(value).__name__} instead of a label")
    label = str(value).strip()
    if not label:
        raise UnusableError(f"empty_{name}")
    return label


def list_in(value: Any, name: str) -> list[Any]:
    """Return a list.

    Raises:
        UnusableError: it is none.
    """
    if not isinstance(value, list):
        raise UnusableError(f"missing_{name}", f"a {type(value).__name__} instead of a list")
    return value


def _classification(given: Content) -> Content:
    pair = given["text_pair"]
    return {
        "text": text_in(given["text"], "text"),
        "text_pair": None if pair is None else text_in(pair, "text_pair"),
        "label": label_in(given["label"]),
    }


def _multi_label(given: Content) -> Content:
    labels = sorted({label_in(label) for label in list_in(given["labels"], "labels")})
    return {"text": text_in(given["text"], "text"), "labels": labels}


def _token_classification(given: Content) -> Content:
    tokens, tags = list_in(given["tokens"], "tokens"), list_in(given["tags"], "tags")
    if not tokens:
        raise UnusableError("empty_tokens")
    if len(tokens) != len(tags):
        raise UnusableError("tags_differ_from_tokens", f"{len(tokens)} tokens, {len(tags)} tags")
    for tag in tags:
        if not isinstance(tag, str) or not TAG.fullmatch(tag):
            raise UnusableError("unknown_tag", f"{tag!r} is neither O nor like B-place or I-place")
    return {"tokens": [text_in(token, "token") for token in tokens], "tags": tags}


def _question_answering(given: Content) -> Content:
    context = text_in(given["context"], "context")
    answers, starts = _answers(given)
    for answer, start in zip(answers, starts, strict=True):
        if not 0 <= start <= len(context) - len(answer):
            raise UnusableError("answer_out_of_range", f"{answer!r} at {start} of {len(context)} characters")
        if context[start : start + len(answer)] != answer:
            found = context[start : start + len(answer)]
            raise UnusableError("answer_not_at_its_place", f"{answer!r} at {start}, where {found!r} stands")
    asked = text_in(given["question"], "question")
    return {"context": context, "question": asked, "answers": answers, "answer_starts": starts}


def _answers(given: Content) -> tuple[list[str], list[int]]:
    """Return answers and where they begin: from SQuAD's object of two lists, or its list of objects."""
    found = given["answers"]
    if isinstance(found, dict):
        answers, starts = found.get("text"), found.get("answer_start")
    elif isinstance(found, list) and all(isinstance(one, dict) for one in found):
        answers = [one.get("text") for one in found]
        starts = [one.get("answer_start") for one in found]
    else:
        answers, starts = found, given["answer_starts"]
    answers, starts = list_in(answers, "answers"), list_in(starts, "answer_starts")
    if len(answers) != len(starts):
        raise UnusableError("answers_differ_from_starts", f"{len(answers)} answers, {len(starts)} places")
    if not all(isinstance(start, int) for start in starts):
        raise UnusableError("missing_answer_starts", "a place that isn't a whole number")
    return [text_in(answer, "answer") for answer in answers], starts


def _generative_qa(given: Content) -> Content:
    found = given["answers"]
    if isinstance(found, dict):
        found = found.get("text")
    texts = [found] if isinstance(found, str) else list_in(found, "answers")
    answers = [text_in(one.get("text") if isinstance(one, dict) else one, "answer") for one in texts]
    if not answers:
        raise UnusableError("empty_answers")
    context = given["context"]
    return {
        "context": "" if context is None else text_in(context, "context"),
        "question": text_in(given["question"], "question"),
        "answers": answers,
    }


def _texts(given: Content) -> Content:
    return {name: text_in(value, name) for name, value in given.items()}


def _dialogue(given: Content) -> Content:
    turns = list_in(given["messages"], "messages")
    if len(turns) < 2 or not all(isinstance(turn, dict) for turn in turns):
        raise UnusableError("missing_messages", "a dialogue is a list of two turns or more")
    messages = [
        {"role": label_in(turn.get("role"), "role"), "content": text_in(turn.get("content"), "content")}
        for turn in turns
    ]
    if messages[-1]["role"] != "assistant":
        raise UnusableError("last_turn_not_answered", f"the last turn is {messages[-1]['role']}'s")
    return {"messages": messages}


def _similarity(given: Content) -> Content:
    score = given["score"]
    if isinstance(score, bool) or not isinstance(score, int | float) or score != score or abs(score) > 1e6:
        raise UnusableError("missing_score", f"{score!r} is no number")
    texts = {name: text_in(given[name], name) for name in ("sentence1", "sentence2")}
    return {**texts, "score": float(score)}


FORMS: dict[str, TaskForm] = {
    "classification": TaskForm(_classification, lambda content: [content["label"]], frozenset({"text_pair"})),
    "multi_label": TaskForm(_multi_label, lambda content: content["labels"]),
    "token_classification": TaskForm(_token_classification, lambda content: content["tags"]),
    "question_answering": TaskForm(_question_answering, optional=frozenset({"answer_starts"})),
    "generative_qa": TaskForm(_generative_qa, optional=frozenset({"context"})),
    "dialogue": TaskForm(_dialogue),
    "similarity": TaskForm(_similarity),
    **dict.fromkeys(("summarization", "translation", "generation", "retrieval"), TaskForm(_texts)),
}
"""By task."""

ASKED = frozenset({"question_answering", "generative_qa"})


def _questions(article: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the questions of a SQuAD article, each with its paragraph."""
    for paragraph in list_in(article["paragraphs"], "paragraphs"):
        if not isinstance(paragraph, dict):
            raise UnusableError("missing_context", "a paragraph that is no object")
        for asked in list_in(paragraph.get("qas"), "qas"):
            if not isinstance(asked, dict):
                raise UnusableError("missing_question", "a question that is no object")
            silent = asked.get("is_impossible") is True
            yield {**asked, "context": paragraph.get("context"), **({"answers": []} if silent else {})}
