"""What became of labelled sets: splits, labels, what was rejected, copies and contradictions first of all.

In: the line's labelled sets. Out: plain values that the page draws.
"""

from dataclasses import dataclass

from lmtrain.manifest import Artifact
from lmtrain.reporting import humanize
from lmtrain.reporting.corpus import EXAMPLE_CHARACTERS, Example, split_place
from lmtrain.reporting.line import Line


@dataclass(frozen=True)
class LabelledSet:
    """What there is to tell about a labelled set.

    Attributes:
        conflicting: texts that stand under several labels.
        copies: examples that were rejected as copies of another.
        contradicting: examples that were rejected because their text stands under several labels.
    """

    name: str
    task: str
    read: int
    kept: int
    rejected: list[tuple[str, int, float]]
    splits: list[tuple[str, int, int]]
    labels: list[tuple[str, int, float]]
    more_labels: int
    conflicting: int
    copies: int
    contradicting: int
    examples: list[tuple[str, Example]]


LABELS_SHOWN = 20
COPY_REASONS = ("duplicate", "near_duplicate")
CONFLICT_REASON = "conflicting_labels"


def labelled_sets(line: Line) -> list[LabelledSet]:
    """Gather what the labelled sets tell of themselves, copies and contradictions first of all."""
    return [_labelled(artifact) for artifact in line["labelled"]]


def _labelled(artifact: Artifact) -> LabelledSet:
    stats = artifact.stats
    read = stats.get("read", 0)
    rejected = stats.get("rejected", {})
    labels = sorted(stats.get("labels", {}).items(), key=lambda item: (-item[1], item[0]))
    most = labels[0][1] if labels else 1
    return LabelledSet(
        name=artifact.address.label,
        task=stats.get("task", ""),
        read=read,
        kept=stats.get("kept", 0),
        rejected=[
            (humanize.words(reason), number, number / max(read, 1))
            for reason, number in sorted(rejected.items(), key=lambda item: -item[1])
            if number
        ],
        splits=[
            (split, counts["documents"], counts["bytes"])
            for split, counts in sorted(
                stats.get("by_split", {}).items(), key=lambda item: split_place(item[0])
            )
        ],
        labels=[(label, number, number / most) for label, number in labels[:LABELS_SHOWN]],
        more_labels=max(len(labels) - LABELS_SHOWN, 0),
        conflicting=stats.get("conflicting", 0),
        copies=sum(rejected.get(reason, 0) for reason in COPY_REASONS),
        contradicting=rejected.get(CONFLICT_REASON, 0),
        examples=[
            (humanize.words(given["reason"]), Example(humanize.excerpt(given["text"], EXAMPLE_CHARACTERS)))
            for given in stats.get("examples_rejected", [])[:12]
        ],
    )
