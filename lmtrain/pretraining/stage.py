"""Shards and a tokenizer to a pretrained model."""

from lmtrain.building import Attempt, Built, build_once
from lmtrain.config import Resources
from lmtrain.distributed.training import train_model
from lmtrain.errors import StageError
from lmtrain.manifest import Artifact
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.rows import ids_in, totals_without, write_removed
from lmtrain.pretraining.worker import train
from lmtrain.removals.resolving import removals_of
from lmtrain.schemas import SPLITS
from lmtrain.watch import Watch


def build(
    inputs: dict[str, list[str]], config: PretrainConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Pretrain a model; return the URL of its manifest.

    Args:
        inputs: `shards` and `tokenizer`. `removals`, if any: documents listed there are skipped, and named
            in the artifact's file `removed.parquet`.
        config: model, objective, training.
        root: where artifacts lie.
        resources: what it is trained on.
        watch: told how it goes.

    Raises:
        StageError: a split that is needed is empty, or the training diverges.
    """
    shards = Artifact(inputs["shards"][0])

    def work(attempt: Attempt) -> Built:
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
        }
        built = train_model(train, spec, attempt, resources, watch)
        return Built([*built.files, *([removed] if removed else [])], built.stats)

    return build_once(config, inputs, root, work)
