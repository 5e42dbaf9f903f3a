"""Run under torchrun: one worker stops taking part after some steps; each prints the error that it gets."""

import sys
import time

from lmtrain.errors import LostWorkerError
from lmtrain.training.process import torchrun_process

LATE_RANK, LAST_STEP = 1, 4
SLEEPS_SECONDS, TIMEOUT_SECONDS = 7, 2

if __name__ == "__main__":
    process = torchrun_process(timeout_seconds=TIMEOUT_SECONDS)
    try:
        with process.naming_who_is_late():
            for step in range(1, LAST_STEP + 2):
                if process.rank == LATE_RANK and step > LAST_STEP:
                    time.sleep(SLEEPS_SECONDS)
                process.sum([1.0])
                process.beat(step)
    except LostWorkerError as error:
        sys.stdout.write(f"ERROR {process.rank} {error}\n")
        sys.stdout.flush()
