"""How a peer's program talks to the benchmark that started it.

It needs nothing but Python: peers have environments of their own. In, a line of JSON on standard
input for each request; out, a line for each answer.
"""

import contextlib
import json
import sys
import time


def answer_requests(answer):
    """Answer until the input ends; what a library prints goes to standard error.

    Args:
        answer: takes a request, returns its answer.
    """
    for line in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            found = answer(json.loads(line))
        print(json.dumps(found), flush=True)


def timed(do):
    """Do it; return the seconds that passed and those of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    do()
    return {"wall": time.perf_counter() - clock, "processor": time.process_time() - processor}
