"""Pretraining on Ray's workers."""

from lmtrain.config import Resources
from lmtrain.distributed.training import train_model
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.work import pretrained
from lmtrain.pretraining.worker import train
from lmtrain.watch import Watch


def build(
    inputs: dict[str, list[str]], config: PretrainConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Pretrain a model; return the URL of its manifest.

    Args:
        inputs: as for `lmtrain.pretraining.work.pretrained`.
        config: model, objective, training.
        root: where artifacts lie.
        resources: what it is trained on.
        watch: told how it goes.

    Raises:
        StageError: a split that is needed is empty, or the training diverges.
    """
    return pretrained(
        inputs,
        config,
        root,
        lambda spec, attempt: train_model(train, spec, attempt, resources, watch),
    )
