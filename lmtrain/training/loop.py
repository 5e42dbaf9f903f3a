"""The one train loop: pretraining and fine-tuning, alone, under torchrun or under Ray.

for each global batch (the next rows by the global row index):
    this worker takes its slice, cut into micro-batches, while a thread makes the next one
    loss = summed loss / targets of the whole batch, over all workers
    clip by the true global norm, step, and now and then look, tell and save
"""

import json
import math
import resource
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from lmtrain import storage
from lmtrain.config import Resources
from lmtrain.errors import CancelledError, DivergedError
from lmtrain.training.allocator import keep_freed_memory
from lmtrain.training.blaming import breaks_gradients, ranks_that_say
from lmtrain.training.checkpoint import Checkpoints
from lmtrain.training.communication import CollectiveWaits
from lmtrain.training.job import Job, Outcome, Trained
from lmtrain.training.keyed import key_dropout
from lmtrain.training.loading import Loader, collated
from lmtrain.training.metrics import MetricsLog
from lmtrain.training.optimizers import Optimizers
from lmtrain.training.precision import Precision, check_precision, measured_precision, multiply_in_fp8
from lmtrain.training.process import Process
from lmtrain.training.profiling import span
from lmtrain.training.recomputing import recompute
from lmtrain.training.schedule import batch_size, rate_share
from lmtrain.training.sharding import clip_gradients, own_norm, set_gradient_sync, shard
from lmtrain.training.spikes import is_spike, remembered
from lmtrain.training.state import State, Window

LOG_STEPS = 10

BITS = "validation_bits_per_byte"


class Trainer:
    """A training in one process. All processes call `run` together."""

    def __init__(self, job: Job, resources: Resources, process: Process) -> None:
        self.job = job
        self.config = job.config
        self.resources = resources
        self.process = process
        check_precision(job.config.precision, process.device)
        if process.device.type == "cpu":
            keep_freed_memory()
        micro = resources.micro_batch_size
        self.loader = Loader(job.rows, job.objective, job.config.seed, micro, process, job.order)
        self.state = State()
        if job.config.precision == "fp8":
            multiply_in_fp8(job.layers)
        recompute(job.layers, resources.recompute)
        if resources.compile:
            for layer in job.layers:
                layer.compile()
        self.trained = Trained(job.model, job.objective)
        shard(self.trained, job.layers, resources, process)
        self.optimizers = Optimizers(job.model, job.config, job.rate_shares, job.first_steps)
        self.checkpoints = Checkpoints(job.checkpoints, job.attempt, process, resources.checkpoints_kept)
        self.keeps_best = job.config.early_stopping_patience is not None and job.validation is not None
        self.best = {name: value.detach().clone() for name, value in self._kept()}
        self.z_loss: float = getattr(job.objective, "z_loss", 0.0)
        self.precision: Precision
        self.log: MetricsLog | None = None
        self.window = Window()
        self.waits = CollectiveWaits()
        self.unsaved_since = time.monotonic()

    def run(self) -> Outcome:
        """Train from the newest checkpoint, or from the start, to the end.

        Raises:
            CancelledError: somebody asked to stop; a checkpoint was saved.
            DivergedError: loss or gradient isn't finite; the weights are those before that step.
            LostWorkerError: another worker is late or gone; it is named.
            StorageError: a checkpoint or the log couldn't be written.
        """
        with (
            self.process.heeding_signals(),
            self.process.naming_who_is_late(),
            storage.told_when_full(),
            self.waits,
        ):
            self._resume()
            self.precision.applied(self.job.model)
            self.optimizers.multiply_in(self.precision.products)
            self._tell_progress()
            if self.resources.compile and self.process.leads:
                self.process.log("compiling the model: the first steps take longer")
            if self.z_loss and self.process.leads:
                self.process.log(f"the training loss has a z_loss of {self.z_loss:g} in it, a look's hasn't")
            self.job.model.train()
            self.window = Window()
            while self.state.step < self.job.steps and not self.state.ended:
                self._advance()
            self._finish()
        return Outcome(self._figures(), self.log.rows if self.log else [])

    def _advance(self) -> None:
        """Train on one global batch; look, tell and save where it is time to."""
        size = batch_size(self.state.step, self.job.steps, self.config)
        losses, targets = self._accumulate(size)
        with span("optimizer"):
            stop, norm = self._update(losses, targets, size)
        self.state.step += 1
        self.state.row += size
        self.process.beat(self.state.step)
        last, save = self.state.step == self.job.steps, False
        if self.state.step % LOG_STEPS == 0 or last or stop:
            stop, save = self._tell(norm, stop)
        begun, communicated = time.monotonic(), self.waits.seconds
        # A checkpoint holds the look that belongs to its step: a resumed training won't look again.
        if self.job.validation is not None and (self.state.step % self.config.eval_steps == 0 or last):
            self.state.ended = self._look() or last
        if stop or save:
            self._save()
        self.window.began += time.monotonic() - begun  # looking and saving aren't training
        self.waits.seconds = communicated
        if stop and not (self.state.ended or last):
            self.checkpoints.wait()
            raise CancelledError("stopped on request; run again to go on from here")

    def _accumulate(self, size: int) -> tuple[Tensor, list[float]]:
        """Add up the gradients of one global batch; return this worker's summed losses, all targets of each.

        Several losses are added, each divided by the number of its own targets.
        """
        begun = time.monotonic()
        with span("data"):
            batches = self.loader.take(self.state.row, size)
        self.window.waited += time.monotonic() - begun
        if self.state.step + 1 < self.job.steps:
            following = batch_size(self.state.step + 1, self.job.steps, self.config)
            self.loader.prepare(self.state.row + size, following)
        targets = np.sum([batch.targets for batch in batches], axis=0, dtype=float)
        everywhere = [max(1.0, count) for count in self.process.sum(targets.tolist())]
        divisors = torch.tensor(everywhere, device=self.process.device)
        self.optimizers.zero_gradients()
        self.optimizers.freeze(self.state.step)
        total = torch.zeros(len(everywhere), dtype=torch.float64, device=self.process.device)
        for index, batch in enumerate(batches):
            set_gradient_sync(self.trained, self.resources.sharding, index == len(batches) - 1)
            key_dropout(self.config.seed, self.loader.first_row(self.state.row, size, index))
            with span("forward"), self.precision.autocast(self.process.device):
                loss = self.trained(batch.tensors)
            with span("backward"):
                (loss / divisors.to(loss)).sum().backward()
            total += loss.detach()
        self.window.targets = self.window.targets + targets
        self.window.tokens += sum(batch.tokens for batch in batches)
        return total, everywhere

    def _update(self, losses: Tensor, targets: list[float], size: int) -> tuple[bool, float]:
        """Clip and step; return whether a worker was asked to end, and the gradient's norm before clipping.

        Here a step waits for its GPU: whether loss and gradients are finite decides what comes next.

        Args:
            losses: summed, of this worker.
            targets: of each loss, of all workers.
            size: rows of the batch.
        """
        own = own_norm(self.optimizers.shards).to(losses)
        *read, norm_here = torch.cat([losses, own[None]]).tolist()
        self.window.losses = self.window.losses + np.array(read)
        loss = sum(one / count for one, count in zip(read, targets, strict=True))
        broken = not math.isfinite(loss)
        given = [0.0 if broken else loss, float(broken), float(self.process.terminated)]
        mean, all_broken, stop = self.process.sum(given)
        try:
            if all_broken:
                raise FloatingPointError("the loss isn't finite")
            norm = clip_gradients(self.optimizers.shards, norm_here, self.config.max_grad_norm, self.process)
        except FloatingPointError as error:
            raise self._diverged(str(error), broken, bool(all_broken), size) from error
        if not self._is_left_out(mean):
            self.optimizers.step(rate_share(self.state.step, self.job.steps, self.config))
        return stop > 0, norm

    def _diverged(self, what: str, broken: bool, by_loss: bool, size: int) -> DivergedError:
        """Find whose rows it was, keep the ids of their documents, and return the error; all must call."""
        if not by_loss:
            broken = breaks_gradients(self.trained, lambda: self._accumulate(size))
        ranks = ranks_that_say(broken, self.process) or list(range(self.process.world))
        step = self.state.step + 1
        folder = storage.join(self.job.checkpoints, "diverged")
        kept = {rank: storage.join(folder, f"step-{step:08d}-rank-{rank}.json") for rank in ranks}
        if self.process.rank in kept:
            ids = json.dumps(self.loader.documents(self.state.row, size))
            storage.write_bytes(kept[self.process.rank], ids.encode())
        # Who starts the workers ends them all when the first one fails: nobody may before all have written.
        self.process.sum([0.0])
        place = folder if len(ranks) > 1 else kept[ranks[0]]
        return DivergedError(
            f"step {step}: {what} on rank {', '.join(map(str, ranks))}; the weights are those before it, and "
            f"the ids of the batch's documents stand in {place}: lower learning_rate, or raise precision "
            "to fp32"
        )

    def _is_left_out(self, loss: float) -> bool:
        """Tell whether a batch's loss is a spike that the recipe wants to skip; log every spike."""
        if not is_spike(loss, self.state.recent, self.config.max_loss_deviations):
            self.state.recent = remembered(loss, self.state.recent)
            return False
        self.state.skipped += self.config.skip_loss_spikes
        if self.process.leads:
            done = "the batch is skipped" if self.config.skip_loss_spikes else "trained on all the same"
            self.process.log(f"loss spike at step {self.state.step + 1}: {loss:.4f}; {done}")
        return self.config.skip_loss_spikes

    def _tell(self, norm: float, stop: bool) -> tuple[bool, bool]:
        """Write the figures of the last steps; return whether all are to stop, and to save."""
        leads, window, now = self.process.leads, self.window, time.monotonic()
        asked = float(stop or (leads and self.process.cancelled()))
        due = now - self.unsaved_since > self.resources.checkpoint_seconds
        save = float(leads and due and not self.checkpoints.is_writing)
        given = [window.tokens, window.waited, self.waits.seconds, asked, save]
        tokens, waited, communicated, asked, save = self.process.sum(given)
        losses = self._means(window.losses, window.targets)
        self.waits.seconds = 0.0
        seconds = now - window.began
        rate = tokens / seconds
        self.state.tokens += int(tokens)
        self.state.seconds += seconds
        values = {
            **self._named("loss", losses),
            "learning_rate": self.config.learning_rate
            * rate_share(self.state.step - 1, self.job.steps, self.config),
            "grad_norm": norm,
            "tokens_per_second": rate,
            "loading_share": waited / self.process.world / seconds,
            "memory_gb": _peak_memory(self.process.device) / 1e9,
            "seconds": self.state.seconds,
        }
        if self.job.flops_per_token is not None:
            values["mfu"] = rate * self.job.flops_per_token / (self.precision.peak_flops * self.process.world)
        if self.process.device.type == "cpu":  # a GPU's waits aren't seen from here
            values["communication_share"] = communicated / self.process.world / seconds
        if self.job.bytes_per_target and not self.z_loss:
            values["bits_per_byte"] = losses[0] / math.log(2) / self.job.bytes_per_target
        self._log(values)
        self._tell_progress()
        self.window = Window()
        return asked > 0, save > 0

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
        rows, objective = self.job.validation, self.job.objective
        loader = Loader(rows, objective, 0, self.resources.micro_batch_size, self.process)
        losses, targets = np.zeros(len(objective.targets)), np.zeros(len(objective.targets))
        for batch in loader.take(0, min(len(rows), self.config.max_eval_rows)):
            with self.precision.autocast(self.process.device):
                losses += np.array(self.trained(batch.tensors).tolist())
            targets += batch.targets
        loader.close()
        means = self._means(losses, targets)
        values = self._named("validation_loss", means)
        if self.job.bytes_per_target:
            values[BITS] = means[0] / math.log(2) / self.job.bytes_per_target
        self._log(values)
        self.job.model.train()
        return self._is_time_to_stop(values["validation_loss"], values.get(BITS, math.inf))

    def _means(self, losses: np.ndarray, targets: np.ndarray) -> list[float]:
        """Return each loss for each of its targets, over all workers; all must call."""
        summed = self.process.sum([*losses.tolist(), *targets.tolist()])
        return [
            loss / max(1.0, count)
            for loss, count in zip(summed[: len(losses)], summed[len(losses) :], strict=True)
        ]

    def _named(self, name: str, losses: list[float]) -> dict[str, float]:
        """Return the sum of losses under a name, and where there are several each under its own, too."""
        each = zip(self.job.objective.targets, losses, strict=True)
        several = {f"{name}_{one}": loss for one, loss in each} if len(losses) > 1 else {}
        return {name: sum(losses), **several}

    def _is_time_to_stop(self, loss: float, bits: float) -> bool:
        self.state.last_loss, self.state.last_bits = loss, bits
        if loss < self.state.best_loss:
            self.state.best_bits = bits
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
            first = np.zeros(1, dtype=np.int64)
            batch = collated(self.job.objective, self.job.rows, first, first, self.config.seed)
            tokens = batch["input_ids"].numel() * self.resources.micro_batch_size
            self.precision = measured_precision(self.job.model, self.config.precision, tokens, self.process)
        else:
            self.state = State(**facts["state"])
            self.precision = Precision(**facts["precision"])
            self.process.log(f"goes on from step {self.state.step}")
        if self.process.leads:
            self.log = MetricsLog(self.job.log_folder, facts["rows"] if facts else [])

    def _save(self) -> None:
        facts = {
            "state": vars(self.state),
            "loss": self.state.last_loss,
            "precision": vars(self.precision),
            "rows": self.log.rows if self.log else [],
        }
        self.checkpoints.save(self.state.step, self._tensors(), facts)
        self.unsaved_since = time.monotonic()

    def _finish(self) -> None:
        """Put the best weights back, where they were kept, and close what is open."""
        self.loader.close()
        self.checkpoints.close()
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
            "skipped_steps": self.state.skipped,
        }
        if self.job.validation is not None:
            loss = self.state.best_loss if self.keeps_best else self.state.last_loss
            figures["validation_loss"] = loss
            figures["best_step"] = self.state.best_step
            figures["stopped_early"] = self.state.step < self.job.steps
            if self.job.bytes_per_target:
                bits = self.state.best_bits if self.keeps_best else self.state.last_bits
                figures[BITS] = round(bits, 4)
        return figures


def _peak_memory(device: torch.device) -> int:
    """Return the most bytes that this process has held: on its GPU, else in main memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


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
