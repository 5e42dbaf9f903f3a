"""Which examples of a labelled set are kept, once all of them are seen together.

A test set says something about a model only if the model hasn't seen it: of
copies and near-copies on both sides of a split, the training one goes. A text
that stands under two labels says nothing at all: every copy goes.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lmtrain.schemas import SPLITS
from lmtrain.text.nearness import jaccard
from lmtrain.text.similarity import band_keys, normalized, shingles, signatures

SHINGLE_WORDS = 5
BANDS = 14
ROWS = 8
THRESHOLD = 0.8
"""Near-copies are found with the settings that curation has by default."""

PRECEDENCE = ("test", "validation", "train")
"""Of copies, the one in the first of these splits stays."""

_IDEOGRAPH = re.compile(r"[\u3400-\u9fff]")
_LANGUAGE_SAMPLE = 1000


@dataclass(frozen=True)
class Verdict:
    """Why an example goes; `detail` names the example that stays in its stead, if there is one."""

    reason: str
    detail: str = ""


class Selection:
    """The examples of one set and the verdicts on them.

    Args:
        ids: of each example.
        splits: of each example.
        texts: of each example: what a model reads.
        labels: of each example, one or several; None where targets aren't labels.
    """

    def __init__(
        self,
        ids: Sequence[str],
        splits: Sequence[str],
        texts: Sequence[str],
        labels: Sequence[list[str]] | None,
    ) -> None:
        self.ids = ids
        self.splits = splits
        self.texts = texts
        self.labels = labels
        self.verdicts: dict[int, Verdict] = {}
        self.conflicting = 0

    def kept(self, *splits: str) -> list[int]:
        """Return the examples without a verdict, in order; of all splits or of some."""
        wanted = splits or SPLITS
        return [
            place for place, split in enumerate(self.splits) if split in wanted and place not in self.verdicts
        ]

    def reject_exact_copies(self) -> None:
        """Reject copies (`duplicate`), and all copies of texts with several labels (`conflicting_labels`).

        Texts are compared in NFKC, in lower case, with runs of white space as one space.
        """
        places: dict[bytes, list[int]] = defaultdict(list)
        for place in self.kept():
            key = " ".join(normalized(self.texts[place]).split())
            places[hashlib.blake2b(key.encode(), digest_size=16).digest()].append(place)
        for copies in places.values():
            found = sorted({" ".join(self.labels[place]) for place in copies}) if self.labels else []
            if len(found) > 1:
                self.conflicting += 1
                for place in copies:
                    self.verdicts[place] = Verdict("conflicting_labels", ", ".join(found))
                continue
            best = min(copies, key=lambda place: (PRECEDENCE.index(self.splits[place]), place))
            for place in copies:
                if place != best:
                    self.verdicts[place] = Verdict("duplicate", self.ids[best])

    def reject_near_copies(self) -> None:
        """Reject what is nearly in a split of higher precedence: `near_copy_of_test`, `..._validation`."""
        places = self.kept()
        language = language_of([self.texts[place] for place in places])
        sets = {place: shingles(self.texts[place], SHINGLE_WORDS, language) for place in places}
        keys = band_keys(signatures(list(sets.values()), BANDS * ROWS), BANDS, ROWS)
        bands = {
            place: [(band, key) for band, key in enumerate(row.tolist())]
            for place, row in zip(places, keys, strict=True)
        }
        for better in PRECEDENCE[:-1]:
            buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
            for place in self.kept(better):
                for bucket in bands[place]:
                    buckets[bucket].append(place)
            for place in self.kept(*PRECEDENCE[PRECEDENCE.index(better) + 1 :]):
                candidates = sorted({other for bucket in bands[place] for other in buckets.get(bucket, ())})
                for other in candidates:
                    if jaccard(sets[place], sets[other]) >= THRESHOLD:
                        self.verdicts[place] = Verdict(f"near_copy_of_{better}", self.ids[other])
                        break

    def cut_training(self, max_examples: int | None) -> None:
        """Reject training examples beyond a number, by the hash of their ids (`beyond_max_examples`)."""
        training = self.kept("train")
        if max_examples is None or len(training) <= max_examples:
            return
        training.sort(key=lambda place: hashlib.sha256(self.ids[place].encode()).digest())
        for place in training[max_examples:]:
            self.verdicts[place] = Verdict("beyond_max_examples")

    def reject_unseen_labels(self) -> None:
        """Reject what has a label that no training example has (`label_not_in_train`)."""
        if self.labels is None:
            return
        seen = {label for place in self.kept("train") for label in self.labels[place]}
        for place in self.kept():
            if unseen := set(self.labels[place]) - seen:
                self.verdicts[place] = Verdict("label_not_in_train", ", ".join(sorted(unseen)))


def language_of(texts: Sequence[str]) -> str:
    """Return `zh` if a fifth of the characters are ideographs, else `en`: it decides how shingles are cut.

    Looks at texts spread evenly over all.
    """
    step = max(len(texts) // _LANGUAGE_SAMPLE, 1)
    sample = texts[::step]
    ideographs = sum(len(_IDEOGRAPH.findall(text)) for text in sample)
    return "zh" if 5 * ideographs > sum(map(len, sample)) else "en"
