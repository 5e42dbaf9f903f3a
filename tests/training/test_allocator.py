"""On a CPU the memory of a step is that of the step before."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from lmtrain.training.allocator import keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()
blocks = [torch.ones(9 << 20) for _ in range(8)]  # 38 MB each: glibc never keeps so large ones of itself
for _ in range(3):
    blocks = None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(9 << 20) for _ in range(8)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="page faults are counted as Linux does")
def test_pages_of_freed_tensors_are_not_made_again():
    def faults(how: str) -> int:
        command = [sys.executable, "-c", PROGRAM, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("kept") < 100 < faults("as it is")
