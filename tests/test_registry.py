"""Names to things: every name leads to something, and an unknown one is told with those that are known."""

import pytest

from lmtrain.errors import RecipeError
from lmtrain.registry import ARCHITECTURES, OBJECTIVES, TASKS, Registry


def test_an_unknown_name_is_refused_with_those_that_there_are():
    registry = Registry("color", {"red": "os:sep", "blue": "os:sep"})
    with pytest.raises(RecipeError, match="no color 'green'; there are: blue, red"):
        registry.get("green")


@pytest.mark.parametrize("registry", [ARCHITECTURES, OBJECTIVES, TASKS], ids=lambda registry: registry.noun)
def test_every_name_leads_to_something(registry):
    for name in registry.names():
        assert registry.get(name) is not None
