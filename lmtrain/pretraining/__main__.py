"""`torchrun --nproc-per-node 8 -m lmtrain.pretraining RECIPE`: the recipe's pretraining, without Ray.

Shards and tokenizer must be there (`lmtrain tokenize RECIPE`). The processes are
those that torchrun started; what the recipe says of workers doesn't count. Alone,
`python -m lmtrain.pretraining RECIPE` trains in one process. Ends with 2 and one line
for what a person can put right, with 130 after Ctrl-C or SIGTERM, on every process.
"""

import logging
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import torch
import torch.distributed as dist

from lmtrain.building import Attempt, Built
from lmtrain.errors import CancelledError, LmtrainError
from lmtrain.pretraining.work import pretrained
from lmtrain.pretraining.worker import train
from lmtrain.training.process import Process, torchrun_process
from lmtrain.training.profiling import OPENING, told
from lmtrain.watch import TerminalWatch

INTERRUPTED = 130
PROFILED_STEPS = 5
LEADER_HAS_TOLD = "lmtrain/leader-has-told"
LEADER_TELLS_WITHIN_SECONDS = 2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("recipe", metavar="RECIPE")
@click.option("--root", metavar="URL", help="Where artifacts are and go, instead of the recipe's root.")
@click.option("--profile", "folder", metavar="DIR", help="Only trace a few steps, a file for each process.")
def main(recipe: str, root: str | None, folder: str | None) -> None:
    """Pretrain the model of RECIPE in the processes that torchrun started."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the tracer tells of its own start and end
    logging.basicConfig(level=logging.WARNING, format="  %(message)s")
    leads = os.environ.get("RANK", "0") == "0"
    watch = TerminalWatch("pretrain")
    try:
        loaded = import_module("lmtrain.recipe").load_recipe(recipe, root=root)
        resources = loaded.resources
        process = torchrun_process(
            _told_to(watch, leads), resources.collective_timeout_seconds, resources.device
        )
        planned = partial(_planned, loaded, recipe)
        lines = _profile(planned, process, Path(folder)) if folder else _pretrain(planned, process)
    except (KeyboardInterrupt, CancelledError):
        watch.close()
        if leads:
            click.echo("lmtrain: stopped; the same command again goes on from here", err=True)
        sys.exit(INTERRUPTED)
    except LmtrainError as error:
        watch.close()
        _tell_error(error, leads)
        sys.exit(2)
    finally:
        watch.close()
        if dist.is_initialized():
            dist.destroy_process_group()
    for line in lines:
        click.echo(line)


def _told_to(watch: TerminalWatch, leads: bool) -> Callable[[str, dict[str, Any]], None]:
    """Return what shows all that the leading process tells, and the warnings of the others."""

    def tell(kind: str, payload: dict[str, Any]) -> None:
        if leads or (kind == "log" and payload["level"] >= logging.WARNING):
            getattr(watch, kind)(**payload)

    return tell


def _tell_error(error: LmtrainError, leads: bool) -> None:
    """Write an error in one line; a process that doesn't lead does so only where the leading one has none."""
    line = f"lmtrain: {' '.join(str(error).split())}"
    if leads:
        click.echo(line, err=True)
    if not dist.is_initialized():  # the recipe is the same for all: so is the error
        return
    store = dist.distributed_c10d._get_default_store()
    try:
        if leads:
            store.set(LEADER_HAS_TOLD, "1")
            return
        store.wait([LEADER_HAS_TOLD], timedelta(seconds=LEADER_TELLS_WITHIN_SECONDS))
    except RuntimeError:  # the leading process has nothing to tell, or is gone
        if not leads:
            click.echo(line.replace("lmtrain:", f"lmtrain: [rank {dist.get_rank()}]", 1), err=True)


Planned = Callable[[], tuple[dict[str, Any], Any, str, Any]]
"""Returns inputs, config, root and resources; called where the root is looked at, on the leading process."""


def _profile(planned: Planned, process: Process, folder: Path) -> list[str]:
    """Trace a few steps on all processes; return what there is to tell on the leading one."""
    given: Any = 2
    try:
        if process.leads:
            given = planned()
    finally:
        given = _from_leader(process, given)
    if isinstance(given, int):
        sys.exit(given)
    inputs, config, _, resources = given
    torch.set_num_threads(resources.threads_per_worker)
    tracing = import_module("lmtrain.pretraining.tracing")
    seen = tracing.trace_steps(inputs, config, resources, process, PROFILED_STEPS, folder)
    trace = f"trace: {seen.trace}, and beside it one of each other process ({OPENING})"
    return [*told(seen), trace] if process.leads else []


def _pretrain(planned: Planned, process: Process) -> list[str]:
    """Train; return what there is to tell on the leading process.

    Args:
        planned: what is trained.
        process: this one.

    Raises:
        LmtrainError: on the leading process what is wrong; on the others that it has told so.
    """
    if not process.leads:
        _follow(process)
        return []
    awaited = process.world > 1

    def trains(spec: dict[str, Any], attempt: Attempt) -> Built:
        nonlocal awaited
        result = attempt.finished("model")
        if result is None:
            whole = {**spec, "attempt": attempt, "resources": resources}
            awaited = False
            _from_leader(process, whole)
            _train(whole, process)
            result = attempt.finished("model")
        assert result is not None, "this process recorded it"
        return Built(result.files, result.stats)

    outcome: int | None = 2
    try:
        inputs, config, where, resources = planned()
        url = pretrained(inputs, config, where, trains)
        outcome = None
    finally:
        if awaited:  # there is nothing to train on: nobody may wait for it
            _from_leader(process, outcome)
    return [f"model: {url}"]


def _follow(process: Process) -> None:
    """Take part in what the leading process begins; end as it does where it begins nothing."""
    given = _from_leader(process)
    if isinstance(given, int):
        sys.exit(given)
    if given is not None:
        _train(given, process)


def _planned(loaded: Any, recipe: str) -> tuple[dict[str, Any], Any, str, Any]:
    """Return inputs, config, root and resources of the pretraining of a recipe from the file `recipe`.

    Raises:
        LmtrainError: what it needs isn't there, or can't be had.
    """
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    resources = loaded.resources.model_copy(update={"workers": here})
    loaded = loaded.model_copy(update={"resources": resources})
    where, line = import_module("lmtrain.planning").pretraining(loaded, recipe)
    if line.hit:
        click.echo(f"  there  {line.node.address.folder}", err=True)
    return line.node.input_urls(where), line.node.config, where, resources


def _train(spec: dict[str, Any], process: Process) -> None:
    torch.set_num_threads(spec["resources"].threads_per_worker)
    train(spec, process)


def _from_leader(process: Process, given: Any = None) -> Any:
    """Return on all processes what the leading one gives."""
    if process.world == 1:
        return given
    shared = [given]
    dist.broadcast_object_list(shared, src=0)
    return shared[0]


if __name__ == "__main__":
    main()
