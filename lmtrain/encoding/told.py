"""Tasks told as a text to another (T5, Raffel et al. 2020), and what is written read as an answer again.

In: examples of a labelled task. Out: what a model is given and is to write; and of what it wrote the
label, labels, score or answer, or None where it is none.
"""

from collections.abc import Collection
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from lmtrain.encoding.prompts import PROMPTS, Prompt

SEPARATOR = ", "
"""Between several labels."""

NO_LABEL = "none"
NO_ANSWER = "no answer"
"""What is written where nothing fits."""

SUFFIX = "\n=>"
"""Between source and target for a decoder, where the task has no usual one."""


def told(task: str, score_step: float) -> Prompt:
    """Return how a task's examples become texts.

    Args:
        task: one of `lmtrain.modeling.fitting.TOLD_TASKS`.
        score_step: of similarities: what scores are rounded to a multiple of.
    """
    labels = {
        "classification": Prompt(_lines("text", "text_pair"), lambda example: [example["label"]], SUFFIX),
        "multi_label": Prompt(
            _lines("text"), lambda example: [SEPARATOR.join(sorted(example["labels"])) or NO_LABEL], SUFFIX
        ),
        "question_answering": Prompt(
            _lines("question", "context"),  # a long context is cut, and the question stays
            lambda example: list(example["answers"]) or [NO_ANSWER],
            "\nAnswer:",
        ),
        "similarity": Prompt(
            _lines("sentence1", "sentence2"),
            lambda example: [rounded(example["score"], score_step)],
            SUFFIX,
        ),
    }
    return {**PROMPTS, **labels}[task]


def _lines(*names: str) -> Any:
    return lambda example: "\n".join(example[name] for name in names if example.get(name))


def rounded(score: float, step: float) -> str:
    """Return a score at the nearest multiple of a step, as text; halves go to the even one, as T5's do."""
    exact = Decimal(str(step))
    return str((Decimal(str(score)) / exact).to_integral_value(ROUND_HALF_EVEN) * exact + 0)


def label_in(text: str, known: Collection[str]) -> str | None:
    """Return the label that was written; None if it is none of those that were learned."""
    found = " ".join(text.split())
    return next((label for label in known if " ".join(label.split()) == found), None)


def labels_in(text: str, known: Collection[str]) -> tuple[list[str], bool]:
    """Return the labels that were written, and whether all that was written are labels."""
    if " ".join(text.split()) == NO_LABEL:
        return [], True
    found = [label_in(piece, known) for piece in text.split(SEPARATOR.strip())]
    return sorted({label for label in found if label is not None}), None not in found


def score_in(text: str, lowest: float, highest: float) -> float | None:
    """Return the number that was written, within the range of those that were learned; None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return None if value != value else min(max(value, lowest), highest)


def answer_in(text: str) -> str:
    """Return the answer that was written; empty for no answer."""
    return "" if " ".join(text.split()) == NO_ANSWER else text
