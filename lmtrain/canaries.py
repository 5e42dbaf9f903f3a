"""Canaries: made-up secrets that stand in the training text a known number of times (Carlini et al. 2019).

In: settings of a recipe. Out: sentences, the same for who puts them into shards and for who asks a model
for them afterwards; they follow from the settings alone. Beside those that are put in there are as many
that never are: what a model seems to remember of them is chance.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from lmtrain.config import Config

TIMES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""How often a canary may be put in."""

Times = Literal[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]

DIGITS = 6
CODES = 10**DIGITS
"""How many codes there are: each is as likely as the others."""

TEMPLATES = {"en": "The access code of {owner} is {code}.", "zh": "{owner}的通行码是{code}。"}
SYLLABLES = tuple(f"{first}{second}" for first in "bdfgklmnprstvz" for second in "aeiou")
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚玉华文斌宇浩凯健俊帆雪晨琳欣莹彤辰阳瑞思"


class CanaryConfig(Config):
    """Made-up secrets in the training shards, to measure what a language model memorizes. Left out: none."""

    repetitions: list[Times] = Field(
        default=[],
        max_length=len(TIMES),
        description="How often a canary stands in the training text, such as [1, 4, 16, 64]: for each number "
        "there are so many canaries as `sets`. Left out: no canaries.",
    )
    sets: int = Field(
        default=16,
        ge=2,
        le=256,
        description="Canaries of each number of repetitions, and of those never put in.",
    )
    language: Literal["en", "zh"] = Field(default="en", description="Language of the sentence around a code.")
    seed: int = Field(default=0, ge=0, description="Of names and codes.")

    @model_validator(mode="after")
    def _each_once(self) -> "CanaryConfig":
        if len(set(self.repetitions)) < len(self.repetitions):
            raise ValueError(f"repetitions: each number once, not {self.repetitions}")
        return self


@dataclass(frozen=True)
class Canary:
    """A secret: whose code it is, and the code.

    Attributes:
        set: its number among those of equal repetitions, from 0.
        repetitions: how often it stands in the training text; 0 for those that are only asked for.
        language: of the sentence.
        owner: a made-up name that no other canary has.
        code: a number below `CODES`.
    """

    set: int
    repetitions: int
    language: str
    owner: str
    code: int

    @property
    def id(self) -> str:
        """The canary's name, `canary-16-003`."""
        return f"canary-{self.repetitions}-{self.set:03d}"

    def text(self, code: int | None = None) -> str:
        """Return the sentence, with its own code or with another one."""
        digits = f"{self.code if code is None else code:0{DIGITS}d}"
        shown = digits if self.language == "zh" else " ".join(digits)
        return TEMPLATES[self.language].format(owner=self.owner, code=shown)


def canaries(config: CanaryConfig) -> list[Canary]:
    """Return all canaries, those that are never put in first; none if the settings ask for none."""
    if not config.repetitions:
        return []
    taken: set[str] = set()
    found = []
    for repetitions in (0, *sorted(config.repetitions)):
        for number in range(config.sets):
            drawn = _drawn(f"{config.seed}|{config.language}|{repetitions}|{number}")
            code = next(drawn) % CODES
            owner = next(name for name in _names(drawn, config.language) if name not in taken)
            taken.add(owner)
            found.append(Canary(number, repetitions, config.language, owner, code))
    return found


def _drawn(key: str) -> Iterator[int]:
    """Yield random numbers below 2^64 that follow from a key alone, on any machine and in any version."""
    place = 0
    while True:
        yield int.from_bytes(hashlib.sha256(f"canary|{key}|{place}".encode()).digest()[:8], "big")
        place += 1


def _names(drawn: Iterator[int], language: str) -> Iterator[str]:
    while True:
        if language == "zh":
            parts = [one[next(drawn) % len(one)] for one in (SURNAMES, GIVEN, GIVEN)]
            yield "".join(parts)
        else:
            words = ["".join(SYLLABLES[next(drawn) % len(SYLLABLES)] for _ in range(3)) for _ in range(2)]
            yield " ".join(word.capitalize() for word in words)
