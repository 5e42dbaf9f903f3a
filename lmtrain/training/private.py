"""The train loop under differential privacy: DP-SGD (Abadi et al. 2016), with any of the optimizers.

for each step:
    draw every example by itself with probability `sample_rate`
    clip the gradient of each, add them up, add Gaussian noise
    divide by how many examples are expected, and step

Nothing that is told of a training follows from its examples otherwise: no training loss and no norm of a
gradient is kept. Looks at the validation set, the choice of the best of them and an early stop see
the weights only after the noise. One process does it all.

What is drawn, and the noise, follow from a key, so that a stopped training goes on with the same. The
guarantee holds towards those who don't know the key.
"""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmtrain.config import Resources
from lmtrain.errors import DivergedError, ResourceError
from lmtrain.training.accounting import Mechanism
from lmtrain.training.job import Job
from lmtrain.training.keyed import key_dropout
from lmtrain.training.loop import Trainer
from lmtrain.training.per_example import ClippedSum
from lmtrain.training.precision import ONEDNN
from lmtrain.training.process import Process
from lmtrain.training.profiling import span
from lmtrain.training.schedule import rate_share

UNTOLD = frozenset({"loss", "grad_norm"})
"""Figures of a step that would tell of its examples without noise."""


class PrivateTrainer(Trainer):
    """A training of which each example is protected. The rows of an example are clipped together."""

    def __init__(
        self, job: Job, resources: Resources, process: Process, mechanism: Mechanism, key: str
    ) -> None:
        """Prepare a private training.

        Args:
            job: what is trained; `steps` are those that the mechanism was calibrated for.
            resources: with what; nothing is compiled or recomputed.
            process: must be the only one.
            mechanism: how examples are drawn, and how much noise is added.
            key: what draws and noise follow from: another one for every training.

        Raises:
            ResourceError: there are several processes.
        """
        if process.world > 1:
            raise ResourceError("a private training is done by one worker: set resources.workers to 1")
        super().__init__(job, resources.model_copy(update={"compile": False, "recompute": "none"}), process)
        self.mechanism = mechanism
        self.key = key
        self.examples = rows_by_example(job)
        self.gradients = ClippedSum(self.trained, job.config.max_grad_norm)

    @property
    def expected_examples(self) -> float:
        """How many examples a batch has on average."""
        return self.mechanism.sample_rate * len(self.examples)

    def drawn(self, step: int) -> list[np.ndarray]:
        """Return the rows of each example that is in a step's batch."""
        draws = random_of(self.key, "draw", step).random(len(self.examples))
        return [self.examples[index] for index in np.flatnonzero(draws < self.mechanism.sample_rate)]

    def _resume(self) -> None:
        super()._resume()
        if self.precision.products == ONEDNN:  # as precise as the usual fp32, but not vectorized
            self.precision = replace(self.precision, products="fp32")

    def _accumulate(self, size: int) -> tuple[Tensor, list[float]]:
        """Leave the noisy gradient with the parameters; return losses of nothing."""
        self.gradients.clear()
        for number, examples in enumerate(self._micro_batches(self.drawn(self.state.step))):
            indices = np.concatenate(examples)
            of_rows = np.repeat(np.arange(len(examples)), [len(rows) for rows in examples])
            rows, epochs = self.job.rows.take(indices), np.zeros_like(indices)
            batch = self.job.objective.collate(rows, indices, epochs, self.config.seed)
            device = self.process.device
            on_device = {name: value.to(device) for name, value in batch.items()}
            key_dropout(self.config.seed, self.state.row + number * self.resources.micro_batch_size)
            with span("backward"), self.precision.autocast(device):
                try:
                    self.gradients.add(on_device, torch.from_numpy(of_rows).to(device))
                except FloatingPointError as error:
                    raise DivergedError(
                        f"step {self.state.step + 1}: {error}; the weights are those before it: lower "
                        "learning_rate, or raise precision to fp32"
                    ) from error
        self._add_noise()
        # What was drawn isn't told: the tokens are those that are drawn on average.
        lengths = self.job.rows.lengths
        self.window.tokens += self.mechanism.sample_rate * float(0 if lengths is None else lengths.sum())
        none = np.zeros(len(self.job.objective.targets))
        self.window.losses, self.window.targets = none, none
        return torch.from_numpy(none), none.tolist()

    def _micro_batches(self, drawn: list[np.ndarray]) -> list[list[np.ndarray]]:
        """Cut the rows of examples into batches that fit, each with whole examples, one at least."""
        batches: list[list[np.ndarray]] = []
        rows = 0
        for example in drawn:
            if not batches or rows + len(example) > self.resources.micro_batch_size:
                batches.append([])
                rows = 0
            batches[-1].append(example)
            rows += len(example)
        return batches

    def _add_noise(self) -> None:
        random = random_of(self.key, "noise", self.state.step)
        scale = self.mechanism.noise_multiplier * self.config.max_grad_norm
        for name, parameter in self.gradients.parameters.items():
            noise = torch.from_numpy(random.standard_normal(tuple(parameter.shape), dtype=np.float32))
            total = self.gradients.sums[name] + scale * noise.to(parameter)
            parameter.grad = total / self.expected_examples

    def _update(self, losses: Tensor, targets: list[float], size: int) -> tuple[bool, float]:
        """Step; return whether this process was asked to end."""
        self.optimizers.step(rate_share(self.state.step, self.job.steps, self.config))
        return self.process.terminated, 0.0

    def _log(self, values: dict[str, float]) -> None:
        super()._log({name: value for name, value in values.items() if name not in UNTOLD})

    def _figures(self) -> dict[str, Any]:
        guarantee = {
            "epsilon": round(self.mechanism.epsilon(self.job.steps), 6),
            "epsilon_of_steps_done": round(self.mechanism.epsilon(self.state.step), 6),
            "delta": self.mechanism.delta,
            "noise_multiplier": round(self.mechanism.noise_multiplier, 6),
            "sample_rate": self.mechanism.sample_rate,
            "max_grad_norm": self.config.max_grad_norm,
            "examples": len(self.examples),
            "steps": self.job.steps,
        }
        return super()._figures() | {"differential_privacy": guarantee}


def rows_by_example(job: Job) -> list[np.ndarray]:
    """Return the numbers of the training rows of each example, in the order of the first of them."""
    found: dict[str, list[int]] = {}
    for row, names in enumerate(job.rows.documents(np.arange(len(job.rows)))):
        found.setdefault(names[0], []).append(row)
    return [np.array(rows) for rows in found.values()]


def random_of(key: str, purpose: str, step: int) -> np.random.Generator:
    """Return the generator of one step: whoever doesn't know the key can't make it again."""
    digest = hashlib.sha256(f"{purpose}|{step}|{key}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))
