"""Fine-tuning beside Transformers' Trainer: the same encoder, examples, settings and epochs, in turns.

`make bench-finetuning` runs it. The Trainer orders examples in its default way, at random, and by length;
ours always deals rows of like length to a batch. Every training is a process of its own with
all cores. A ratio of rates is that of the seconds from the first step to the last, the median over seeds; the
score is the accuracy on the test set, and its difference has a 95 % interval by bootstrap over the
examples, each counted with its mean over the seeds. Needs `BENCH_DATA`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import numpy as np
from figures import Row, write
from finetuning_side import Case
from task_recipes import ENCODER, encoder_folder
from training import ALLOCATOR

SETS = {"classification-reviews-zh": 2400, "classification-polarity-en": 2400}
"""Training examples by set."""
SAMPLING = {"random": 1.2, "group_by_length": 1.0}
"""The least ratio of rates, by the Trainer's way to order examples."""
EPOCHS = 2
SEEDS = 3
RESAMPLES = 10_000

Answer = dict


def main() -> None:
    """Measure every set, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", choices=SETS, default=list(SETS), metavar="SET", help="some sets"
    )
    parser.add_argument("--examples", type=int, help="training examples of a set at most")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--out", type=Path, help="folder of the results; default: beside this file")
    options = parser.parse_args()
    encoder = str(encoder_folder())
    rows = []
    for name in options.only:
        examples = min(SETS[name], options.examples or SETS[name])
        data = str(Path(os.environ["BENCH_DATA"], name))
        sides: dict[str, list[Answer]] = {"ours": [], **{sampling: [] for sampling in SAMPLING}}
        for seed in range(options.seeds):
            order = list(sides)
            for side in order[seed % len(order) :] + order[: seed % len(order)]:
                sampling = "" if side == "ours" else side
                case = Case(data, encoder, examples, EPOCHS, seed, os.cpu_count() or 1, sampling)
                sides[side].append(trained(case))
                print(f"{name}, seed {seed}, {side}: {sides[side][-1]['seconds']:.1f} s", flush=True)
        for sampling, goal in SAMPLING.items():
            rows += rows_of(name, sampling, goal, sides["ours"], sides[sampling])
    versions = {package: metadata.version(package) for package in ("transformers", "accelerate")}
    folder = {"folder": options.out} if options.out else {}
    write("finetuning", rows, versions | dict([ENCODER.split("==")]), **folder)


def trained(case: Case) -> Answer:
    """Train a case in a process of its own; return what it found."""
    program = Path(__file__).with_name("finetuning_trainer.py" if case.sampling else "finetuning_ours.py")
    command = [sys.executable, str(program), json.dumps(asdict(case))]
    said = subprocess.run(
        command, env=os.environ | ALLOCATOR, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return json.loads(said.splitlines()[-1])


def rows_of(name: str, sampling: str, goal: float, ours: list[Answer], theirs: list[Answer]) -> list[Row]:
    """Return rate, memory and score of ours beside one way of the Trainer."""
    peer = f"Trainer, {sampling}"
    ratios = [other["seconds"] / own["seconds"] for own, other in zip(ours, theirs, strict=True)]
    seconds = [statistics.median(one["seconds"] for one in side) for side in (ours, theirs)]
    memory = [max(one["peak_bytes"] for one in side) / 1e6 for side in (ours, theirs)]
    right = [np.mean([one["right"] for one in side], axis=0) for side in (ours, theirs)]
    apart = right[0] - right[1]
    drawn = np.random.default_rng(0).integers(0, len(apart), (RESAMPLES, len(apart)))
    low, high = np.quantile(apart[drawn].mean(axis=1), [0.025, 0.975])
    scores = [float(one.mean()) for one in right]
    between = {
        "difference": float(apart.mean()),
        "difference_low": float(low),
        "difference_high": float(high),
    }
    spread = {"ratio_least": min(ratios), "ratio_most": max(ratios)}
    return [
        Row(f"{name}, time", "s", *seconds, peer, statistics.median(ratios), goal, spread),
        Row(f"{name}, memory beyond libraries", "MB", *memory, peer, memory[1] / memory[0], 1.0),
        Row(f"{name}, accuracy", "", *scores, peer, scores[0] / scores[1], None, between),
    ]


if __name__ == "__main__":
    main()
