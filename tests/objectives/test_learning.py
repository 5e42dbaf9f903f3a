"""Every objective learns from real text in both languages: its loss falls well below its chance."""

import math
from pathlib import Path

import pytest
import torch
from real_text import real_shards

from lmtrain.config import Resources
from lmtrain.modeling.layers import repeated_layers
from lmtrain.modeling.sizes import RECURRENT
from lmtrain.modeling.special_ids import special_ids
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.making import model_of, objective_of
from lmtrain.training.job import Job
from lmtrain.training.loop import Trainer
from lmtrain.training.packing import PackedRows
from lmtrain.training.process import Process

CPU = torch.device("cpu")
ROW = 96


def trained(folder: Path, language: str, special_tokens: str, steps: int, **config) -> dict[str, float]:
    """Return the last look of a training."""
    tokenizer = real_shards(folder, language, special_tokens)
    config = PretrainConfig(
        size="tiny",
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=None if config["architecture"] in RECURRENT else 2,
        row_tokens=ROW,
        train_batch_size=16,
        max_steps=steps,
        eval_steps=steps,
        max_eval_rows=64,
        precision="fp32",
        **config,
    )
    ids = special_ids(tokenizer, "real text")
    resources = Resources(workers=1, micro_batch_size=16, compile=False, checkpoint_seconds=1e9)
    objective = objective_of(config, ids, len(tokenizer), resources)
    model = model_of(config, ids, len(tokenizer), CPU, compiled=False)
    frame = objective.frame
    slots = ROW if frame is None else frame.full
    rows, validation = (
        PackedRows({"s": [folder / f"{name}.arrow"]}, slots, ids.end, packing=config.packing, frame=frame)
        for name in ("train", "validation")
    )
    job = Job(
        model=model, layers=repeated_layers(model), objective=objective, rows=rows, validation=validation,
        bytes_per_target=None, config=config, steps=steps, checkpoints=str(folder / "checkpoints"),
        attempt="a", log_folder=folder / "log", flops_per_token=None,
    )  # fmt: skip
    torch.set_num_threads(2)
    return Trainer(job, resources, Process()).run().rows[-1]


CASES = {
    "clm": ("qwen3", "gpt2", 200, 0.78),
    "clm of ulmfit": ("ulmfit", "gpt2", 100, 0.92),
    "bilm": ("elmo", "gpt2", 60, 0.93),
    "mlm": ("bert", "bert", 300, 0.88),
    "rtd": ("electra", "bert", 250, 0.9),
    "span_corruption": ("t5", "t5", 150, 0.85),
    "denoising": ("bart", "roberta", 150, 0.85),
    "gap_sentences": ("pegasus", "roberta", 150, 0.85),
}
"""By objective, and family where there are two: family, special tokens, steps, and the share of
log(vocabulary) that the loss must pass."""


LANGUAGES = ("en", "zh")
LONG = {"bilm", "span_corruption", "denoising", "gap_sentences"}
EVERY = [
    pytest.param(
        objective, language, marks=[pytest.mark.slow] if (number + turn) % 2 or objective in LONG else []
    )
    for number, objective in enumerate(CASES)
    for turn, language in enumerate(LANGUAGES)
]
"""In one language by default; in the other, and what takes longer in both, with the long tests."""


@pytest.mark.parametrize(("objective", "language"), EVERY)
def test_the_loss_over_the_vocabulary_falls_well_below_chance(tmp_path, objective, language):
    family, special, steps, share = CASES[objective]
    extra = {"permute_sentences": False} if objective == "denoising" else {}
    if family in RECURRENT:
        extra = {"optimizer": "adamw", "learning_rate": 0.01}
    asked = objective.partition(" ")[0]
    last = trained(tmp_path, language, special, steps, architecture=family, objective=asked, **extra)
    names = [f"validation_loss_{name}" for name in ("generator", "forward", "backward")]
    losses = [last[name] for name in names if name in last] or [last["validation_loss"]]
    assert max(losses) < share * math.log(1000)
