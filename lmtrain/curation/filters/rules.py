"""What a filter is made of: rules, each a measure of a document held against one threshold.

A filter returns `True`, or `(False, reason)` with the first rule that the
document breaks. A reason is a plain string that also knows what was measured
and what the threshold was.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lmtrain.curation.document import Document


class Reason(str):
    """Why a document is dropped: a name, with what was measured and what it was held against."""

    value: float
    threshold: float
    detail: str | None

    def __new__(cls, name: str, value: float, threshold: float, detail: str | None = None) -> "Reason":
        """Return the name as a string that knows its figures."""
        reason = super().__new__(cls, name)
        reason.value, reason.threshold, reason.detail = float(value), float(threshold), detail
        return reason


Verdict = Literal[True] | tuple[Literal[False], Reason]
Thresholds = Mapping[str, float]
Filter = Callable[[Document, Thresholds], Verdict]


@dataclass(frozen=True)
class Rule:
    """One measure, and the threshold that it must reach or must not exceed.

    Attributes:
        reason: why a document that breaks the rule is dropped.
        threshold: name of the threshold; begins with `min_` or `max_`. Without
            a threshold of that name the rule is off.
        measure: what is measured of a document.
    """

    reason: str
    threshold: str
    measure: Callable[[Document], float]

    def __post_init__(self) -> None:
        assert self.threshold.startswith(("min_", "max_")), self.threshold

    def judge(self, document: Document, threshold: float) -> Verdict:
        """Hold a document against a threshold; one that just meets it is kept."""
        value = self.measure(document)
        kept = value >= threshold if self.threshold.startswith("min_") else value <= threshold
        return True if kept else (False, Reason(self.reason, value, threshold))


def judge(rules: Sequence[Rule], document: Document, thresholds: Thresholds) -> Verdict:
    """Return the verdict of the first rule that the document breaks, in their order, else `True`."""
    for rule in rules:
        if rule.threshold in thresholds:
            verdict = rule.judge(document, thresholds[rule.threshold])
            if verdict is not True:
                return verdict
    return True
