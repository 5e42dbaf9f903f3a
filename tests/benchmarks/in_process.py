"""Stages in this process instead of Ray's: what is measured is then the work of one core."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from lmtrain.building import Attempt, ShardResult
from lmtrain.distributed.map import Split


def map_in_process(
    function: Callable[[Any, Any, Any], None],
    splits: Sequence[Split],
    attempt: Attempt,
    *_: object,
    step: str,
    shared: Any = None,
    **__: object,
) -> list[ShardResult]:
    """Do what `map_shards` does, without Ray."""
    results = []
    for split in splits:
        with attempt.shard(f"{step}/{split.name}") as output:
            function(split.payload, shared, output)
        assert output.result is not None
        results.append(output.result)
    return results


def without_ray() -> None:
    """Let every stage that is imported so far run in this process from now on."""
    for name, module in list(sys.modules.items()):
        if name.startswith("lmtrain.") and hasattr(module, "map_shards"):
            module.map_shards = map_in_process  # type: ignore[attr-defined]
