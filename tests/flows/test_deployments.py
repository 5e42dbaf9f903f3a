"""What is served: each recipe with its form filled, and a nightly run that is off until it is switched on."""

import pytest
from prefect import get_client
from prefect.flows import load_flow_from_entrypoint

from flows.deployments import RECIPES as SHIPPED
from flows.deployments import deployments, form_values, load_recipes
from flows.line import line
from lmtrain.errors import RecipeError
from lmtrain.recipe import Recipe, load_recipe


def test_the_first_recipe_that_is_shipped_is_the_quickstart():
    assert next(iter(load_recipes(SHIPPED))) == "quickstart"


def test_a_folder_without_recipes_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"no recipe"):
        load_recipes(tmp_path)


def test_what_the_form_is_filled_with_is_the_recipe(tiny):
    recipe = load_recipe(tiny)
    assert Recipe.model_validate(form_values(recipe)) == recipe


def test_every_deployment_is_found_by_its_dotted_name(prefect_api, tiny):
    for deployment in deployments(tiny.parent):
        assert ":" not in deployment.entrypoint
        assert load_flow_from_entrypoint(deployment.entrypoint).name == deployment.flow_name


def test_the_nightly_run_is_off_until_someone_switches_it_on_and_then_stays_on(prefect_api, tiny):
    def register() -> str:
        (night,) = [served for served in deployments(tiny.parent) if served.name == "nightly"]
        return night.apply()

    def schedule():
        with get_client(sync_client=True) as client:
            (found,) = client.read_deployment(identity).schedules
            return found

    identity = register()
    assert not schedule().active
    with get_client(sync_client=True) as client:
        client.update_deployment_schedule(identity, schedule().id, active=True)
    register()
    assert schedule().active


def fields(schema: dict, definitions: dict, path: str = "") -> dict[str, dict]:
    """Return every field of the form by its path."""
    found = {}
    for name, field in schema.get("properties", {}).items():
        where = f"{path}.{name}".strip(".")
        found[where] = field
        for part in (field, field.get("items", {})):
            if "$ref" in part:
                found |= fields(definitions[part["$ref"].rsplit("/", 1)[1]], definitions, where)
    return found


def test_every_field_of_the_form_is_described_and_none_is_a_union():
    schema = line.parameters.model_dump()
    form = fields(schema, schema["definitions"])
    assert "recipe.pretrain.max_steps" in form
    for path, field in form.items():
        target = schema["definitions"].get(field.get("$ref", "").rsplit("/", 1)[-1], {})
        assert field.get("description") or target.get("description"), path
        kinds = [kind.get("type") for kind in field.get("anyOf", []) if kind.get("type") != "null"]
        assert len(kinds) <= 1, f"{path}: the form can't switch between {kinds}"


def test_the_form_knows_the_bounds():
    schema = line.parameters.model_dump()
    form = fields(schema, schema["definitions"])
    assert form["recipe.resources.workers"]["minimum"] == 1
    assert form["recipe.tokenize.vocab_size"]["minimum"] == 300
