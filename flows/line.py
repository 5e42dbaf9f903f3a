"""The whole line: sources → corpus → documents → shards → models → scores → report.

In: a recipe. Out: the URL of the report's manifest. What is there already is
said and not built again; everything else goes through one task per stage.
"""

from collections.abc import Sequence

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Failed

from lmtrain.errors import LmtrainError
from lmtrain.node import cluster_session
from lmtrain.planning import Planned, prepare, report_address, summary
from lmtrain.recipe import Recipe
from tasks.stages import TASKS


@flow(name="line", flow_run_name="{recipe.name}", persist_result=False)
def line(recipe: Recipe) -> str | State:
    """Make everything that a recipe asks for, from its sources to the report.

    Args:
        recipe: what is made, and with what.

    Returns:
        The URL of the report's manifest, or a failed state whose message is one line.
    """
    logger = get_run_logger()
    try:
        root, planned = prepare(recipe)
        for step in planned:
            logger.info("%s %s", "HIT" if step.hit else "NEW", step.node.address.folder)
        logger.info("%s under %s", summary(planned), root)
        with cluster_session():
            build_missing(planned, root, recipe)
        logger.info("the report: %s", report_address(planned, root))
    except LmtrainError as error:
        return failed(error)
    return planned[-1].node.address.url(root)


def build_missing(planned: Sequence[Planned], root: str, recipe: Recipe) -> None:
    """Build what isn't there, in order, each through the task of its stage.

    Raises:
        LmtrainError: a stage failed for a reason that is told in one line.
    """
    for step in planned:
        if not step.hit:
            node = step.node
            inputs = {
                role: [given.address.url(root) for given in nodes] for role, nodes in node.inputs.items()
            }
            state = TASKS[node.stage](
                inputs, node.config, node.label, root, recipe.resources, return_state=True
            )
            state.result()  # raises what the task failed with


def failed(error: LmtrainError) -> State:
    """Return the state of a run that ended with an error that one line tells."""
    return Failed(message=str(error), data=error)
