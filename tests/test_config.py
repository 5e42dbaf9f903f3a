"""What enters a digest: what differs from the defaults, and never where something lies."""

from typing import Annotated, ClassVar

from pydantic import Field

from lmtrain.config import UNADDRESSED, Config, Resources, StageConfig


class Place(Config):
    path: Annotated[str, UNADDRESSED] = "here"
    alias: str = "mine"


class Stage(StageConfig):
    stage: ClassVar[str] = "mix"
    kind: ClassVar[str] = "mixture"

    size: int = 3
    place: Place = Place()
    places: list[Place] = Field(default=[])
    either: Place | None = None
    resources: Annotated[Resources, UNADDRESSED] = Resources()


def test_defaults_are_not_addressed_whether_given_or_not():
    assert Stage().addressed() == {}
    assert Stage(size=3, place=Place(alias="mine")).addressed() == {}
    assert Stage(size=4).addressed() == {"size": 4}


def test_places_and_resources_are_not_addressed_at_any_depth():
    assert Stage(resources=Resources(workers=64)).addressed() == {}
    assert Stage(place=Place(path="there")).addressed() == {}
    assert Stage(places=[Place(path="there", alias="a"), Place()]).addressed() == {
        "places": [{"alias": "a"}, {}]
    }


def test_something_that_is_there_differs_from_nothing():
    assert Stage(either=Place()).addressed() == {"either": {}}
    assert Stage(places=[Place()]).addressed() == {"places": [{}]}


class Grouped(StageConfig):
    place: Place = Place(alias="other")


def test_a_default_of_ones_own_is_not_mistaken_for_the_class_default():
    assert Grouped().addressed() == {}
    assert Grouped(place=Place(alias="other", path="there")).addressed() == {}
    assert Grouped(place=Place(alias="mine")).addressed() == {"place": {}}
