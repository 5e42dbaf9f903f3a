"""How much personal data of a labelled test set is found in each language, and what else is taken for it.

The persons are made up. `‖` inside a key keeps scanners for leaked secrets
quiet, and is taken out here. A match counts if its kind and both its ends are
as labelled.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from lmtrain.curation.privacy.config import KINDS
from lmtrain.curation.privacy.finding import find

FLOORS = {"email": (0.97, 0.96), "phone": (1.0, 0.97)}
"""Least precision and recall where not all is found: an address of Chinese characters, `reply-to=` taken for
a part of the address behind it, a number that nothing marks as one."""

ALL = (1.0, 1.0)
"""For kinds with a checksum or a form of their own."""


def labelled(language):
    """Yield each text with its labels, (start, end, kind)."""
    for line in (Path(__file__).parent / f"privacy_{language}.jsonl").read_text("utf-8").splitlines():
        item = json.loads(line)
        text, place, spans = item["text"].replace("‖", ""), 0, []
        for kind, value in item["found"]:
            value = value.replace("‖", "")
            place = text.index(value, place)
            spans.append((place, place + len(value), kind))
            place += len(value)
        yield text, spans


def measured(language):
    """Return right matches, matches and labels by kind, and what was missed or wrongly found."""
    right, found, wanted, wrong = Counter(), Counter(), Counter(), []
    for text, spans in labelled(language):
        matches = [tuple(match) for match in find(text)]
        found.update(kind for *_, kind in matches)
        wanted.update(kind for *_, kind in spans)
        right.update(kind for *_, kind in set(matches) & set(spans))
        wrong += [(text, text[start:end], kind) for start, end, kind in set(matches) ^ set(spans)]
    return right, found, wanted, wrong


@pytest.mark.parametrize("language", ["en", "zh"])
def test_precision_and_recall_reach_their_floors(language):
    right, found, wanted, wrong = measured(language)
    rows = {kind: (right[kind] / max(found[kind], 1), right[kind] / wanted[kind]) for kind in KINDS}
    lines = [f"{k}: precision {p:.3f}, recall {r:.3f} of {wanted[k]}" for k, (p, r) in rows.items()]
    table = "\n".join([language, *lines, *map(str, wrong)])
    for kind, figures in rows.items():
        floors = FLOORS.get(kind, ALL)
        assert all(figure >= floor for figure, floor in zip(figures, floors, strict=True)), table


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_set_is_large_and_half_of_it_is_hard_negatives(language):
    items = list(labelled(language))
    assert len(items) >= 260
    assert sum(not spans for _, spans in items) >= 110
    assert all(sum(kind == k for _, spans in items for *_, k in spans) >= 5 for kind in KINDS)
