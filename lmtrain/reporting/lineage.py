"""Where everything on the page comes from: each manifest, its inputs, and the recipe that asks for it all.

In: the line's artifacts. Out: rows of a table, boxes of a graph, and a recipe
put together again from the configs in the manifests.
"""

import json
from dataclasses import dataclass
from typing import Any

import yaml

from lmtrain import storage
from lmtrain.manifest import Address, Artifact
from lmtrain.reporting import humanize
from lmtrain.reporting.line import Line
from lmtrain.reporting.stage_graph import Box

REPORT = "report"


@dataclass(frozen=True)
class Made:
    """One manifest, as a row of the table."""

    stage: str
    folder: str
    url: str
    config: str
    inputs: list[tuple[str, str]]
    files: int
    bytes: int
    seconds: float
    created_at: str
    code_version: str


def made(line: Line) -> list[Made]:
    """Return the manifests in the order of the line."""
    return [_made(artifact) for artifact in line.all]


def _made(artifact: Artifact) -> Made:
    manifest = artifact.manifest
    return Made(
        stage=manifest.stage,
        folder=artifact.address.folder,
        url=artifact.address.folder + "/manifest.json",
        config=json.dumps(manifest.config, ensure_ascii=False, indent=1, sort_keys=True),
        inputs=[(given.role, given.url.removesuffix("/manifest.json")) for given in manifest.inputs],
        files=len(manifest.files),
        bytes=sum(record.bytes for record in manifest.files),
        seconds=manifest.seconds,
        created_at=manifest.created_at.replace("T", " ").replace("+00:00", " UTC"),
        code_version=manifest.code_version,
    )


def boxes(line: Line, name: str) -> list[Box]:
    """Return the graph's boxes: one for each artifact, but the scores of one data set share one.

    Args:
        line: the artifacts.
        name: what the report at the end is called.
    """
    keys: dict[str, str] = {}
    drawn: dict[str, Box] = {}
    for artifact in _in_order(line):
        key = _key(artifact)
        keys[artifact.url] = key
        needs = [keys[url] for url in _input_urls(artifact) if url in keys]
        if key in drawn:
            box = drawn[key]
            box.needs = list(dict.fromkeys([*box.needs, *needs]))
            box.told += f"\n{artifact.address.folder}, {humanize.duration(artifact.manifest.seconds)}"
        else:
            title = (
                str(artifact.manifest.config["dataset"])
                if key.startswith("scores ")
                else artifact.address.label
            )
            told = f"{artifact.address.folder}, {humanize.duration(artifact.manifest.seconds)}"
            kind = artifact.manifest.kind
            drawn[key] = Box(
                key, kind, humanize.words(artifact.manifest.stage), title, told, list(dict.fromkeys(needs))
            )
    used = {need for box in drawn.values() for need in box.needs}
    ends = [key for key in drawn if key not in used]
    drawn[REPORT] = Box(REPORT, REPORT, REPORT, name, "this page", ends)
    return list(drawn.values())


def _key(artifact: Artifact) -> str:
    if artifact.manifest.kind == "scores":
        return f"scores {artifact.manifest.config['task']} {artifact.manifest.config['dataset']}"
    return artifact.url


def _input_urls(artifact: Artifact) -> list[str]:
    return [storage.join(artifact.root, given.url) for given in artifact.manifest.inputs]


def _in_order(line: Line) -> list[Artifact]:
    """Return the artifacts, each once and after those that it needs."""
    waiting = {artifact.url: artifact for artifact in line.all}
    ordered: dict[str, Artifact] = {}

    def visit(artifact: Artifact) -> None:
        if artifact.url not in ordered:
            for url in _input_urls(artifact):
                if url in waiting:
                    visit(waiting[url])
            ordered[artifact.url] = artifact

    for artifact in waiting.values():
        visit(artifact)
    return list(ordered.values())


def packages(line: Line) -> list[tuple[str, str]]:
    """Return the versions that the artifacts were made with; several where they differ."""
    found: dict[str, set[str]] = {}
    for artifact in line.all:
        found.setdefault("lmtrain", set()).add(artifact.manifest.code_version)
        for name, version in artifact.manifest.packages.items():
            found.setdefault(name, set()).add(version)
    return [(name, ", ".join(sorted(versions))) for name, versions in found.items()]


def recipe(line: Line, name: str) -> dict[str, Any]:
    """Put the recipe together again from the configs in the manifests.

    Places of files aren't recorded in manifests, so `urls` of a source of files
    hold its alias instead. Given the same sources, the recipe has the same
    addresses.
    """
    whole: dict[str, Any] = {"name": name}
    sections = {"ingest": line["corpora"], "label": line["labelled"]}
    for section, artifacts in sections.items():
        for artifact in artifacts:
            config = artifact.manifest.config
            whole.update({"split": config["split"]} if "split" in config else {})
            for kind in ("docstrings", "files"):
                if kind in config:
                    whole.setdefault(section, {}).setdefault(kind, []).append(_source(config[kind], section))
    for role, section in (("documents", "curate"), ("tokenizer", "tokenize"), ("shards", "tokenize")):
        for artifact in line[role]:
            whole.setdefault(section, {}).update(artifact.manifest.config)
    for classifier in line["classifier"]:
        whole["classifier"] = {**classifier.manifest.config, "data": _labelled_name(classifier)}
    for vectors in line["word_vectors"]:
        whole.setdefault("word_vectors", []).append(vectors.manifest.config)
    for model in line.pretrained:
        whole["pretrain"] = model.manifest.config
    for model in line.finetuned:
        _add_finetuning(whole, model)
    shared = ("bootstrap_samples", "max_generated", "num_beams", "seed")
    for scores in line["scores"]:
        config = scores.manifest.config
        section = whole.setdefault("evaluate", {})
        section.update({key: config[key] for key in shared if key in config})
        _add_lighter(section, config.get("lighter", {}))
    return {section: given for section, given in whole.items() if given}


def _source(config: dict[str, Any], section: str) -> dict[str, Any]:
    if "packages" in config or (section == "label" and "task" not in config):
        return config
    return {**config, "urls": [config["alias"]]}


def _add_lighter(section: dict[str, Any], lighter: dict[str, Any]) -> None:
    """Add a lighter version, as a recipe has it: all of them together."""
    if lighter:
        whole = section.setdefault("lighter", {})
        whole |= {"int8": True} if lighter.get("int8") else {}
        shares = {*whole.get("pruned", []), *lighter.get("pruned", [])}
        whole |= {"pruned": sorted(shares)} if shares else {}


def _add_finetuning(whole: dict[str, Any], model: Artifact) -> None:
    """Add a fine-tuning, as a recipe has it: both starts and all seeds are one."""
    config = dict(model.manifest.config)
    config.pop("initial", None)
    repetition = config.pop("repetition", 0)
    listed = whole.setdefault("finetune", {}).setdefault(str(model.stats.get("task", "classification")), [])
    same = next((given for given in listed if given["name"] == config["name"]), None)
    if same is not None:
        same["seeds"] = max(same["seeds"], repetition + 1)
        return
    config["seeds"] = repetition + 1
    if repetition:
        config["seed"] -= repetition
    data = _labelled_names(model)
    if "members" in config:
        config["separately"] = _add_members(whole, model, config.pop("members"))
    elif "sets" in config:
        config["sets"] = [{**given} for given in config["sets"]]
        for given in config["sets"]:
            given.pop("task")
    elif data:
        config["data"] = data[0]
    listed.append(config)


def _add_members(whole: dict[str, Any], model: Artifact, members: list[dict[str, Any]]) -> bool:
    """Add the tasks of a joint training that weren't trained alone; return whether all of them were."""
    separately = True
    for member, data in zip(members, _labelled_names(model), strict=True):
        task = model.stats["parts"][member["name"]]["task"]
        listed = whole["finetune"].setdefault(task, [])
        if all(given["name"] != member["name"] for given in listed):
            listed.append({**member, "data": data})
            separately = False
    return separately


def _labelled_name(trained: Artifact) -> str | None:
    """Return the name of the labelled set that something was trained on."""
    return next(iter(_labelled_names(trained)), None)


def _labelled_names(trained: Artifact) -> list[str]:
    """Return the names of the labelled sets that something was trained on."""
    urls = [given.url for given in trained.manifest.inputs if given.role == "labelled"]
    return [Address.parse(storage.join(trained.root, url))[1].label for url in urls]


def recipe_text(line: Line, name: str) -> str:
    """Return the recipe as YAML."""
    return yaml.safe_dump(recipe(line, name), sort_keys=False, allow_unicode=True, width=88)
