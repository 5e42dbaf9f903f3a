"""A model handed over: its Hugging Face folder, with a card that says all that manifests know of it.

In: a model's artifact, and what lies under the same root. Out: a folder with weights, tokenizer and a
`README.md` whose sections are those of the card that the training wrote, then the scores with their
intervals (also as the `model-index` that the Hugging Face hub reads), and the recipe.
"""

import shutil
from pathlib import Path
from typing import Any

import yaml

from lmtrain import storage
from lmtrain.errors import RecipeError
from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.manifest import Artifact
from lmtrain.reporting.line import ROLES, Line, Scored
from lmtrain.reporting.lineage import recipe_text
from lmtrain.reporting.results import read_scores

USE = "## Use"
"""Before which the scores stand."""

ROLE_OF_KIND = {"corpus": "corpora", "model": "models", "scores": "scores"}
"""What a report calls artifacts of a kind, where that isn't the kind itself."""


def hand_over(model: Artifact, folder: Path) -> list[dict[str, Any]]:
    """Copy a model into a folder of its own, with a whole card; return the rows of its scores.

    Args:
        model: pretrained or fine-tuned.
        folder: which must not be there, or be empty.

    Raises:
        RecipeError: the folder holds something.
        CorruptArtifactError: a file isn't what its manifest says.
    """
    if folder.exists() and any(folder.iterdir()):
        raise RecipeError(f"{folder} isn't empty: name a folder that isn't there yet")
    scores = scores_of(model)
    rows = [row for one in scores for row in read_scores(one)]
    shutil.copytree(model.folder("weights"), folder, dirs_exist_ok=True)
    card = folder / "README.md"
    written = card.read_text(encoding="utf-8") if card.exists() else f"---\n---\n\n# {model.address.label}\n"
    line = Line({role: [] for role in ROLES})
    for artifact in ancestors(model):
        line.by_role.setdefault(ROLE_OF_KIND.get(artifact.address.kind, artifact.address.kind), []).append(
            artifact
        )
    line.by_role["scores"] = [one.artifact for one in scores]
    card.write_text(whole_card(written, rows, recipe_text(line, model.address.label)), encoding="utf-8")
    return rows


def scores_of(model: Artifact) -> list[Scored]:
    """Return the scores under a model's root in which it is the system, by task and data set."""
    found = []
    for url in storage.walk(storage.join(model.root, EvaluateConfig.kind)):
        if not url.endswith("/manifest.json"):
            continue
        scores = Artifact(url)
        config = scores.manifest.config
        systems = [given.digest for given in scores.manifest.inputs if given.role == "system"]
        if model.address.digest in systems:
            found.append(Scored(scores, config["task"], config["dataset"], "model", model))
    return sorted(found, key=lambda scored: (scored.task, scored.dataset))


def ancestors(model: Artifact) -> list[Artifact]:
    """Return what a model was made of, itself last, each once."""
    found: dict[str, Artifact] = {}

    def visit(artifact: Artifact) -> None:
        for role in sorted({given.role for given in artifact.manifest.inputs}):
            for given in artifact.inputs(role):
                if given.url not in found:
                    visit(given)
        found[artifact.url] = artifact

    visit(model)
    return list(found.values())


def whole_card(card: str, rows: list[dict[str, Any]], recipe: str) -> str:
    """Return a card with scores and recipe in it.

    Args:
        card: Markdown that begins with metadata between two lines `---`.
        rows: of `scores.json`.
        recipe: as YAML.
    """
    _, metadata, body = card.split("---\n", 2)
    known: dict[str, Any] = yaml.safe_load(metadata) or {}
    if rows:
        known["model-index"] = [{"name": rows[0]["system"], "results": _results(rows, known)}]
    told = yaml.safe_dump(known, sort_keys=False, allow_unicode=True)
    sections = f"{_scores(rows)}## Recipe\n\n```yaml\n{recipe.rstrip()}\n```\n"
    before, found, after = body.partition(USE)
    whole = f"{before}{sections}\n{found}{after}" if found else f"{body.rstrip()}\n\n{sections}"
    return f"---\n{told}---\n{whole}"


def _scores(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    table = ["| task | data | metric | value | 95 % interval | examples |", "|---|---|---|---:|---|---:|"]
    table += [
        f"| {row['task']} | {row['dataset']}, {row['split']} | {row['metric']} | {row['value']:.4g} | "
        f"{row['low']:.4g} to {row['high']:.4g} | {row['samples']:,} |"
        for row in rows
    ]
    signatures = {f"{row['metric']}: `{row['signature']}`" for row in rows if row["signature"]}
    how = f"\n\n{'; '.join(sorted(signatures))}" if signatures else ""
    return "## Scores\n\n" + "\n".join(table) + how + "\n\n"


def _results(rows: list[dict[str, Any]], metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows as the hub has them: a result for each task and data set."""
    results: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        task = {"type": metadata.get("pipeline_tag", row["task"]), "name": row["task"]}
        data = {"type": row["dataset"], "name": row["dataset"], "split": row["split"]}
        result = results.setdefault(
            (row["task"], row["dataset"]), {"task": task, "dataset": data, "metrics": []}
        )
        result["metrics"].append({"type": row["metric"], "value": row["value"]})
    return list(results.values())
