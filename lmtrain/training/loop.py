"""The one train loop: pretraining and fine-tuning, alone, under torchrun or under Ray.

for each global batch (the next rows by the global row index g):
    this worker takes its slice and cuts it into micro-batches
    loss = summed loss / targets of the whole batch, over all workers
    clip by the true global norm, step, and now and then look, tell and save
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from lmtrain.config import Resources
from lmtrain.errors import CancelledError, DivergedError
from lmtrain.objectives.base import IGNORED, Batch, Objective
from lmtrain.training.checkpoint import Checkpoints
from lmtrain.training.config import TrainingConfig
from lmtrain.training.metrics import MetricsLog
from lmtrain.training.optimizers import Optimizers
from lmtrain.training.order import DataOrder, rank_slice
from lmtrain.training.precision import Precision, choose_precision
from lmtrain.training.process import Process
from lmtrain.training.schedule import rate_share
from lmtrain.training.sharding import clip_gradients, set_gradient_sync, shard

LOG_STEPS = 10


class Rows(Protocol):
    """What a training reads: rows by number. `lengths` is None where all rows are equally long."""

    @property
    def lengths(self) -> np.ndarray | None:
        """Tokens of each row, shape (rows,)."""
        ...

    def __len__(self) -> int: ...

    def take(self, indices: np.ndarray) -> Sequence[Any]:
        """Return rows by number."""
        ...


@dataclass
class Job:
    """What is trained, on what, and how.

    Attributes:
        model: on its device, not yet sharded.
        layers: its repeated blocks, each sharded and compiled by itself.
        objective: turns rows into a loss.
        rows: training rows.
        validation: rows to look at now and then, or None.
        bytes_per_target: of the validation text, to tell bits per byte; None where that means nothing.
        config: what determines the result.
        steps: optimizer steps.
        checkpoints: URL of the folder of all attempts' checkpoints.
        attempt: names this attempt's own among them.
        log_folder: local folder for metrics that people can follow.
        flops_per_token: of one forward and backward pass, for the utilization.
    """

    model: PreTrainedModel
    layers: list[nn.Module]
    objective: Objective
    rows: Rows
    validation: Rows | None
    bytes_per_target: float | None
    config: TrainingConfig
    steps: int
    checkpoints: str
    attempt: str
    log_folder: Path
    flops_per_token: float


@dataclass
class Outcome:
    """How a training ended: figures of the whole, and the rows of its log."""

    figures: dict[str, Any]
    rows: list[dict[str, Any]]


@dataclass
class _State:
    """What a checkpoint remembers beside tensors."""

    step: int = 0
    last_loss: float = float("inf")
    best_loss: float = float("inf")
    best_step: int = 0
    stale_looks: int = 0
    tokens: int = 0
    seconds: float = 0.0
    ended: bool = False


class Trained(nn.Module):
    """A model with what it learns: the loss is worked out within its forward pass.

    Sharded parameters are whole only there, so a loss that goes around the
    model's own forward pass (to never hold all logits) belongs inside.
    """

    def __init__(self, model: PreTrainedModel, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Batch) -> Tensor:
        """Return the summed loss of a batch, in nats."""
        return self.objective.loss(self.model, batch)


class Trainer:
    """A training in one process. All processes call `run` together."""

    def __init__(self, job: Job, resources: Resources, process: Process) -> None:
        self.job = job
        self.config = job.config
        self.resources = resources
        self.process = process
        self.order = DataOrder(len(job.rows), job.config.seed, job.rows.lengths)
        self.state = _State()
        if resources.compile:
            for layer in job.layers:
                layer.compile()
        self.trained = Trained(job.model, job.objective)
        shard(self.trained, job.layers, resources.sharding, process)
        self.optimizers = Optimizers(job.model, job.config)
        self.checkpoints = Checkpoints(job.checkpoints, job.attempt, process)
        self.keeps_best = job.config.early_stopping_patience is not None and job.validation is not None
        self.best = {name: value.detach().clone() for name, value in self._kept()}
        self.precision: Precision
        self.log: MetricsLog | None = None

    def run(self) -> Outcome:
        """Train from the newest checkpoint, or from the start, to the end.

        Raises:
            CancelledError: somebody asked to stop; a checkpoint was saved.
            DivergedError: loss or gradient isn't finite; the weights are those before that step.
        """
        self._resume()
        self.optimizers.multiply_in(self.precision.products)
        self._tell_progress()
        if self.resources.compile and self.process.leads:
            self.process.log("compiling the model: the first steps take longer")
        self.job.model.train()
        last_log, last_save = time.monotonic(), time.monotonic()
        window = {"loss": 0.0, "targets": 0.0, "tokens": 0.0}
        norm = 0.0
        while self.state.step < self.job.steps and not self.state.ended:
            loss, targets, tokens = self._accumulate(self.state.step)
            norm = self._update(loss)
            now = time.monotonic()
            self.state.step += 1
            step = self.state.step
            for name, value in (("loss", loss), ("targets", targets), ("tokens", tokens)):
                window[name] += value
            ended, wants = step == self.job.steps, {"stop": False, "save": False}
            if step % LOG_STEPS == 0 or ended:
                now = time.monotonic()
                wants = self._tell(window, norm, now - last_log, now - last_save)
                window, last_log = dict.fromkeys(window, 0.0), now
            # A checkpoint holds the look that belongs to its step: a resumed training won't look again.
            if self.job.validation is not None and (step % self.config.eval_steps == 0 or ended):
                ended = self._look() or ended
            self.state.ended = ended
            if wants["stop"] or wants["save"]:
                self._save()
                last_save = time.monotonic()
            if ended:
                break
            if wants["stop"]:
                raise CancelledError("stopped on request; run again to go on from here")
            last_log += time.monotonic() - now  # looking and saving aren't training
        self._finish()
        return Outcome(self._figures(), self.log.rows if self.log else [])

    def _accumulate(self, step: int) -> tuple[float, float, float]:
        """Add up the gradients of one global batch; return its summed loss, targets and tokens here."""
        size = self.config.train_batch_size
        low, high = rank_slice(step * size, (step + 1) * size, self.process.rank, self.process.world)
        batches = self._micro_batches(self.job.rows, self.order, low, high, -(-size // self.process.world))
        targets = sum(self.job.objective.targets(batch) for batch in batches)
        everywhere = max(1.0, self.process.sum([float(targets)])[0])
        self.optimizers.zero_gradients()
        total = torch.zeros((), dtype=torch.float64)
        for index, batch in enumerate(batches):
            set_gradient_sync(self.trained, self.resources.sharding, index == len(batches) - 1)
            with self.precision.autocast(self.process.device):
                loss = self.trained(batch)
            (loss / everywhere).backward()
            total += loss.detach().double().cpu()
        return float(total), float(targets), float(sum(map(_tokens, batches)))

    def _micro_batches(self, rows: Rows, order: DataOrder, low: int, high: int, most: int) -> list[Batch]:
        """Return the batches of a slice of g, as many on every worker: empty ones have no targets."""
        micro = self.resources.micro_batch_size
        batches = []
        for start in range(low, low + most, micro):
            stop = min(start + micro, high)
            epochs, indices = order.at(start, stop) if start < stop else order.at(0, 1)
            batch = self.job.objective.collate(rows.take(indices), indices, epochs, self.config.seed)
            if start >= stop:
                batch["labels"] = torch.full_like(batch["labels"], IGNORED)
            batches.append({name: value.to(self.process.device) for name, value in batch.items()})
        return batches

    def _update(self, loss: float) -> float:
        """Clip and step; return the gradient's norm before clipping."""
        try:
            broken = self.process.sum([float(not math.isfinite(loss))])[0]
            if broken:
                raise FloatingPointError(
                    f"the loss isn't finite on {broken:.0f} of {self.process.world} workers"
                )
            norm = clip_gradients(self.optimizers.shards, self.config.max_grad_norm, self.process)
        except FloatingPointError as error:
            raise DivergedError(
                f"step {self.state.step + 1}: {error}; the weights are those "
                "before it: lower learning_rate, or raise precision to fp32"
            ) from error
        self.optimizers.step(rate_share(self.state.step, self.job.steps, self.config))
        return norm

    def _tell(self, window: dict[str, float], norm: float, seconds: float, unsaved: float) -> dict[str, bool]:
        """Write the figures of the last steps; return what the leading process wants all to do."""
        leads = self.process.leads
        stop = float(leads and self.process.cancelled())
        save = float(leads and unsaved > self.resources.checkpoint_seconds)
        loss, targets, tokens, stop, save = self.process.sum([*window.values(), stop, save])
        rate = tokens / seconds
        self.state.tokens += int(tokens)
        self.state.seconds += seconds
        values = {
            "loss": loss / max(1.0, targets),
            "learning_rate": self.config.learning_rate
            * rate_share(self.state.step - 1, self.job.steps, self.config),
            "grad_norm": norm,
            "tokens_per_second": rate,
            "mfu": rate * self.job.flops_per_token / (self.precision.peak_flops * self.process.world),
            "seconds": self.state.seconds,
        }
        self._log(values)
        self._tell_progress()
        return {"stop": stop > 0, "save": save > 0}

    def _tell_progress(self) -> None:
        if self.process.leads:
            self.process.tell("progress", {"done": self.state.step, "total": self.job.steps, "unit": "steps"})

    def _log(self, values: dict[str, float]) -> None:
        if self.log is not None:
            self.log.add(self.state.step, **values)
            self.process.tell("figures", {"step": self.state.step, **values})

    @torch.no_grad()
    def _look(self) -> bool:
        """Measure the validation loss, keep the best weights; return whether it is time to stop early."""
        assert self.job.validation is not None
        self.job.model.eval()
        count = min(len(self.job.validation), self.config.max_eval_rows)
        order = DataOrder(len(self.job.validation), 0, self.job.validation.lengths)
        low, high = rank_slice(0, count, self.process.rank, self.process.world)
        loss, targets = 0.0, 0.0
        for batch in self._micro_batches(
            self.job.validation, order, low, high, -(-count // self.process.world)
        ):
            with self.precision.autocast(self.process.device):
                loss += float(self.trained(batch))
            targets += self.job.objective.targets(batch)
        loss, targets = self.process.sum([loss, targets])
        mean = loss / max(1.0, targets)
        values = {"validation_loss": mean}
        if self.job.bytes_per_target:
            values["validation_bits_per_byte"] = mean / math.log(2) / self.job.bytes_per_target
        self._log(values)
        self.job.model.train()
        return self._is_time_to_stop(mean)

    def _is_time_to_stop(self, loss: float) -> bool:
        self.state.last_loss = loss
        if loss < self.state.best_loss:
            self.state.best_loss, self.state.best_step, self.state.stale_looks = loss, self.state.step, 0
            if self.keeps_best:
                for name, value in self._weights().items():
                    _local(self.best[name]).copy_(_local(value))
            return False
        self.state.stale_looks += 1
        patience = self.config.early_stopping_patience
        return patience is not None and self.state.stale_looks >= patience

    def _kept(self) -> Iterable[tuple[str, Tensor]]:
        return self._weights().items() if self.keeps_best else ()

    def _weights(self) -> dict[str, Tensor]:
        """Return the model's tensors by name, sharing its memory."""
        return {
            name: value for name, value in self.job.model.state_dict().items() if isinstance(value, Tensor)
        }

    def _tensors(self) -> dict[str, Tensor]:
        """Return all that a checkpoint holds, sharing memory with what is trained."""
        tensors = {f"model.{name}": value for name, value in self._weights().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        return tensors | self.optimizers.state()

    def _resume(self) -> None:
        facts = self.checkpoints.load(self._tensors())
        if facts is None:
            self.precision = choose_precision(self.config.precision, self.process.device)
            self.precision = self._agreed(self.precision)
        else:
            self.state = _State(**facts["state"])
            self.precision = Precision(**facts["precision"])
            self.process.log(f"goes on from step {self.state.step}")
        if self.process.leads:
            self.log = MetricsLog(self.job.log_folder, facts["rows"] if facts else [])

    def _agreed(self, precision: Precision) -> Precision:
        """Return the leading process's choice, with the mean speed of all."""
        full = 1.0 if self.process.leads and precision.products == "fp32" else 0.0
        full, peak = self.process.sum([full, precision.peak_flops])
        if full and self.config.precision == "bf16" and self.process.leads:
            self.process.log("bf16 products are slower than fp32 here: multiplying in fp32")
        return Precision("fp32" if full else self.config.precision, peak / self.process.world)

    def _save(self) -> None:
        facts = {
            "state": vars(self.state),
            "precision": vars(self.precision),
            "rows": self.log.rows if self.log else [],
        }
        self.checkpoints.save(self.state.step, self._tensors(), facts)

    def _finish(self) -> None:
        """Put the best weights back, where they were kept, and close the log."""
        if self.keeps_best:
            for name, value in self._weights().items():
                _local(value).copy_(_local(self.best[name]))
        if self.log is not None:
            self.log.close()

    def _figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = {
            "steps": self.state.step,
            "tokens": self.state.tokens,
            "seconds_training": round(self.state.seconds, 2),
            "tokens_per_second": round(self.state.tokens / max(self.state.seconds, 1e-9), 1),
            "products": self.precision.products,
        }
        if self.job.validation is not None:
            loss = self.state.best_loss if self.keeps_best else self.state.last_loss
            figures["validation_loss"] = loss
            figures["best_step"] = self.state.best_step
            figures["stopped_early"] = self.state.step < self.job.steps
            if self.job.bytes_per_target:
                bits = loss / math.log(2)
                figures["validation_bits_per_byte"] = round(bits / self.job.bytes_per_target, 4)
        return figures


def _tokens(batch: Batch) -> int:
    """Return the tokens of a batch: none where it only keeps other workers company, no padding."""
    if bool((batch["labels"] == IGNORED).all()):
        return 0
    mask = batch.get("attention_mask")
    return int(mask.sum()) if mask is not None else batch["input_ids"].numel()


def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """Gather a model's weights onto the CPU of every process that asks; all must call."""
    gathered = {}
    for name, value in model.state_dict().items():
        whole = value.full_tensor() if isinstance(value, DTensor) else value
        gathered[name.replace("_orig_mod.", "")] = whole.detach().cpu().contiguous()
    return gathered


def _local(value: Tensor) -> Tensor:
    value = value.detach()
    return value.to_local() if isinstance(value, DTensor) else value
