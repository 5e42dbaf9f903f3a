"""Training workers of the comparison of Ray and torchrun: rank 0 is asked to train some steps.

Run under torchrun as a program, and under Ray by `train` as its training function.
"""

import json
import socket
import sys
from typing import Any

import torch
import torch.distributed as dist
from training_ours import Paced
from training_ours import train as train_case
from training_side import Case, Side

from lmtrain.training.process import Process, torchrun_process


def train(spec: dict[str, Any], process: Process) -> dict[str, Any]:
    """Train as one of some workers.

    Args:
        spec: `address`, the socket at which the benchmark listens, and `case`.
        process: this worker.
    """
    case = Case(**spec["case"])
    torch.set_num_threads(case.threads)
    if not process.leads:
        train_case(case, process, None)
        return {}
    asked = socket.socket(socket.AF_UNIX)
    asked.connect(spec["address"])
    side = Side(asked.makefile("r"), asked.makefile("w"))
    paced = Paced(process.rank, process.world, process.device, process.tell, process.cancelled, side=side)
    train_case(case, paced, side)
    return {}


if __name__ == "__main__":
    train(json.loads(sys.argv[1]), torchrun_process(device="cpu"))
    dist.destroy_process_group()
