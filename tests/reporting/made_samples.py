"""What the systems of a made line say of its test examples: invented, from a seed."""

import math

import numpy as np
import pyarrow as pa

from lmtrain.evaluation.attributes import scores_by_attribute
from lmtrain.evaluation.scored import Scored
from lmtrain.metrics import EXPOSURES
from lmtrain.schemas import SAMPLES
from lmtrain.statistics import statistics_of

EXAMPLES = 160
HOSTILE_DOMAIN = "films <b>&</b>"
BITS = {"model": 1.83, "bigram": 2.05, "xz": 2.61}
RIGHT = {"pretrained": 0.88, "random": 0.68, "majority": 0.31, "tfidf": 0.84, "word_vectors": 0.75}
CANARIES = (0, 4, 64)
"""How often they stand in the training text."""
OVERLAP = {"pretrained": 0.42, "random": 0.31, "first_sentence": 0.24}


def labels_of(chinese: bool) -> list[str]:
    """Return the labels of a classification."""
    return ["消极", "积极"] if chinese else ["numpy", "scipy", "torch", "sklearn"]


def samples_of(task: str, system: str, random: np.random.Generator, effects: dict, chinese: bool) -> pa.Table:
    """Return what a system made of each example, and how good it was."""
    rows = []
    if effects.get(task) == 0 and system in ("pretrained", "random"):
        random, system = np.random.default_rng(1 if system == "random" else 2), "pretrained"
    hardness = np.random.default_rng(7).normal(0, 1, EXAMPLES)
    labels = labels_of(chinese)
    for number in range(EXAMPLES):
        prediction: str | None = None
        if task == "language_modeling":
            size = 400.0
            bits = BITS[system] + 0.25 * hardness[number] + random.normal(0, 0.05)
            values = [bits * math.log(2) * size, size / 3.38, size, size / 6]
        elif task == "bias":
            values = [float(random.random() < 0.6), 1.0]
        elif task == "memorization":
            times = CANARIES[number % len(CANARIES)]
            values = [0.0] * 2 * len(EXPOSURES)
            place = 2 * list(EXPOSURES.values()).index(times)
            values[place : place + 2] = [min(10.0, 1.44 + 1.3 * math.log2(1 + times)), 1.0]
        elif task == "classification":
            gold = number % len(labels)
            right = RIGHT[system] > 0.35 + hardness[number] * 0.25 + random.normal(0, 0.2)
            chosen = gold if right else (gold + 1) % len(labels)
            one = np.eye(len(labels))
            values = [*(one[gold] * right), *one[chosen], *one[gold]]
            prediction = labels[chosen]
        else:
            rouge = float(np.clip(OVERLAP[system] + 0.1 * hardness[number] + random.normal(0, 0.05), 0, 1))
            matched = [round(9 * rouge), round(8 * rouge**2), round(7 * rouge**3), round(6 * rouge**4)]
            chrf = [x for n in range(1, 7) for x in (40 - n, 41 - n, (40 - n) * rouge)]
            values = [1, 9, 10, *matched, 9, 8, 7, 6, *chrf, rouge, rouge**2, rouge, rouge, 0, rouge]
            prediction = f"Return {system} indices."
        row = {"example_id": f"test-{number}", "group": f"g{number // 4}", "prediction": prediction}
        rows.append(row | {"statistics": [float(value) for value in values]})
    return pa.Table.from_pylist(rows, schema=SAMPLES)


def attributes_of(table: pa.Table, labels: list[str]) -> list[dict]:
    """Return what a classifier's scores tell by attribute: two domains, and a third of few examples."""
    domains = [
        "songs" if n % 10 == 9 else ("books", HOSTILE_DOMAIN)[n // 4 % 2] for n in range(table.num_rows)
    ]
    ids, groups = (table[name].to_pylist() for name in ("example_id", "group"))
    statistics = statistics_of(table)
    scored = Scored(ids, groups, [""] * len(ids), statistics, {}, domains, stats={"classes": sorted(labels)})
    return scores_by_attribute(scored, "classification", "accuracy", 300, 0)
