"""Which deployments there are: the line filled with each recipe, and the nightly run.

In: a folder of recipes. Out: deployments whose form in the page holds the recipe.
"""

from pathlib import Path
from typing import Any

from prefect import get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.types.entrypoint import EntrypointType

from flows.line import line
from flows.nightly import nightly
from lmtrain.errors import RecipeError
from lmtrain.recipe import Recipe, load_recipe

RECIPES = Path(__file__).parent / "recipes"
NIGHTLY_CRON = "0 2 * * *"


def deployments(folder: Path) -> list[RunnerDeployment]:
    """Return the line as a deployment for every recipe of a folder, and the nightly run of the first.

    Raises:
        RecipeError: there is no recipe, or one of them is wrong.
    """
    recipes = load_recipes(folder)
    served = [
        line.to_deployment(
            name,
            parameters={"recipe": form_values(recipe)},
            description=f"From sources to the report, by the recipe `{name}.yaml`.",
            tags=["lmtrain"],
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for name, recipe in recipes.items()
    ]
    name, recipe = next(iter(recipes.items()))
    night = nightly.to_deployment(
        "nightly",
        parameters={"recipe": form_values(recipe)},
        schedules=[nightly_schedule()],
        concurrency_limit=1,
        description=f"`{name}.yaml` again every night, on whatever its sources hold by then. "
        "Off until its schedule is switched on.",
        tags=["lmtrain"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    return [*served, night]


def load_recipes(folder: Path) -> dict[str, Recipe]:
    """Return the recipes of a folder by file name, in the order of `recipe_paths`.

    Raises:
        RecipeError: there is none, or one of them is wrong.
    """
    return {path.stem: load_recipe(path) for path in recipe_paths(folder)}


def recipe_paths(folder: Path) -> list[Path]:
    """Return the recipe files of a folder, `quickstart` first, then by the alphabet.

    Raises:
        RecipeError: there is none.
    """
    paths = sorted(folder.glob("*.yaml"), key=lambda path: (path.stem != "quickstart", path.stem))
    if not paths:
        raise RecipeError(f"no recipe (*.yaml) in {folder}")
    return paths


def form_values(recipe: Recipe) -> dict[str, Any]:
    """Return what the form is filled with: every field, so that a person sees what there is to set."""
    return recipe.model_dump(mode="json")


def nightly_schedule() -> DeploymentScheduleCreate:
    """Return the nightly schedule: off, unless somebody switched it on in the page before."""
    with get_client(sync_client=True) as client:
        try:
            existing = client.read_deployment_by_name("nightly/nightly").schedules
        except ObjectNotFound:
            existing = []
    switched_on = any(schedule.active for schedule in existing)
    return DeploymentScheduleCreate(
        schedule=CronSchedule(cron=NIGHTLY_CRON, timezone="UTC"), active=switched_on, slug="nightly"
    )
