"""What is done before anything is started: a recipe is resolved, checked, planned, and the plan is told.

Neither Ray nor torch is imported here, so that a bad recipe is refused, and a
run that has nothing to do ends, within a few seconds.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lmtrain import storage
from lmtrain.config import Resources
from lmtrain.curation.config import ClassifierConfig
from lmtrain.errors import RecipeError
from lmtrain.finetuning.several_config import JointConfig
from lmtrain.graph import nodes_of
from lmtrain.manifest import Artifact, is_hit
from lmtrain.node import Node
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.recipe import Recipe
from lmtrain.reporting.humanize import size
from lmtrain.tokenization.config import TokenizerConfig
from lmtrain.wordvectors.config import WordVectorsConfig


@dataclass(frozen=True)
class Planned:
    """One line of a plan: a node, whether it is there already, and how much disk it may take."""

    node: Node
    hit: bool
    disk_bytes: int


def plan(nodes: Iterable[Node], root: str) -> list[Planned]:
    """Tell for each node whether it is there, and estimate the disk of those that aren't."""
    return [
        Planned(node, node.there is not None or is_hit(root, node.address), _estimate_disk(node))
        for node in nodes
    ]


DISK_SHARES = {"ingest": 0.25, "label": 0.1, "curate": 0.25, "tokenize": 0.5}
"""Disk of an artifact as a share of the bytes of text that it is made from: rough, seen on real runs."""


def _estimate_disk(node: Node) -> int:
    if node.stage in DISK_SHARES:
        return int(_source_bytes(node) * DISK_SHARES[node.stage])
    if node.stage == "pretrain":
        return _parameters(node) * 4 * 4  # weights, and a checkpoint of weights with optimizer state
    if node.stage == "finetune":
        models = len(node.config.members) if isinstance(node.config, JointConfig) else 1
        return models * _weights_bytes(node.inputs["model"][0])
    if node.stage == "import_model":
        return node.source_bytes
    if isinstance(node.config, WordVectorsConfig):
        return node.config.most_bytes
    if isinstance(node.config, ClassifierConfig):
        return 4 << node.config.bucket_bits
    return 1_000_000


def _source_bytes(node: Node) -> int:
    """Return the bytes from outside that a node comes from; the largest role has them all."""
    by_role = (sum(_source_bytes(given) for given in nodes) for nodes in node.inputs.values())
    return node.source_bytes + max(by_role, default=0)


def _weights_bytes(model: Node) -> int:
    """Return the size of a model's weights: as they are, or as they will be."""
    return model.source_bytes or _parameters(model) * 4


def _parameters(model: Node) -> int:
    assert isinstance(model.config, PretrainConfig)
    tokenizer = model.inputs["tokenizer"][0].config
    assert isinstance(tokenizer, TokenizerConfig)
    return model.config.parameters(tokenizer.vocab_size)


def prepare(recipe: Recipe) -> tuple[str, list[Planned]]:
    """Check all that can be checked before a run; return the absolute root and the plan.

    Raises:
        LmtrainError: in one line what can't be had: a source, a root that can be written, CPUs.
    """
    root, nodes = open_line(recipe)
    return root, plan(nodes, root)


def open_line(recipe: Recipe) -> tuple[str, list[Node]]:
    """Check all that can be checked before compute is spent.

    Returns:
        The absolute root, and the nodes of the recipe.

    Raises:
        ResourceError: more workers, or threads, than CPUs.
        SourceError: a source is missing, unreadable or empty.
        RecipeError: the root can't be written, or a package is missing.
        StorageError: the root's server doesn't answer.
    """
    check_resources(recipe.resources)
    recipe.evaluate.lighter.check()
    root = storage.resolve(recipe.root)
    nodes = nodes_of(recipe)
    storage.check_writable(root)
    return root, nodes


def check_resources(resources: Resources) -> None:
    """Refuse, before anything is started, what this machine can't give.

    Where RAY_ADDRESS names a cluster, the cluster is asked once the first stage connects.

    Raises:
        ResourceError: more workers, or threads, than CPUs.
    """
    if os.environ.get("RAY_ADDRESS", "local") != "local":
        return
    resources.check(os.cpu_count() or 1, "this machine")


def look(recipe: Recipe) -> tuple[str, list[Planned]]:
    """Return the absolute root and the plan, without writing anything.

    Raises:
        LmtrainError: as `prepare`, but for a root that can't be written.
    """
    check_resources(recipe.resources)
    recipe.evaluate.lighter.check()
    root = storage.resolve(recipe.root)
    if storage.is_remote(root):
        storage.check_reachable(root)
    return root, plan(nodes_of(recipe), root)


def pretraining(recipe: Recipe, name: str) -> tuple[str, Planned]:
    """Return the absolute root, and the recipe's pretraining, whose inputs are there.

    Args:
        recipe: is checked as by `prepare`.
        name: the recipe's file, for the text of errors.

    Raises:
        LmtrainError: shards or tokenizer aren't there yet, or as `prepare`.
    """
    root, planned = prepare(recipe)
    lines = {id(line.node): line for line in planned}
    line = next(line for line in planned if line.node.stage == "pretrain")
    for needed in (given for nodes in line.node.inputs.values() for given in nodes):
        if not lines[id(needed)].hit:
            raise RecipeError(f"{needed.address.folder} isn't there yet: run `lmtrain tokenize {name}` first")
    return root, line


def plan_table(planned: Sequence[Planned]) -> str:
    """Return a line per node: HIT or NEW, stage, label, address below the root, disk; then the total."""
    rows = [("", "stage", "label", "address", "disk")]
    for line in planned:
        node = line.node
        disk = "" if line.hit else f"~{size(line.disk_bytes)}"
        rows.append(("HIT" if line.hit else "NEW", node.stage, node.label, node.address.folder, disk))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*(line.rstrip() for line in lines), summary(planned)])


def summary(planned: Sequence[Planned]) -> str:
    """Return the total in one line: `3 HIT, 21 NEW, about 120 MB of disk`."""
    new = [line for line in planned if not line.hit]
    told = f"{len(planned) - len(new)} HIT, {len(new)} NEW"
    return f"{told}, about {size(sum(line.disk_bytes for line in new))} of disk" if new else told


def report_address(planned: Sequence[Planned], root: str) -> str:
    """Return where the page of the finished report lies."""
    made = Artifact(planned[-1].node.address.url(root))
    (page,) = made.files("report")
    return storage.join(root, page.path)
