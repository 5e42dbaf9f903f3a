"""Fine-tuning on real sets: pretrained models, the same from random weights, and each task's baselines.

`make bench-tasks` runs it. Models and sets stand in `task_recipes.py`; each recipe is as a user would
write it and every stage the real one, so what was made before isn't made again. A row tells the headline
metric of one set beside its strongest baseline, beside random weights and beside the model as it is
where it has a score without training, with the interval of their paired difference on the test examples.
Needs `BENCH_DATA`.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from figures import Row, write
from task_recipes import ENCODER, MODELS, SETS, recipe_of

from lmtrain.evaluation.comparison import compare
from lmtrain.manifest import Artifact
from lmtrain.node import build, cluster_session
from lmtrain.planning import prepare
from lmtrain.recipe import parse_recipe
from lmtrain.watch import SilentWatch


def main() -> None:
    """Measure every model on every set, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET")
    parser.add_argument("--max-examples", type=int, help="training examples of a set at most")
    parser.add_argument("--max-steps", type=int, help="steps of a pretraining")
    parser.add_argument("--out", type=Path, help="folder of the results; default: beside this file")
    options = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    rows = []
    for model in options.models:
        for name in (name for name in MODELS[model] if name in options.sets):
            rows += measured(model, name, options.max_examples, options.max_steps)
    write("tasks", rows, dict([ENCODER.split("==")]), **({"folder": options.out} if options.out else {}))


def measured(model: str, name: str, max_examples: int | None, max_steps: int | None) -> list[Row]:
    """Fine-tune a model on one set and score it; return its rows."""
    recipe = parse_recipe(recipe_of(model, name, max_examples, max_steps), name)
    root, planned = prepare(recipe)
    with cluster_session():
        for line in planned:
            if not line.hit and line.node.stage != "report":
                begun = time.monotonic()
                build(line.node, root, recipe.resources, SilentWatch())
                print(f"{line.node.stage} {line.node.label}: {time.monotonic() - begun:.0f} s", flush=True)
    nodes = [line.node for line in planned if line.node.stage == "evaluate"]
    of_set = [node for node in nodes if node.config.model_dump()["dataset"] == "set"]
    return rows_of(model, name, {node.label: node.address.url(root) for node in of_set})


def rows_of(model: str, name: str, scored: dict[str, str]) -> list[Row]:
    """Return how the fine-tuned model does beside the others.

    Args:
        model: which one.
        name: of the set.
        scored: the scores' manifests by label.
    """
    ours = next(url for label, url in scored.items() if "-pretrained" in label)
    control = next(url for label, url in scored.items() if "-random" in label)
    others = set(scored.values()) - {ours, control}
    untuned = {url for url in others if Artifact(url).manifest.config["system"] == "model"}
    strongest = max(sorted(others - untuned), key=lambda url: headline(url)["value"])
    titles = {strongest: Artifact(strongest).address.label.removesuffix("-set"), control: "random weights"}
    titles |= dict.fromkeys(untuned, "not fine-tuned")
    found = headline(ours)
    rows = []
    for url, title in titles.items():
        theirs = headline(url)["value"]
        apart = compare(ours, url, found["metric"])
        details: dict[str, Any] = {
            "model": model, "set": name, "metric": found["metric"],
            "low": found["low"], "high": found["high"],
            "difference": apart.value, "difference_low": apart.low, "difference_high": apart.high,
        }  # fmt: skip
        ratio = found["value"] / theirs if theirs else float("inf")
        measure = f"{model} on {name}, {found['metric']}"
        rows.append(Row(measure, "", found["value"], theirs, title, ratio, None, details))
    return rows


def headline(url: str) -> dict[str, Any]:
    """Return the first row of some scores."""
    scores = Artifact(url)
    return json.loads(scores.open(scores.files("scores")[0]).read_text(encoding="utf-8"))[0]


if __name__ == "__main__":
    main()
