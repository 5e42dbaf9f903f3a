"""A model and a labelled set to a model of one task, or with several sets to one of several."""

from typing import Any

from lmtrain.building import Attempt, Built, build_once
from lmtrain.config import Resources
from lmtrain.distributed.training import train_model
from lmtrain.finetuning.general_config import TuningConfig
from lmtrain.finetuning.private import secret_key
from lmtrain.finetuning.several_config import SeveralConfig
from lmtrain.finetuning.several_worker import train_several
from lmtrain.finetuning.worker import train
from lmtrain.manifest import Artifact
from lmtrain.removals.resolving import removals_of, removed_ids
from lmtrain.watch import Watch


def spec_of(inputs: dict[str, list[str]], config: TuningConfig) -> dict[str, Any]:
    """Return what a worker needs to know of a fine-tuning, beside the attempt and the resources."""
    return {
        "config": config,
        "model": inputs["model"][0],
        "labelled": inputs["labelled"][0],
        "removed": removed_ids(removals_of(inputs), Artifact(inputs["labelled"][0])),
    }


def spec_of_several(inputs: dict[str, list[str]], config: SeveralConfig) -> dict[str, Any]:
    """Return the same of a fine-tuning for several tasks: sets, and what is removed of each, are lists."""
    removals, sets = removals_of(inputs), inputs["labelled"]
    removed = [removed_ids(removals, Artifact(one)) for one in sets]
    return {"config": config, "model": inputs["model"][0], "labelled": sets, "removed": removed}


def build(
    inputs: dict[str, list[str]], config: TuningConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Fine-tune a model; return the URL of its manifest.

    Args:
        inputs: `model` and `labelled`, one for each task; `search`, if the recipe asks for one: the settings
            that it found; `removals`, if any: examples that are listed there, or made of documents that are,
            are left out.
        config: the task or tasks, and how they are trained.
        root: where artifacts lie.
        resources: what it is trained on.
        watch: told how it goes.

    Raises:
        StageError: a split has no usable example, or the training diverges.
    """

    def work(attempt: Attempt) -> Built:
        if isinstance(config, SeveralConfig):
            return train_model(train_several, spec_of_several(inputs, config), attempt, resources, watch)
        found = inputs.get("search")
        settled = config.model_copy(update=Artifact(found[0]).stats["settings"]) if found else config
        spec = spec_of(inputs, settled)
        if not config.is_private:
            return train_model(train, spec, attempt, resources, watch)
        alone = resources.model_copy(update={"workers": 1, "min_workers": None, "shard_group": None})
        return train_model(train, {**spec, "secret": secret_key()}, attempt, alone, watch)

    return build_once(config, inputs, root, work)
