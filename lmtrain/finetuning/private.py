"""Fine-tuning under differential privacy: which mechanism keeps the recipe's epsilon, and who holds its key.

Draws and noise follow from the model's address, so that both starts and every seed have their own, and
from a secret, if there is one. Without a secret everybody who has the manifest can make the noise
again and take it off: the guarantee then holds towards those alone who have only the weights. With
one the model is as reproducible, to those who hold the secret.
"""

import math
import os
from typing import Any

from lmtrain.errors import StageError
from lmtrain.finetuning.general_config import FinetuneConfig
from lmtrain.training.accounting import calibrated
from lmtrain.training.job import Job
from lmtrain.training.private import PrivateTrainer, rows_by_example
from lmtrain.training.process import Process

SECRET = "LMTRAIN_PRIVACY_KEY"  # noqa: S105 (the name of the variable)
"""Environment variable with a secret that draws and noise follow from; it is kept nowhere."""

SECRET_CHARACTERS = 16


def secret_key() -> str:
    """Return the secret of `LMTRAIN_PRIVACY_KEY`, or nothing where there is none.

    Raises:
        StageError: it is short enough to be guessed.
    """
    given = os.environ.get(SECRET, "")
    if given and len(given) < SECRET_CHARACTERS:
        raise StageError(
            f"{SECRET} has {len(given)} characters, which can be guessed: give at least {SECRET_CHARACTERS} "
            "random ones, such as those of `openssl rand -hex 16`"
        )
    return given


def private_steps(examples: int, config: FinetuneConfig) -> int:
    """Return the steps in which each example is drawn `num_train_epochs` times on average."""
    return max(1, math.ceil(examples * config.num_train_epochs / config.train_batch_size))


def private_trainer(job: Job, spec: dict[str, Any], process: Process) -> PrivateTrainer:
    """Return the trainer of a private fine-tuning, with as little noise as its epsilon allows.

    Args:
        job: what is trained; its steps are set to those in which examples are drawn often enough.
        spec: of the worker; `secret` is what `secret_key` returned.
        process: this worker.

    Raises:
        StageError: delta is too large for so many examples, or no noise is enough for epsilon.
    """
    config: Any = job.config
    asked, examples = config.differential_privacy, len(rows_by_example(job))
    delta = 1 / (2 * examples) if asked.delta is None else asked.delta
    if delta >= 1 / examples:
        raise StageError(
            f"{config.name}: differential_privacy.delta {delta:g} would allow to give one of the {examples} "
            f"training examples away: it must be below {1 / examples:.2g}"
        )
    job.steps = private_steps(examples, config)
    rate = min(1.0, config.train_batch_size / examples)
    mechanism = calibrated(asked.target_epsilon, delta, rate, job.steps)
    if process.leads:
        process.log(
            f"differential privacy: noise of {mechanism.noise_multiplier:.3g} x max_grad_norm keeps epsilon "
            f"at {mechanism.epsilon(job.steps):.3g} with delta {delta:.2g} over {job.steps} steps"
        )
        if not spec["secret"]:
            process.log(f"the noise follows from the manifest: set {SECRET} to keep it from others")
    key = f"{spec['secret']}|{spec['attempt'].address.digest}"
    return PrivateTrainer(job, spec["resources"], process, mechanism, key)
