"""Stages in this process instead of Ray's: what is measured is then the work of one core, step by step."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lmtrain.building import Attempt, ShardResult
from lmtrain.distributed.map import Split


class Step(NamedTuple):
    """When one pass of a stage was made, in seconds of the clock."""

    name: str
    begin: float
    end: float


class InProcess:
    """Does what `map_shards` does, without Ray, and notes when."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def map_shards(
        self,
        function: Callable[[Any, Any, Any], None],
        splits: Sequence[Split],
        attempt: Attempt,
        *_: object,
        step: str,
        shared: Any = None,
        **__: object,
    ) -> list[ShardResult]:
        """Run a function over splits, one after another."""
        results, begin = [], time.perf_counter()
        for split in splits:
            with attempt.shard(f"{step}/{split.name}") as output:
                function(split.payload, shared, output)
            assert output.result is not None
            results.append(output.result)
        self.steps.append(Step(step, begin, time.perf_counter()))
        return results


def without_ray() -> InProcess:
    """Let every stage that is imported so far run in this process from now on."""
    here = InProcess()
    for name, module in list(sys.modules.items()):
        if name.startswith("lmtrain.") and hasattr(module, "map_shards"):
            module.map_shards = here.map_shards  # type: ignore[attr-defined]
    return here
