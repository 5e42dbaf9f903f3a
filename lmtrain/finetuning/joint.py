"""Tasks learned together by one body, each with a head of its own (Caruana 1997; Liu et al. 2019).

In: a model with its head for each task, and their objectives. Out: one model whose bodies are one, and one
objective over rows of all tasks.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lmtrain.finetuning.mixing import Numbered, SetRows
from lmtrain.finetuning.task import Task
from lmtrain.modeling.layers import rate_shares, repeated_layers
from lmtrain.objectives.base import IGNORED, Batch

KEY = "task_{}"
"""Name of a task's model within the whole: a plain name might be one that modules have already."""


class JointModel(nn.Module):
    """A model for each task, all with the body of the first.

    What only some bodies have, such as a pooler, is shared among these.
    """

    def __init__(self, members: Mapping[str, PreTrainedModel]) -> None:
        """Make bodies one.

        Args:
            members: a model of one family and shape for each task by name; they are changed.
        """
        super().__init__()
        parts: dict[str, nn.Module] = {}
        for member in members.values():
            body = member.base_model
            for name, child in list(body.named_children()):
                setattr(body, name, parts.setdefault(name, child))
        self.members = nn.ModuleDict({KEY.format(name): member for name, member in members.items()})

    def member(self, name: str) -> Any:
        """Return the model of a task."""
        return self.members[KEY.format(name)]

    def state_dict(self, *given: Any, **settings: Any) -> dict[str, Any]:
        """Return all tensors by name, those that are shared under their first name alone."""
        own = {name for name, _ in [*self.named_parameters(), *self.named_buffers()]}
        found = super().state_dict(*given, **settings)
        prefix = settings.get("prefix", "")
        return {name: value for name, value in found.items() if name.removeprefix(prefix) in own}

    def weights_of(self, name: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a task's model by their names in it.

        Args:
            name: of the task.
            weights: whole ones, by their names in `state_dict`.
        """
        first = {id(value): own for own, value in [*self.named_parameters(), *self.named_buffers()]}
        member = self.member(name)
        tensors = [
            *member.named_parameters(remove_duplicate=False),
            *member.named_buffers(remove_duplicate=False),
        ]
        kept = set(member.state_dict())
        return {own: weights[first[id(value)]] for own, value in tensors if own in kept}

    @property
    def layers(self) -> list[nn.Module]:
        """The repeated blocks of the body."""
        return repeated_layers(next(iter(self.members.values())))

    def rate_shares(self, decay: float) -> dict[str, float]:
        """Return each parameter's share of the learning rate, as `lmtrain.modeling.layers` has it."""
        return {
            f"members.{key}.{name}": share
            for key, member in self.members.items()
            for name, share in rate_shares(cast(PreTrainedModel, member), decay).items()
        }


class JointTasks:
    """The losses of all tasks, each by its own weight and divided by its own targets.

    A batch holds rows of every task: where there is none, the task's first row stands in without targets,
    so that all workers go through the same layers equally often.
    """

    def __init__(self, tasks: Mapping[str, Task], rows: SetRows, weights: Sequence[float]) -> None:
        """Join tasks.

        Args:
            tasks: by name, in the order of the sets.
            rows: of the training.
            weights: of the tasks' losses.
        """
        self.tasks = tasks
        self.weights = weights
        self.targets: Mapping[str, str] = {
            name if len(task.targets) == 1 else f"{name}_{loss}": f"{name}.{entry}"
            for name, task in tasks.items()
            for loss, entry in task.targets.items()
        }
        self._stand_ins = [row for _, row in rows.take(rows.first_row[:-1])]

    def collate(self, rows: Sequence[Numbered], indices: np.ndarray, epochs: np.ndarray, seed: int) -> Batch:
        """Stack the rows of each task.

        Returns:
            What each task makes of its rows, under names that begin with the task's; and `input_ids` and
            `attention_mask` of all of them, flat, by which tokens are counted.
        """
        batch: Batch = {}
        masks = []
        numbers = np.array([number for number, _ in rows])
        for number, (name, task) in enumerate(self.tasks.items()):
            here = np.flatnonzero(numbers == number).tolist()
            own = [rows[place][1] for place in here] or [self._stand_ins[number]]
            where = here or [0]
            made = task.collate(own, indices[where], epochs[where], seed)
            masks.append(made["attention_mask"].flatten() * bool(here))
            for entry in () if here else task.targets.values():
                made[entry] = torch.full_like(made[entry], IGNORED)
            batch |= {f"{name}.{entry}": value for entry, value in made.items()}
        batch["attention_mask"] = torch.cat(masks)
        batch["input_ids"] = torch.cat([batch[f"{name}.input_ids"].flatten() for name in self.tasks])
        return batch

    def loss(self, model: Any, batch: Batch) -> Tensor:
        """Return the losses of each task, summed over its targets and times its weight, shape (losses,)."""
        losses = []
        for (name, task), weight in zip(self.tasks.items(), self.weights, strict=True):
            own = {
                entry.removeprefix(f"{name}."): value
                for entry, value in batch.items()
                if entry.startswith(f"{name}.")
            }
            losses.append(weight * task.loss(model.member(name), own).float())
        return torch.cat(losses)
