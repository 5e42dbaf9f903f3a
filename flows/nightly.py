"""Nightly retraining: the line once more, on whatever its sources hold by then.

What didn't change since the night before is a hit; where nothing changed, the
night ends at once.
"""

from prefect import flow
from prefect.client.schemas.objects import State

from flows.line import line
from lmtrain.recipe import Recipe


@flow(name="nightly", flow_run_name="nightly {recipe.name}", persist_result=False)
def nightly(recipe: Recipe) -> str | State:
    """Run a recipe again on whatever its sources hold tonight.

    Args:
        recipe: what is made, and with what.

    Returns:
        The URL of the report's manifest, or a failed state whose message is one line.
    """
    return line(recipe, return_state=True)
