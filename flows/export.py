"""`prefect.yaml`: the deployments that `serve` makes, for `prefect deploy` and a worker elsewhere.

In: a folder of recipes. Out: the text of the file, with each recipe as it stands.
"""

from pathlib import Path
from typing import Any

import yaml

from flows.deployments import NIGHTLY_CRON, recipe_paths

HEAD = """\
# The deployments of `python -m flows serve`, for `prefect deploy --all` and a worker of the pool `lmtrain`:
#   prefect work-pool create --type process lmtrain
# Made from flows/recipes by `python -m flows prefect-yaml > prefect.yaml`; don't edit it by hand.
"""


def prefect_yaml(folder: Path) -> str:
    """Return the text of prefect.yaml for the recipes of a folder.

    Raises:
        RecipeError: there is no recipe.
    """
    paths = recipe_paths(folder)
    deployments = [_deployment("flows.line.line", path.stem, path) for path in paths]
    schedule = {"cron": NIGHTLY_CRON, "timezone": "UTC", "slug": "nightly", "active": False}
    night = _deployment("flows.nightly.nightly", "nightly", paths[0])
    deployments.append({**night, "concurrency_limit": 1, "schedules": [schedule]})
    text = yaml.safe_dump(
        {"name": "lmtrain", "deployments": deployments}, sort_keys=False, allow_unicode=True, width=100
    )
    return HEAD + text


def _deployment(entrypoint: str, name: str, recipe: Path) -> dict[str, Any]:
    return {
        "name": name,
        "entrypoint": entrypoint,
        "tags": ["lmtrain"],
        "parameters": {"recipe": yaml.safe_load(recipe.read_text(encoding="utf-8"))},
        "work_pool": {"name": "lmtrain"},
    }
