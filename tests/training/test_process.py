"""Whoever waits in vain says for whom, and where that one was."""

import os
import subprocess
import sys
from pathlib import Path

from late_program import LAST_STEP, LATE_RANK

PROGRAM = Path(__file__).with_name("late_program.py")


def test_a_collective_that_times_out_names_the_rank_that_is_late_and_its_last_step():
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=3", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*command, str(PROGRAM)], capture_output=True, text=True, env=environment, timeout=200
    )
    told = dict(line.split(" ", 2)[1:] for line in done.stdout.splitlines() if line.startswith("ERROR "))
    for rank in {"0", "1", "2"} - {str(LATE_RANK)}:
        assert told[rank] == (
            f"rank {rank} waited in vain for the others at step {LAST_STEP}: rank {LATE_RANK} was last seen "
            f"at step {LAST_STEP}; look at what it logged last"
        )
