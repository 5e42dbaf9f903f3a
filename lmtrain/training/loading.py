"""Global batches as one worker sees them: its slice of the next rows, cut into micro-batches.

The batch that will be asked for next is made in a thread while this one is
trained on. What is in a batch follows from its rows alone, so it makes no
difference whether it was made ahead, or again after a stop.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from lmtrain.objectives.base import IGNORED, Batch, Objective, TakesPartners
from lmtrain.training.job import Rows
from lmtrain.training.order import DataOrder, order_of, rank_slice
from lmtrain.training.process import Process


class MicroBatch(NamedTuple):
    """Rows of one forward pass, and what is known of them before a GPU has them: asking it would halt it.

    Attributes:
        tensors: what the objective made of the rows.
        targets: of each loss.
        tokens: that are read: none where the batch only keeps other workers company, no padding.
    """

    tensors: Batch
    targets: list[int]
    tokens: int


class Loader:
    """Makes the batches of one worker.

    Attributes:
        order: which row stands where.
    """

    def __init__(
        self,
        rows: Rows,
        objective: Objective,
        seed: int,
        micro_batch_size: int,
        process: Process,
        order: DataOrder | None = None,
    ) -> None:
        """Load rows for an objective.

        Args:
            rows: what there is.
            objective: turns them into batches.
            seed: of the order, and of what is random in a row.
            micro_batch_size: rows in one forward pass.
            process: this worker.
            order: of the rows; all of them epoch after epoch if there is none.
        """
        self.rows = rows
        self.objective = objective
        self.seed = seed
        self.micro_batch_size = micro_batch_size
        self.process = process
        self.order = order or order_of(len(rows), seed, rows.lengths)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lmtrain-loader")
        self._ahead: tuple[tuple[int, int], Future[list[MicroBatch]]] | None = None

    def take(self, start: int, size: int) -> list[MicroBatch]:
        """Return this worker's micro-batches of the rows [start, start + size), on its device.

        Every worker has as many; one whose slice is shorter gets batches without
        targets, because all must take part in what the model communicates.

        Args:
            start: global row index of the batch's first row.
            size: rows of the batch over all workers.
        """
        if self._ahead is not None and self._ahead[0] == (start, size):
            batches = self._ahead[1].result()
        else:
            batches = self._made(start, size)
        self._ahead = None
        device = self.process.device
        return [
            batch._replace(
                tensors={name: value.to(device, non_blocking=True) for name, value in batch.tensors.items()}
            )
            for batch in batches
        ]

    def prepare(self, start: int, size: int) -> None:
        """Begin to make the batch that will be taken next."""
        self._ahead = ((start, size), self._thread.submit(self._made, start, size))

    def first_row(self, start: int, size: int, micro_batch: int) -> int:
        """Return the global index of the first row of one of this worker's micro-batches of a batch."""
        return self._slice(start, size)[0] + micro_batch * self.micro_batch_size

    def documents(self, start: int, size: int) -> list[str]:
        """Return the ids of the documents in this worker's slice of a batch, in the order of its rows."""
        low, high = self._slice(start, size)
        found = self.rows.documents(self.order.at(low, high)[1])
        return list(dict.fromkeys(identity for row in found for identity in row))

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _slice(self, start: int, size: int) -> tuple[int, int]:
        return rank_slice(start, start + size, self.process.rank, self.process.world)

    def _made(self, start: int, size: int) -> list[MicroBatch]:
        low, high = self._slice(start, size)
        most, micro = -(-size // self.process.world), self.micro_batch_size
        epochs, indices = self.order.at(low, high)
        cuts = range(0, most, micro)
        return [self._batch(epochs[cut : cut + micro], indices[cut : cut + micro]) for cut in cuts]

    def _batch(self, epochs: np.ndarray, indices: np.ndarray) -> MicroBatch:
        empty = not len(indices)
        if empty:
            epochs, indices = self.order.at(0, 1)
        batch = collated(self.objective, self.rows, indices, epochs, self.seed)
        targets = []
        for name in self.objective.targets.values():
            if empty:
                batch[name] = torch.full_like(batch[name], IGNORED)
            targets.append(int((batch[name] != IGNORED).sum()))
        return MicroBatch(batch, targets, 0 if empty else _tokens(batch))


def collated(objective: Objective, rows: Rows, indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
    """Return the batch of some rows, whose partners are taken too where the objective asks for them.

    Args:
        objective: makes the batch.
        rows: all of them.
        indices: of the batch's rows.
        epochs: of each.
        seed: of the training.
    """
    taken = indices
    if isinstance(objective, TakesPartners):
        taken = np.concatenate([indices, objective.partners(indices, epochs, seed, len(rows))])
    return objective.collate(rows.take(taken), indices, epochs, seed)


def _tokens(batch: Batch) -> int:
    mask = batch.get("attention_mask")
    return int(mask.sum()) if mask is not None else batch["input_ids"].numel()
