"""Our side of the quality benchmark: a pretraining as a recipe describes it, for a time.

In: one JSON object as argument. Out: the curve of its validation loss, as the last line.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from quality_data import end_of, stream

from lmtrain.config import Resources
from lmtrain.modeling.build import attention_kernel
from lmtrain.modeling.layers import repeated_layers
from lmtrain.objectives.clm import CausalLM
from lmtrain.training.config import TrainingConfig
from lmtrain.training.job import Job
from lmtrain.training.loop import Trainer
from lmtrain.training.packing import PackedRows
from lmtrain.training.process import Process

TIMED_STEPS = 200
LOOK = "validation_bits_per_byte"


def main() -> None:
    """Train for a time and print the curve."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    torch.set_num_threads(given["threads"])
    rows = _train(given, TIMED_STEPS, look=False)  # how long a step takes, with what is compiled
    first, last = rows[0], rows[-1]
    seconds_a_step = (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])
    steps = max(1, round(given["seconds"] / seconds_a_step))
    rows = _train(given, steps, look=True)
    seconds = {row["step"]: row["seconds"] for row in rows if "seconds" in row}
    curve = [
        {"step": row["step"], "seconds": seconds[row["step"]], "bits_per_byte": row[LOOK]}
        for row in rows
        if LOOK in row
    ]
    tokens = steps * given["training"]["train_batch_size"] * given["tokens"]
    print(json.dumps({"curve": curve, "steps": steps, "tokens": tokens}))


def _train(given: dict[str, Any], steps: int, *, look: bool) -> list[dict[str, Any]]:
    """Train; return the rows of the log."""
    folder = Path(given["folder"])
    end, tokens, device = end_of(folder), given["tokens"], torch.device("cpu")
    shape = getattr(transformers, given["config_class"])(
        **given["shape"], max_position_embeddings=tokens, bos_token_id=end, eos_token_id=end, pad_token_id=end
    )
    torch.manual_seed(given["seed"])
    model = transformers.AutoModelForCausalLM.from_config(
        shape, attn_implementation=attention_kernel(device, given["compiled"], tokens), dtype=torch.float32
    )
    looks = max(10, steps // given["looks"] // 10 * 10) if look else steps + 1
    training = {"precision": given["precision"], "seed": given["seed"], **given["training"]}
    config = TrainingConfig(**training, eval_steps=looks, max_eval_rows=1 << 30)
    packing = given.get("packing", "concatenate")
    train, validation = (
        PackedRows({"corpus": [folder / f"{split}.arrow"]}, tokens, end, packing=packing)
        for split in ("train", "validation")
    )
    found, text = stream(folder, "validation")
    with tempfile.TemporaryDirectory() as scratch:
        job = Job(
            model=model, layers=repeated_layers(model),
            objective=CausalLM(pad=end, compiled=given["compiled"]), rows=train,
            validation=validation if look else None, bytes_per_target=text / (len(found) - 1),
            config=config, steps=steps, checkpoints=f"{scratch}/checkpoints", attempt="a",
            log_folder=Path(scratch, "log"), flops_per_token=1.0,
        )  # fmt: skip
        resources = Resources(
            micro_batch_size=given["micro_batch_size"], compile=given["compiled"], checkpoint_seconds=1e9,
            workers=1, threads_per_worker=given["threads"],
        )  # fmt: skip
        return Trainer(job, resources, Process()).run().rows


if __name__ == "__main__":
    main()
