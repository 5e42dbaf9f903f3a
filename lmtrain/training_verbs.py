"""`lmtrain estimate` and `lmtrain profile`: what a pretraining takes, before and while it runs.

Neither makes an artifact. torch is imported once a command runs.
"""

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from lmtrain.config import Resources
from lmtrain.errors import ResourceError
from lmtrain.planning import pretraining
from lmtrain.recipe import Recipe, load_recipe
from lmtrain.tokenization.files import with_files_digest
from lmtrain.watch import TerminalWatch

GPU_MFU = 0.35, "published: 33 to 39 % of torchtitan's 8 B Llama on H100; set --mfu where you know better"
CPU_MFU = 0.2, "seen without compilation on 2 busy cores; a training's metrics tell what yours reaches"


@click.command()
@click.argument("recipe", metavar="RECIPE")
@click.option("--device", metavar="NAME", help="A GPU (H100, A100, L4, …) or cpu; what is here by default.")
@click.option("--workers", type=click.IntRange(1), help="Workers, instead of the recipe's resources.workers.")
@click.option(
    "--mfu",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the device's peak operations that the training reaches.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def estimate(recipe: str, device: str | None, workers: int | None, mfu: float | None, as_json: bool) -> None:
    """Tell memory, tokens/s and hours of the pretraining, for each way to shard and to recompute.

    Needs the recipe alone: one step of the model is traced without being run.
    """
    loaded = load_recipe(recipe)
    resources = loaded.resources
    if workers is not None:
        resources = resources.model_copy(update={"workers": workers})
    chosen = _device(device or resources.device, resources, loaded.pretrain.precision)
    share, source = GPU_MFU if chosen.is_gpu else CPU_MFU
    if mfu is not None:
        share, source = mfu, "as given"
    estimating = import_module("lmtrain.pretraining.estimating")
    watch = TerminalWatch("estimate")
    try:
        found = estimating.estimate(
            loaded.pretrain,
            _vocabulary(loaded),
            resources,
            chosen,
            share,
            lambda done, total: watch.progress(done, total, "ways"),
        )
    finally:
        watch.close()
    shown = import_module("lmtrain.estimate_table")
    if as_json:
        click.echo(json.dumps(shown.as_json(found, chosen, resources.workers, share), indent=2))
    else:
        click.echo(shown.table(found, chosen, resources.workers, share, source))


def _vocabulary(recipe: Recipe) -> int:
    """Return the entries of the tokenizer: as the recipe asks, or of the one that it names.

    Raises:
        RecipeError: the folder that it names holds no tokenizer.
    """
    config = recipe.tokenize.tokenizer()
    if not config.existing:
        return config.vocab_size
    return len(import_module("lmtrain.tokenization.existing").take(with_files_digest(config)))


def _device(name: str, resources: Resources, precision: str) -> Any:
    """Return the device that a person means, or that is here.

    Raises:
        ResourceError: it isn't known.
    """
    devices = import_module("lmtrain.training.devices")
    torch = import_module("torch")
    if name not in ("auto", "cpu", "cuda"):
        found = devices.known_device(name)
        if found is None:
            known = ", ".join(device.name for device in devices.DEVICES)
            raise ResourceError(f"--device {name} isn't known; known are cpu, {known}")
        return found
    if name == "cuda" and not torch.cuda.is_available():
        raise ResourceError("no GPU is here: name the one that you mean, such as --device H100")
    if name != "cpu" and torch.cuda.is_available():
        chosen = _measured(precision, "cuda")
        return devices.this_gpu(chosen.peak_flops)
    torch.set_num_threads(resources.threads_per_worker)
    chosen = _measured(precision, "cpu")
    return devices.this_cpu(chosen.peak_flops, min(resources.workers, os.cpu_count() or 1))


def _measured(precision: str, kind: str) -> Any:
    """Return how products are multiplied on a device of this machine, and how fast.

    Raises:
        ResourceError: it can't multiply in that precision.
    """
    measuring, device = import_module("lmtrain.training.precision"), import_module("torch").device(kind)
    measuring.check_precision(precision, device)
    return measuring.choose_precision(precision, measuring.measured_rates(measuring.USUAL, device), device)


@click.command()
@click.argument("recipe", metavar="RECIPE")
@click.option("--root", metavar="URL", help="Where artifacts are, instead of the recipe's root.")
@click.option(
    "--output", default="profile", show_default=True, metavar="DIR", help="Folder that the trace goes to."
)
@click.option("--steps", default=5, show_default=True, type=click.IntRange(1, 100), help="Steps to trace.")
def profile(recipe: str, root: str | None, output: str, steps: int) -> None:
    """Trace a few steps of the pretraining in one process: where their time goes, and a file for Perfetto.

    Shards and tokenizer must be there (lmtrain tokenize RECIPE). No artifact is made.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the tracer tells of its own start and end
    loaded = load_recipe(recipe, root=root)
    where, line = pretraining(loaded, recipe)
    tracing = import_module("lmtrain.pretraining.tracing")
    processes = import_module("lmtrain.training.process")
    watch = TerminalWatch(f"profile {line.node.label}")
    process = processes.torchrun_process(
        lambda kind, told: getattr(watch, kind)(**told), device=loaded.resources.device
    )
    import_module("torch").set_num_threads(loaded.resources.threads_per_worker)
    try:
        seen = tracing.trace_steps(
            line.node.input_urls(where), loaded.pretrain, loaded.resources, process, steps, Path(output)
        )
    finally:
        watch.close()
    profiling = import_module("lmtrain.training.profiling")
    for text in profiling.told(seen):
        click.echo(text)
    click.echo(f"trace: {seen.trace} ({profiling.OPENING})")
