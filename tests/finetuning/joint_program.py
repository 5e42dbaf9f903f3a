"""Run under torchrun: a joint fine-tuning; rank 0 prints its validation losses.

joint_program.py SHARDING ROOT MODEL LABELLED...
"""

import json
import sys

import torch
from test_joint import ALONE, joint

from lmtrain.building import Attempt
from lmtrain.config import Resources
from lmtrain.finetuning.several_worker import train_several
from lmtrain.manifest import Address
from lmtrain.training.process import torchrun_process

if __name__ == "__main__":
    torch.set_num_threads(1)
    process = torchrun_process()
    sharding, root, model, *labelled = sys.argv[1:]
    spec = {
        "config": joint(num_train_epochs=1, eval_steps=3),
        "attempt": Attempt(root, Address("model", "all", "0" * 12), "one"),
        "resources": Resources(workers=process.world, compile=False, sharding=sharding, micro_batch_size=3),
        "model": model,
        "labelled": labelled,
        "removed": [frozenset()] * len(labelled),
    }
    figures = train_several(spec, process)
    if process.leads:
        names = ["validation_loss", *(f"validation_loss_{name}" for name in ALONE)]
        print("FOUND " + json.dumps({name: figures[name] for name in names}))  # noqa: T201
