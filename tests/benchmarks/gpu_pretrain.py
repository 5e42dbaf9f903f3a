"""Pretraining on one GPU beside Transformers' Trainer: tokens a second, MFU and peak memory.

    python tests/benchmarks/gpu_pretrain.py

Needs torch, transformers, numpy, pyarrow and pydantic, and accelerate for the
Trainer; neither Ray nor Prefect. Every run is a process of its own, so that its
peak is its own; runs of both sides alternate. Rows are random tokens in random
documents: what they are changes no speed. A batch that doesn't fit is halved,
for both sides. `--tiny` tries it all with a model of a few thousand weights.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import GPT2Config, LlamaConfig, PretrainedConfig

from lmtrain.config import Resources
from lmtrain.modeling.build import attention_kernel, parameter_count
from lmtrain.modeling.layers import repeated_layers
from lmtrain.objectives.clm import CausalLM
from lmtrain.objectives.packed import PackedBatch
from lmtrain.training.config import TrainingConfig
from lmtrain.training.devices import known_device
from lmtrain.training.flops import flops_per_token
from lmtrain.training.job import Job
from lmtrain.training.loop import Trainer
from lmtrain.training.precision import USUAL, choose_precision, measured_rates
from lmtrain.training.process import Process

SHAPES: dict[str, PretrainedConfig] = {
    "gpt2-124m": GPT2Config(vocab_size=50_304, n_positions=4096, attn_pdrop=0, embd_pdrop=0, resid_pdrop=0),
    "llama-1b": LlamaConfig(
        vocab_size=32_000, hidden_size=2048, intermediate_size=5632, num_hidden_layers=22,
        num_attention_heads=32, num_key_value_heads=4, max_position_embeddings=4096,
    ),
    "tiny": LlamaConfig(
        vocab_size=256, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=4096,
    ),
}  # fmt: skip
"""GPT-2 small with its vocabulary rounded up to a multiple of 128, and TinyLlama's shape."""

MEAN_DOCUMENT = 600
"""Tokens of a document on average."""

OUT_OF_MEMORY = 3
"""What a run ends with whose batch doesn't fit."""


@dataclass(frozen=True)
class Case:
    """What is trained: a shape by name, tokens in a row, rows in a micro-batch, and steps."""

    model: str
    context: int
    rows: int
    steps: int
    warm_steps: int

    @property
    def step_tokens(self) -> int:
        """Tokens of a step."""
        return self.rows * self.context


class RandomRows:
    """Rows of random tokens, each in documents of random lengths."""

    lengths = None

    def __init__(self, case: Case, vocabulary: int) -> None:
        drawn = np.random.default_rng(0)
        count = 4 * case.rows
        self.tokens = drawn.integers(0, vocabulary, size=(count, case.context + 1))
        self.document = np.cumsum(drawn.random((count, case.context)) < 1 / MEAN_DOCUMENT, axis=1)

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, indices: np.ndarray) -> PackedBatch:
        """Return rows by number."""
        tokens = self.tokens[indices]
        return PackedBatch(tokens[:, :-1], tokens[:, 1:], self.document[indices])

    def documents(self, indices: np.ndarray) -> list[list[str]]:
        """Return a name for each row."""
        return [[f"row-{index}"] for index in indices]


@dataclass
class Timed(Process):
    """A process that notes when each step ended."""

    ends: Any = None

    def beat(self, step: int) -> None:
        """Note the time, when the device has done all that it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def run_ours(case: Case, device: torch.device) -> list[float]:
    """Train with the train loop; return when each step ended."""
    shape = SHAPES[case.model]
    kernel = attention_kernel(device, True, case.context)
    model = transformers.AutoModelForCausalLM.from_config(
        shape, attn_implementation=kernel, dtype=torch.float32
    ).to(device)
    config = TrainingConfig(learning_rate=3e-4, train_batch_size=case.rows)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            model=model, layers=repeated_layers(model), objective=CausalLM(pad=0, compiled=True),
            rows=RandomRows(case, shape.vocab_size), validation=None, bytes_per_target=None, config=config,
            steps=case.warm_steps + case.steps, checkpoints=f"{folder}/checkpoints", attempt="a",
            log_folder=Path(folder, "log"), flops_per_token=flops_per_token(model, case.context),
        )  # fmt: skip
        resources = Resources(workers=1, micro_batch_size=case.rows, checkpoint_seconds=1e9)
        process = Timed(device=device, ends=[])
        Trainer(job, resources, process).run()
    return process.ends


def run_trainer(case: Case, device: torch.device) -> list[float]:
    """Train with Transformers' Trainer; return when each step ended."""
    shape = SHAPES[case.model]
    model = transformers.AutoModelForCausalLM.from_config(shape, dtype=torch.float32)
    rows = RandomRows(case, shape.vocab_size).tokens[:, :-1]
    count = (case.warm_steps + case.steps) * case.rows
    tokens = [torch.from_numpy(rows[index % len(rows)]) for index in range(count)]
    ends: list[float] = []

    class Ends(transformers.TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if device.type == "cuda":
                torch.cuda.synchronize()
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder, max_steps=case.warm_steps + case.steps, use_cpu=device.type == "cpu",
            per_device_train_batch_size=case.rows, bf16=True, torch_compile=True, learning_rate=3e-4,
            save_strategy="no", logging_steps=10, report_to="none", disable_tqdm=True,
        )  # fmt: skip
        dataset: Any = [{"input_ids": one, "labels": one} for one in tokens]
        transformers.Trainer(model, arguments, train_dataset=dataset, callbacks=[Ends()]).train()
    return ends


SIDES = {"ours": run_ours, "trainer": run_trainer}


def run(side: str, case: Case) -> None:
    """Be one side: train, and print what was measured as the last line."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        ends = SIDES[side](case, device)
    except torch.OutOfMemoryError as error:
        print(error, file=sys.stderr)
        sys.exit(OUT_OF_MEMORY)
    seconds = np.diff(ends[case.warm_steps - 1 :])
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    print(json.dumps({"seconds": float(np.median(seconds)), "peak_bytes": peak}))


def measured(side: str, case: Case) -> dict[str, float] | None:
    """Run a side in a process of its own; return what it measured, None where its memory isn't enough."""
    command = [sys.executable, __file__, "--side", side, "--case", json.dumps(vars(case))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode == OUT_OF_MEMORY:
        return None
    done.check_returncode()
    return json.loads(done.stdout.splitlines()[-1])


def fitting(case: Case, sides: list[str]) -> Case:
    """Return the case with as many rows as every side has memory for, halved until it fits."""
    while any(measured(side, Case(**{**vars(case), "steps": 2})) is None for side in sides):
        if case.rows == 1:
            raise MemoryError(f"one row of {case.model} at {case.context} tokens doesn't fit on this GPU")
        case = Case(**{**vars(case), "rows": case.rows // 2})
    return case


def main() -> None:
    """Measure every model at every context."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="gpt2-124m,llama-1b")
    parser.add_argument("--contexts", default="1024,4096")
    parser.add_argument("--step-tokens", type=int, default=65_536, help="tokens of a step, where they fit")
    parser.add_argument("--steps", type=int, default=20, help="that are measured, after --warm-steps")
    parser.add_argument("--warm-steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side, in turns")
    parser.add_argument("--tiny", action="store_true", help="try it all with a tiny model")
    parser.add_argument("--out", type=Path, help="folder of the results; default: beside this file")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        run(options.side, Case(**json.loads(options.case)))
        return
    models = ["tiny"] if options.tiny else options.models.split(",")
    contexts = [64] if options.tiny else [int(one) for one in options.contexts.split(",")]
    step_tokens = 256 if options.tiny else options.step_tokens
    sides = [side for side in SIDES if side == "ours" or find_spec("accelerate")]
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    rows = []
    for model in models:
        for context in contexts:
            case = Case(model, context, max(1, step_tokens // context), options.steps, options.warm_steps)
            case = fitting(case, sides)
            found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
            for _ in range(options.rounds):
                for side in sides:
                    told = measured(side, case)
                    assert told is not None, "it fitted a moment ago"
                    found[side].append(told)
            rows.append(_row(case, found))
            print(json.dumps(rows[-1]), flush=True)
    _write(rows, options.out or Path(__file__).parent / "results")


def _row(case: Case, found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return ours beside the Trainer's: medians over rounds, and the ratio of rates."""
    seconds = {side: statistics.median(one["seconds"] for one in runs) for side, runs in found.items()}
    peaks = {side: max(one["peak_bytes"] for one in runs) for side, runs in found.items()}
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(SHAPES[case.model])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    peak = choose_precision("bf16", measured_rates(USUAL, device), device).peak_flops
    rates = {side: case.step_tokens / spent for side, spent in seconds.items()}
    theirs = rates.get("trainer")
    return {
        "measure": f"{case.model}, {case.context} tokens a row, {case.rows} rows",
        "unit": "tokens/s",
        "ours": rates["ours"],
        "peer": theirs,
        "peer_name": f"Transformers' Trainer {transformers.__version__}",
        "ratio": rates["ours"] / theirs if theirs else 1.0,
        "goal": None,
        "met": None,
        "parameters": parameter_count(model),
        "mfu": rates["ours"] * flops_per_token(model, case.context) / peak,
        "peak_gb": {side: bytes_ / 1e9 for side, bytes_ in peaks.items()},
    }


def _write(rows: list[dict[str, Any]], folder: Path) -> None:
    """Write `gpu.json`; what other benchmarks write it by isn't there on a lone GPU machine."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    known = known_device(name)
    content = {
        "name": "gpu",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": name + (f", {known.flops / 1e12:g} TFLOP/s in bf16" if known else ""),
        "command": " ".join(["python", *sys.argv]),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "rows": rows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.json").write_text(json.dumps(content, indent=2) + "\n")
    print(f"written to {folder / 'gpu.json'}")


if __name__ == "__main__":
    main()
