"""What a labelled example says, as text: to know copies by, to look for in training data, to show to people.

In: an example with the columns of its task (`lmtrain.schemas.TASK_COLUMNS`).
"""

from collections.abc import Callable
from typing import Any

from lmtrain.schemas import LABELLED_BASE

Example = dict[str, Any]

NO_ANSWER = "(no answer)"
"""Shown where a question has none."""


def _joined(*names: str) -> Callable[[Example], str]:
    return lambda example: "\n".join(example[name] for name in names if example.get(name))


def _turns(messages: list[dict[str, str]]) -> str:
    return "\n".join(turn["content"] for turn in messages)


KNOWN_BY: dict[str, Callable[[Example], str]] = {
    "classification": _joined("text", "text_pair"),
    "multi_label": _joined("text"),
    "token_classification": lambda example: " ".join(example["tokens"]),
    "question_answering": _joined("question", "context"),
    "generative_qa": _joined("question", "context"),
    "summarization": _joined("document"),
    "translation": _joined("source_text"),
    "generation": _joined("prompt"),
    "dialogue": lambda example: _turns(example["messages"][:-1]),
    "similarity": _joined("sentence1", "sentence2"),
    "retrieval": _joined("query", "passage"),
}
"""By task, the text that a model is given: copies have the same."""

REFERENCE: dict[str, Callable[[Example], str]] = {
    "classification": lambda example: example["label"],
    "multi_label": lambda example: ", ".join(example["labels"]),
    "token_classification": lambda example: " ".join(example["tags"]),
    "question_answering": lambda example: " / ".join(dict.fromkeys(example["answers"])) or NO_ANSWER,
    "generative_qa": lambda example: " / ".join(example["answers"]),
    "summarization": lambda example: example["summary"],
    "translation": lambda example: example["target_text"],
    "generation": lambda example: example["response"],
    "dialogue": lambda example: example["messages"][-1]["content"],
    "similarity": lambda example: f"{example['score']:g}",
    "retrieval": lambda example: example["passage"],
}
"""By task, what is right, as people read it."""

CLOSED = frozenset({"label", "labels", "tags"})
"""Columns whose values are of a closed set, or numbers: they are no texts."""


def texts_of(example: Example) -> list[str]:
    """Return the texts of an example, whatever its task: all that a model reads or is to write."""
    base = {name for name, _ in LABELLED_BASE}
    found = []
    for name, value in example.items():
        if name in base or name in CLOSED or not value:
            continue
        if name == "tokens":
            found.append(" ".join(value))
        elif name == "messages":
            found += [turn["content"] for turn in value]
        elif isinstance(value, str):
            found.append(value)
        elif isinstance(value, list):
            found += [one for one in value if isinstance(one, str)]
    return found
