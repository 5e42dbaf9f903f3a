"""`torchrun --nproc-per-node 8 -m lmtrain.pretraining RECIPE`: the recipe's pretraining, without Ray.

Shards and tokenizer must be there (`lmtrain tokenize RECIPE`). The processes are
those that torchrun started; what the recipe says of workers doesn't count. Alone,
`python -m lmtrain.pretraining RECIPE` trains in one process.
"""

import logging
import sys
from importlib import import_module
from typing import Any

import click
import torch
import torch.distributed as dist

from lmtrain.building import Attempt, Built
from lmtrain.errors import LmtrainError, RecipeError
from lmtrain.pretraining.work import pretrained
from lmtrain.pretraining.worker import train
from lmtrain.training.process import Process, torchrun_process
from lmtrain.watch import TerminalWatch


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("recipe")
@click.option("--root", metavar="URL", help="Where artifacts are and go, instead of the recipe's root.")
def main(recipe: str, root: str | None) -> None:
    """Pretrain the model of RECIPE in the processes that torchrun started."""
    logging.basicConfig(level=logging.WARNING, format="  %(message)s")
    watch = TerminalWatch("pretrain")
    process = torchrun_process(lambda kind, told: _tell(watch, kind, told))
    try:
        url = _pretrain(recipe, root, process)
    except LmtrainError as error:
        if process.leads:
            click.echo(f"lmtrain: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
    finally:
        watch.close()
        if dist.is_initialized():
            dist.destroy_process_group()
    if url:
        click.echo(f"model: {url}")


def _tell(watch: TerminalWatch, kind: str, told: dict[str, Any]) -> None:
    """Show what a training tells."""
    getattr(watch, kind)(**told)


def _pretrain(recipe: str, root: str | None, process: Process) -> str | None:
    """Train; return the URL of the manifest on the leading process."""
    if not process.leads:
        given = _from_leader(process)
        if given is not None:
            _train(given, process)
        return None
    begun = False

    def trains(spec: dict[str, Any], attempt: Attempt) -> Built:
        nonlocal begun
        result = attempt.finished("model")
        if result is None:
            begun = True
            whole = {**spec, "attempt": attempt, "resources": resources}
            _from_leader(process, whole)
            _train(whole, process)
            result = attempt.finished("model")
        assert result is not None, "this process recorded it"
        return Built(result.files, result.stats)

    try:
        inputs, config, where, resources = _planned(recipe, root)
        return pretrained(inputs, config, where, trains)
    finally:
        if not begun:  # there is nothing to train on: nobody may wait for it
            _from_leader(process, None)


def _planned(recipe: str, root: str | None) -> tuple[dict[str, list[str]], Any, str, Any]:
    """Return inputs, config, root and resources of the recipe's pretraining.

    Raises:
        RecipeError: what it needs isn't there.
    """
    loaded = import_module("lmtrain.recipe").load_recipe(recipe, root=root)
    where, planned = import_module("lmtrain.planning").prepare(loaded)
    node = next(line.node for line in planned if line.node.stage == "pretrain")
    there = {id(line.node) for line in planned if line.hit}
    for needed in (given for nodes in node.inputs.values() for given in nodes):
        if id(needed) not in there:
            raise RecipeError(
                f"{needed.address.folder} isn't there yet: run `lmtrain tokenize {recipe}` first"
            )
    inputs = {role: [given.address.url(where) for given in nodes] for role, nodes in node.inputs.items()}
    return inputs, node.config, where, loaded.resources


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
