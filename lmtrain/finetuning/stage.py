"""A model and a labelled set to a model of one task."""

from typing import Any

from lmtrain.building import Attempt, Built, build_once
from lmtrain.config import Resources
from lmtrain.distributed.training import train_model
from lmtrain.finetuning.config import FinetuneConfig
from lmtrain.finetuning.private import secret_key
from lmtrain.finetuning.worker import train
from lmtrain.manifest import Artifact
from lmtrain.removals.resolving import removals_of, removed_ids
from lmtrain.watch import Watch


def spec_of(inputs: dict[str, list[str]], config: FinetuneConfig) -> dict[str, Any]:
    """Return what a worker needs to know of a fine-tuning, beside the attempt and the resources."""
    return {
        "config": config,
        "model": inputs["model"][0],
        "labelled": inputs["labelled"][0],
        "removed": removed_ids(removals_of(inputs), Artifact(inputs["labelled"][0])),
    }


def build(
    inputs: dict[str, list[str]], config: FinetuneConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Fine-tune a model; return the URL of its manifest.

    Args:
        inputs: `model` and `labelled`; `search`, if the recipe asks for one: the settings that it found;
            `removals`, if any: examples that are listed there, or made of documents that are, are left out.
        config: the task, and how it is trained.
        root: where artifacts lie.
        resources: what it is trained on.
        watch: told how it goes.

    Raises:
        StageError: a split has no usable example, or the training diverges.
    """

    def work(attempt: Attempt) -> Built:
        found = inputs.get("search")
        settled = config.model_copy(update=Artifact(found[0]).stats["settings"]) if found else config
        spec = spec_of(inputs, settled)
        if not config.is_private:
            return train_model(train, spec, attempt, resources, watch)
        alone = resources.model_copy(update={"workers": 1, "min_workers": None, "shard_group": None})
        return train_model(train, {**spec, "secret": secret_key()}, attempt, alone, watch)

    return build_once(config, inputs, root, work)
