"""Quality for compute: validation bits per byte after a time of training, beside a plain loop with AdamW.

`make bench-quality` runs it; nothing else may run on the machine. Both sides
see the same text, and are given the same seconds of training on the same cores;
looks at the validation text aren't counted. Steps are counted out beforehand by a
short run; `seconds` in the results tells how long each run took in the end. The
plain loop is nanoGPT's way: AdamW, its usual settings, half a cosine, at the learning
rate that `--tune` found best for it. Ours has the shape, vocabulary and optimizer that
were found best for these seconds; it is trained for the whole time, and again for
`--share` of it: whether that is enough for what the plain loop reached in all of its
own is the question that people have.

Every run that ended is kept in `cache/benchmarks/quality-runs` under what it was
given and the machine's name, so that a benchmark of hours goes on where it was
stopped; `--again` runs all of it anew.

What was tried on the way stands in `LOG.md`. Needs `BENCH_DATA`.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from figures import Row, machine, write
from quality_data import prepare
from quality_plot import draw
from training import ALLOCATOR, SHAPE

from lmtrain import storage

PLAIN_RATES = (5e-4, 1e-3, 2e-3)
"""Learning rates that the plain loop is tuned over."""

LOOKS = 5
"""At the validation text, in each run."""

PLAIN: dict[str, Any] = {"shape": SHAPE, "tokens": 512, "batch": 8, "learning_rate": 1e-3}
OURS: dict[str, Any] = {
    "config_class": "Qwen3Config",
    "shape": {
        "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 2,
        "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 352, "tie_word_embeddings": True,
    },
    "tokens": 512,
    "micro_batch_size": 8,
    "training": {
        "optimizer": "muon", "learning_rate": 0.02, "adam_learning_rate": 3e-3, "train_batch_size": 8,
        "lr_scheduler_type": "linear", "min_lr_ratio": 0.0, "weight_decay": 0.1,
    },
}  # fmt: skip
VOCABULARY = {"corpus-en": 2048, "corpus-zh": 4096}
"""Entries of our tokenizer, as was found best for each language."""

GOALS = {"corpus-en": 0.95, "corpus-zh": 0.97}
"""The most that ours may have of the plain loop's bits per byte at the end."""


def main() -> None:
    """Measure both languages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600, help="of training")
    parser.add_argument("--share", type=float, default=0.4, help="of the time in which ours is to be as good")
    parser.add_argument("--seeds", type=int, default=3, help="for English; Chinese has one")
    parser.add_argument("--precision", default="bf16", choices=("bf16", "fp32"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--tune", action="store_true", help="only try the plain loop's learning rates")
    parser.add_argument("--only", choices=GOALS, help="one language")
    parser.add_argument("--again", action="store_true", help="repeat runs that ended before")
    parser.add_argument("--out", type=Path, help="folder of the results; default: beside this file")
    options = parser.parse_args()
    os.environ |= ALLOCATOR | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    if options.again:
        shutil.rmtree(_runs(), ignore_errors=True)
    common = {
        "precision": options.precision, "compiled": True, "threads": options.threads, "looks": LOOKS,
    }  # fmt: skip
    rows = []
    for corpus in [options.only] if options.only else GOALS:
        shape = {**OURS["shape"], "vocab_size": VOCABULARY[corpus]}
        sides = (PLAIN, {**OURS, "shape": shape})
        plain, ours = ({**side, **common, "folder": _tokens(corpus, side)} for side in sides)
        if options.tune:
            for rate in PLAIN_RATES:
                tried = {**plain, "learning_rate": rate, "seconds": options.seconds, "seed": 0}
                print(f"{corpus}, plain loop at {rate:g}: {_last(_curve('plain', tried)):.4f}", flush=True)
            continue
        seeds = range(options.seeds if corpus == "corpus-en" else 1)
        rows += _compared(corpus, plain, ours, seeds, options.seconds, options.share)
    if rows:
        written = write("quality", rows, {}, **({"folder": options.out} if options.out else {}))
        print(f"drawn to {draw(written.parent)}")


def _tokens(corpus: str, side: dict[str, Any]) -> str:
    """Return the folder of a corpus in the tokens of a side's vocabulary."""
    vocabulary = side["shape"]["vocab_size"]
    folder = storage.cache_folder() / "benchmarks" / f"quality-{corpus}-{vocabulary}"
    if not (folder / "validation.arrow").exists():
        prepare(corpus, vocabulary, folder)
    return str(folder)


def _compared(
    corpus: str, plain: dict[str, Any], ours: dict[str, Any], seeds: range, seconds: float, share: float
) -> list[Row]:
    """Train every seed; return rows of bits per byte at the end, and after a share of the time."""
    found: dict[str, list[list[dict[str, float]]]] = {"plain": [], "whole": [], "part": []}
    for seed in seeds:
        found["plain"].append(_curve("plain", {**plain, "seconds": seconds, "seed": seed}))
        found["whole"].append(_curve("ours", {**ours, "seconds": seconds, "seed": seed}))
        found["part"].append(_curve("ours", {**ours, "seconds": share * seconds, "seed": seed}))
    ends = {name: [_last(curve) for curve in curves] for name, curves in found.items()}
    means = {name: statistics.mean(bits) for name, bits in ends.items()}
    seconds_of = {name: [curve[-1]["seconds"] for curve in curves] for name, curves in found.items()}
    details = {"seeds": len(seeds), "each": ends, "seconds": seconds_of, "curves": found}
    measured = f"{corpus}, bits per byte after"
    minutes = f"{seconds / 60:g} minutes"
    return [
        Row(
            f"{measured} {minutes}", "bits per byte", means["whole"], means["plain"], "a plain loop",
            means["plain"] / means["whole"], 1 / GOALS[corpus], details,
        ),
        Row(
            f"{measured} {share:.0%} of the time, beside all of it", "bits per byte", means["part"],
            means["plain"], "a plain loop", means["plain"] / means["part"], 1.0,
        ),
    ]  # fmt: skip


def _curve(side: str, given: dict[str, Any]) -> list[dict[str, float]]:
    """Run a side, if it didn't end here before; return its looks: step, seconds, bits per byte."""
    asked = json.dumps({"side": side, "machine": machine(), **given}, sort_keys=True)
    kept = _runs() / f"{hashlib.sha256(asked.encode()).hexdigest()[:16]}.json"
    if kept.exists():
        told = json.loads(kept.read_text())["told"]
    else:
        program = Path(__file__).with_name(f"quality_{side}.py")
        done = subprocess.run(
            [sys.executable, str(program), json.dumps(given)], stdout=subprocess.PIPE, text=True, check=True
        )
        told = json.loads(done.stdout.splitlines()[-1])
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"asked": json.loads(asked), "told": told}))
    last = told["curve"][-1]
    print(
        f"  {side}, seed {given['seed']}: {last['bits_per_byte']:.4f} bits per byte after "
        f"{last['seconds']:.0f} s, {told['steps']} steps, {told['tokens']:,} tokens",
        flush=True,
    )
    return told["curve"]


def _runs() -> Path:
    return storage.cache_folder() / "benchmarks" / "quality-runs"


def _last(curve: list[dict[str, float]]) -> float:
    return curve[-1]["bits_per_byte"]


if __name__ == "__main__":
    main()
