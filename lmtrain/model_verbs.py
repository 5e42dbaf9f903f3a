"""`lmtrain generate`, `predict`, `compare`, `export`: models at work, side by side and handed over."""

import json
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import click

from lmtrain import storage
from lmtrain.config import Resources
from lmtrain.errors import RecipeError
from lmtrain.manifest import Artifact
from lmtrain.watch import TerminalWatch


def manifest_url(given: str) -> str:
    """Return the URL of the manifest that a person means by its own path or URL, or its folder's.

    Raises:
        StorageError: its server doesn't answer.
    """
    url = storage.resolve(given)
    if storage.is_remote(url):
        storage.check_reachable(url)
    return url if url.endswith("/manifest.json") else storage.join(url, "manifest.json")


def model_folder(given: str) -> Path:
    """Return the local Hugging Face folder that a person means: of an artifact, or a folder as it is.

    Raises:
        RecipeError: there is no model.
        StorageError: its server doesn't answer.
    """
    url = manifest_url(given)
    if storage.exists(url) or given.endswith("manifest.json"):
        return Artifact(url).folder("weights")
    folder = Path(given).expanduser()
    if not (folder / "config.json").is_file():
        raise RecipeError(f"no model at {given}: give a model's manifest.json or its folder")
    return folder


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("prompt", metavar="PROMPT")
@click.option(
    "--max-new-tokens",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="Tokens to write at most.",
)
@click.option(
    "--temperature",
    default=0.8,
    show_default=True,
    type=click.FloatRange(0),
    help="0 takes the likeliest token.",
)
@click.option(
    "--top-k", default=50, show_default=True, type=click.IntRange(1), help="Choose among so many tokens."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the choice.")
def generate(model: str, prompt: str, max_new_tokens: int, temperature: float, top_k: int, seed: int) -> None:
    """Let a model continue a text.

    MODEL is the path or URL of a model's manifest.json or its folder, or a Hugging Face folder.
    """
    generation = import_module("lmtrain.evaluation.generation")  # brings torch: not before it is needed
    text = generation.generate(
        model_folder(model),
        prompt,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        seed=seed,
    )
    click.echo(text)


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("file", metavar="FILE")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write, not to the standard output.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=COLUMN",
    help="What a column of the task is called in the file, such as text=review.",
)
def predict(model: str, file: str, out: Path | None, columns: tuple[str, ...]) -> None:
    """Let a fine-tuned model say what it makes of each record of a file, as JSON lines.

    MODEL is the path or URL of a model's manifest.json or its folder, or a Hugging Face folder that a
    fine-tuning left. FILE is JSONL, CSV, TSV, Parquet or Arrow, local or by URL, or a folder of them.
    A record that can't be read is named with its reason, and the others go on.
    """
    named = {name: column for name, _, column in (given.partition("=") for given in columns)}
    predicting = import_module("lmtrain.predicting")  # brings torch: not before it is needed
    watch = TerminalWatch("predict")
    counts: Counter[str] = Counter()
    output = out.open("w", encoding="utf-8") if out else sys.stdout
    try:
        for row in predicting.predict(model_folder(model), file, named, Resources(), watch):
            counts[row.get("refused", "")] += 1
            print(json.dumps(row, ensure_ascii=False), file=output)
    finally:
        watch.close()
        if out:
            output.close()
    done = counts.pop("", 0)
    refused = "".join(f", {number:,} {reason}" for reason, number in counts.most_common())
    click.echo(f"lmtrain: {done:,} predicted{refused}", err=True)


@click.command()
@click.argument("scores", metavar="SCORES")
@click.argument("other", metavar="SCORES")
@click.option("--samples", default=1000, show_default=True, type=click.IntRange(10), help="Resamples.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the resamples.")
def compare(scores: str, other: str, samples: int, seed: int) -> None:
    """Tell how far two systems are apart on the same examples, with 95 % intervals.

    SCORES are paths or URLs of scores' manifest.json, or their folders. Whole groups of examples are
    drawn, the same for both systems; an interval that holds zero says that chance could explain it.
    """
    comparison = import_module("lmtrain.evaluation.comparison")
    urls = [manifest_url(given) for given in (scores, other)]
    ours, theirs = (Artifact(url) for url in urls)
    click.echo(f"{ours.address.label} minus {theirs.address.label}")
    for metric in ours.stats["metrics"]:
        if metric not in theirs.stats["metrics"]:
            click.echo(f"  {metric:<20} only {ours.address.label} has it")
            continue
        found = comparison.compare(*urls, metric, samples, seed)
        told = "" if found.low <= 0 <= found.high else "  chance doesn't explain it"
        click.echo(f"  {metric:<20} {found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]{told}")


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
def export(model: str, folder: Path) -> None:
    """Write a model as a Hugging Face folder, whose card has its data, scores with intervals, and recipe.

    MODEL is the path or URL of a model's manifest.json or its folder. The scores are those that lie under the
    same root.
    """
    handover = import_module("lmtrain.handover")
    rows = handover.hand_over(Artifact(manifest_url(model)), folder)
    click.echo(f"model: {folder} ({len(rows)} scores in its card)")
