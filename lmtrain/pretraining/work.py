"""Shards and a tokenizer to a pretrained model, whoever runs the training."""

from collections.abc import Callable
from typing import Any

from lmtrain.building import Attempt, Built, build_once
from lmtrain.errors import StageError
from lmtrain.manifest import Artifact
from lmtrain.pretraining.checks import check_checkpoint, check_inputs
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.mixing import check_names
from lmtrain.pretraining.rows import ids_in, totals_without, write_removed
from lmtrain.removals.resolving import removals_of
from lmtrain.schemas import SPLITS

STARTS = ("model", "teacher")
"""Roles of models that a pretraining may begin with, or learn from."""

Trains = Callable[[dict[str, Any], Attempt], Built]
"""Runs the training that a spec describes; returns what it left in the attempt's shard `model`."""


def pretrained(inputs: dict[str, list[str]], config: PretrainConfig, root: str, trains: Trains) -> str:
    """Build a pretrained model once; return the URL of its manifest.

    Args:
        inputs: `shards` and `tokenizer`; `model`, if any, to go on from, and `teacher`. `removals`, if any:
            documents listed there are skipped, and named in the artifact's file `removed.parquet`.
        config: model, objective, training.
        root: where artifacts lie.
        trains: on Ray's workers, or in the processes of `torchrun`.

    Raises:
        CorruptArtifactError: a file of the shards or of the tokenizer is missing or cut short.
        RecipeError: `mixing` names a source that isn't there.
        StageError: shards, tokenizer and model don't belong together, a split that is needed is empty, or
            the training diverges.
    """
    shards = Artifact(inputs["shards"][0])

    def work(attempt: Attempt) -> Built:
        tokenizer = Artifact(inputs["tokenizer"][0])
        check_inputs(shards, tokenizer)
        for url in (url for role in STARTS for url in inputs.get(role, [])):
            check_checkpoint(Artifact(url), tokenizer)
        check_names(config.mixing, {str(one.source) for one in shards.files("shards", split="train")})
        removed = write_removed(attempt, removals_of(inputs), shards)
        skipped = ids_in(attempt, removed)
        left = totals_without(shards, skipped)
        for split in SPLITS:
            if not left[split].get("tokens"):
                without = " without the documents listed under remove" if skipped else ""
                raise StageError(
                    f"no tokens in the {split} split{without}: add documents, or set `split` to other shares"
                )
        spec = {
            "config": config,
            "shards": inputs["shards"][0],
            "tokenizer": inputs["tokenizer"][0],
            "removed": removed,
            **{role: inputs[role][0] for role in STARTS if inputs.get(role)},
        }
        built = trains(spec, attempt)
        return Built([*built.files, *([removed] if removed else [])], built.stats)

    return build_once(config, inputs, root, work)
