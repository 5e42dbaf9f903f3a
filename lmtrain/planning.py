"""What is done before anything is started: a recipe is resolved, checked, planned, and the plan is told.

Neither Ray nor torch is imported here, so that a bad recipe is refused, and a
run that has nothing to do ends, within a few seconds.
"""

from collections.abc import Sequence

from lmtrain import storage
from lmtrain.errors import RecipeError
from lmtrain.graph import Planned, absolute_root, check_resources, nodes_of, open_line, plan
from lmtrain.manifest import Artifact
from lmtrain.recipe import Recipe
from lmtrain.reporting.humanize import size


def prepare(recipe: Recipe) -> tuple[str, list[Planned]]:
    """Check all that can be checked before a run; return the absolute root and the plan.

    Raises:
        LmtrainError: in one line what can't be had: a source, a root that can be written, CPUs.
    """
    root, nodes = open_line(recipe)
    return root, plan(nodes, root)


def look(recipe: Recipe) -> tuple[str, list[Planned]]:
    """Return the absolute root and the plan, without writing anything.

    Raises:
        LmtrainError: as `prepare`, but for a root that can't be written.
    """
    check_resources(recipe.resources)
    recipe.evaluate.lighter.check()
    root = absolute_root(recipe.root)
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
