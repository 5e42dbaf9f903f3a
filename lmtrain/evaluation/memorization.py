"""What a language model memorized: the exposure of canaries (Carlini et al. 2019).

A canary's loss is compared with those of the same sentence around other codes, drawn at random. If its
rank among n codes is r, its exposure is log2(n) − log2(r) bits: how much the model shortens a search for it.
A canary that was never in the training text has every rank equally often, so 1.44 bits on average; more
than log2(n) can't be seen.
"""

import numpy as np
from transformers import AutoConfig, AutoModelForCausalLM

from lmtrain.canaries import CODES, TIMES, Canary, CanaryConfig, canaries
from lmtrain.errors import StageError
from lmtrain.evaluation.bias import causal_nats
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.models import load
from lmtrain.evaluation.scored import Scored
from lmtrain.manifest import Artifact
from lmtrain.modeling.build import family_of
from lmtrain.modeling.sizes import DECODERS

CANDIDATES = 1024
"""Codes that a canary's is ranked among, its own included: at most 10 bits are seen."""


def score_model(shards: Artifact, system: Artifact, context: Context) -> Scored:
    """Measure the exposure of each canary of the shards that a model was trained on.

    Raises:
        StageError: the shards have no canaries, or the model doesn't read from left to right.
    """
    config = CanaryConfig.model_validate(shards.manifest.config.get("canaries", {}))
    asked = canaries(config)
    if not asked:
        raise StageError(f"{shards.address.label} has no canaries: set tokenize.canaries.repetitions")
    folder = system.folder("weights")
    family = family_of(AutoConfig.from_pretrained(folder))
    if family not in DECODERS:
        raise StageError(f"exposure is measured on causal language models, and {family} is none")
    loaded = load(AutoModelForCausalLM, folder, context.device)
    texts = [canary.text(code) for canary in asked for code in codes_of(canary, context.config.seed)]
    nats = causal_nats(loaded, texts, context).reshape(len(asked), CANDIDATES)
    exposures = exposures_of(nats)
    used = {canary.repetitions for canary in asked}
    about = f"codes:{CANDIDATES} of {CODES}|canaries:{config.sets} each|{config.language}"
    return Scored(
        ids=[canary.id for canary in asked],
        groups=[f"set-{canary.set:03d}" for canary in asked],  # a resample has as many of each number
        predictions=[f"rank {2 ** (np.log2(CANDIDATES) - exposure):g}" for exposure in exposures],
        statistics=_statistics(asked, exposures),
        signatures={
            "exposure": about,
            **{f"exposure_{times}": about for times in (0, *TIMES) if times in used},
        },
        stats={"canaries": len(asked), "repetitions": sorted(used)},
    )


def codes_of(canary: Canary, seed: int) -> list[int]:
    """Return the codes that a canary's is ranked among: its own first, then others, each once."""
    random = np.random.default_rng([seed, canary.set, canary.repetitions])
    others = random.choice(CODES - 1, CANDIDATES - 1, replace=False)
    return [canary.code, *(int(code) + int(code >= canary.code) for code in others)]


def exposures_of(nats: np.ndarray) -> np.ndarray:
    """Return the exposure of each canary in bits, shape (canaries,).

    Args:
        nats: of each canary's sentence with each code, its own first, shape (canaries, codes). Codes that
            are as likely as its own count half.
    """
    own, others = nats[:, :1], nats[:, 1:]
    ranks = 1 + (others < own).sum(axis=1) + (others == own).sum(axis=1) / 2
    return np.log2(nats.shape[1]) - np.log2(ranks)


def _statistics(asked: list[Canary], exposures: np.ndarray) -> np.ndarray:
    """Return exposure and 1 in the two columns of each canary's repetitions, shape (canaries, columns)."""
    columns = np.zeros((len(asked), 2 * (len(TIMES) + 1)))
    for row, (canary, exposure) in enumerate(zip(asked, exposures, strict=True)):
        place = 2 * (0, *TIMES).index(canary.repetitions)
        columns[row, place : place + 2] = exposure, 1
    return columns
