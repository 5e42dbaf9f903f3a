"""The train loop beside a plain one, Transformers' Trainer and litgpt: the same model and rows, in turns.

`make bench-training` runs it. Every side is a process of its own that trains
some steps when it is asked to, with the same threads and allocator; the
Trainer and litgpt have environments of their own. A pair of turns gives a
ratio of rates; the median of all pairs stands in the table, with a 95 %
interval by bootstrap over pairs. Peak memory is what a process took beyond its
libraries.

`BENCH_DATA` names the folder that holds `corpus-en`; without it rows are made of
the docstrings of installed packages.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from corpora import documents
from figures import Row, write
from paired import Peer, interval_of_median
from peers import LITGPT, LITGPT_NAME, TRAINER, TRAINER_NAME, python_of
from training_side import Case
from transformers import LlamaConfig, LlamaForCausalLM

from lmtrain.tokenization.config import TokenizerSettings
from lmtrain.tokenization.training import train

SHAPE = {
    "vocab_size": 8192, "hidden_size": 320, "num_hidden_layers": 6, "num_attention_heads": 5,
    "num_key_value_heads": 5, "intermediate_size": 864,
}  # fmt: skip
TOKENS = 512
BATCH = 8
WARM_STEPS = 3
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}
"""glibc's, told to keep what was freed: else every step asks the system for its memory anew."""


@dataclass(frozen=True)
class Comparison:
    """Ours beside one other side."""

    peer: str
    precision: str
    compiled: bool
    goal: float | None = None
    memory_goal: float | None = None

    @property
    def measure(self) -> str:
        """What is compared, in words."""
        return f"{'compiled' if self.compiled else 'eager'} {self.precision}"


COMPARISONS = (
    Comparison("plain", "fp32", compiled=False, goal=0.97, memory_goal=1.25),
    Comparison("plain", "fp32", compiled=True, goal=1.05),
    Comparison("plain", "bf16", compiled=True, goal=1.05),
    Comparison("trainer", "bf16", compiled=True, goal=1.1),
    Comparison("trainer", "fp32", compiled=False),
    Comparison("litgpt", "bf16", compiled=True),
    Comparison("litgpt", "fp32", compiled=False),
)
PROGRAMS: dict[str, tuple[str, Callable[[], str] | None]] = {
    "ours": ("ours", None),
    "plain": ("a plain PyTorch loop", None),
    "trainer": (TRAINER_NAME, lambda: python_of("trainer", TRAINER)),
    "litgpt": (LITGPT_NAME, lambda: python_of("litgpt", LITGPT)),
}
"""What a side is called, and where its Python is if not here."""


def main() -> None:
    """Measure every comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=8, help="pairs of turns")
    parser.add_argument("--steps", type=int, default=4, help="steps in a turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each side")
    parser.add_argument("--only", help="measure only what has this in its name, such as 'eager fp32'")
    parser.add_argument("--out", type=Path, help="folder of the results; default: beside this file")
    options = parser.parse_args()
    os.environ |= ALLOCATOR | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        steps = WARM_STEPS + options.pairs * options.steps + 1
        case = prepared(Path(folder), steps, options.threads)
        for comparison in COMPARISONS:
            name = f"{comparison.measure}, {comparison.peer}"
            if not options.only or options.only in name:
                print(f"measuring {name}", flush=True)
                given = replace(case, precision=comparison.precision, compiled=comparison.compiled)
                rows += measure(comparison, given, options.pairs, options.steps)
    write("training", rows, {"torch": torch.__version__}, **({"folder": options.out} if options.out else {}))


def prepared(folder: Path, steps: int, threads: int) -> Case:
    """Write rows and initial weights; return the case, whose precision is still to be set."""
    texts = documents("corpus-en", 0, 4_000_000)
    tokenizer = train(iter(texts), TokenizerSettings(vocab_size=SHAPE["vocab_size"]))
    end = tokenizer.token_to_id("<|endoftext|>")
    stream = [token for one in tokenizer.encode_batch_fast(texts) for token in (*one.ids, end)]
    count = min(len(stream) // (TOKENS + 1), steps * BATCH)
    np.save(folder / "rows.npy", np.array(stream[: count * (TOKENS + 1)], np.int64).reshape(count, -1))
    torch.manual_seed(0)
    shape = LlamaConfig(**SHAPE, max_position_embeddings=TOKENS, tie_word_embeddings=True)
    LlamaForCausalLM(shape).save_pretrained(folder / "initial")
    return Case(
        rows=str(folder / "rows.npy"), folder=str(folder / "initial"), shape=SHAPE, batch=BATCH,
        precision="fp32", compiled=False, threads=threads, steps=steps,
    )  # fmt: skip


def measure(comparison: Comparison, case: Case, pairs: int, steps: int) -> list[Row]:
    """Run ours and another side in turns; return rows of their rates, and of their memory if asked for."""
    name, python = PROGRAMS[comparison.peer]
    rates: dict[str, list[float]] = {"ours": [], comparison.peer: []}
    peaks: dict[str, float] = {}
    with _started("ours", None) as ours, _started(comparison.peer, python) as other:
        sides = {"ours": ours, comparison.peer: other}
        for side in sides.values():
            side.ask(**asdict(case))
            side.ask(steps=WARM_STEPS)
        for number in range(pairs):
            turns = list(sides.items())
            for side, peer in turns if number % 2 == 0 else reversed(turns):
                told = peer.ask(steps=steps)
                rates[side].append(steps * case.batch * TOKENS / told["seconds"])
                peaks[side] = told["peak_bytes"]
    ratios = [mine / theirs for mine, theirs in zip(*rates.values(), strict=True)]
    low, high = interval_of_median(ratios)
    medians = [statistics.median(found) for found in rates.values()]
    details = {"low": low, "high": high, "pairs": pairs}
    measured = f"{comparison.measure}, training"
    ratio = statistics.median(ratios)
    found = [Row(measured, "tokens/s", *medians, name, ratio, comparison.goal, details)]
    if comparison.memory_goal:
        mine, theirs = (peaks[side] / 1e6 for side in rates)
        measured = f"{comparison.measure}, peak memory"
        found.append(Row(measured, "MB", mine, theirs, name, theirs / mine, comparison.memory_goal))
    return found


def _started(side: str, python: Callable[[], str] | None) -> Peer:
    return Peer(python() if python else sys.executable, str(Path(__file__).with_name(f"training_{side}.py")))


if __name__ == "__main__":
    main()
