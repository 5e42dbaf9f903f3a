"""One worker of a fine-tuning for several tasks: rows of all sets, one training, a folder or several."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from lmtrain.building import Attempt
from lmtrain.encoding.rows import Rejection, Row
from lmtrain.errors import StageError
from lmtrain.finetuning.card import model_card
from lmtrain.finetuning.examples import ExampleRows
from lmtrain.finetuning.joint import JointModel, JointTasks
from lmtrain.finetuning.lora import merged, with_lora
from lmtrain.finetuning.mixing import SetRows, mixed_order
from lmtrain.finetuning.several_config import JointConfig, SeveralConfig, TextMixtureConfig
from lmtrain.finetuning.task import Example, Task, TaskSetting
from lmtrain.finetuning.text_mixture import TextMixture
from lmtrain.finetuning.worker import Best, best_training, figures_of, read_examples
from lmtrain.manifest import Artifact
from lmtrain.modeling.build import family_of, task_model
from lmtrain.modeling.layers import rate_shares, repeated_layers
from lmtrain.objectives.base import Objective
from lmtrain.registry import TASKS
from lmtrain.training.export import Exported, live_folder, write_folders
from lmtrain.training.job import Job
from lmtrain.training.process import Process

WRITES = "generation"
"""The task whose model writes: a mixture of texts has the head of any that does."""


class Way(Protocol):
    """How one model learns several tasks."""

    def encode(self, number: int, example: Example) -> list[Row] | Rejection:
        """Turn an example of a set into rows, or say why not."""
        ...

    def objective(self, rows: SetRows) -> Objective:
        """Return what is learned of the rows."""
        ...

    def model(self, device: torch.device) -> Any:
        """Return what is trained, with its first weights."""
        ...

    def layers(self, model: Any) -> list[torch.nn.Module]:
        """Return its repeated blocks."""
        ...

    def rate_shares(self, model: Any) -> dict[str, float]:
        """Return each parameter's share of the learning rate."""
        ...

    def exported(self, best: Best, figures: dict[str, Any], sets: Sequence[Artifact]) -> list[Exported]:
        """Return the folders to write."""
        ...


class Joint:
    """A head for each task on one body; a folder for each task."""

    def __init__(
        self,
        config: JointConfig,
        tokenizer: PreTrainedTokenizerBase,
        pretrained: Artifact,
        examples: Sequence[Sequence[Example]],
    ) -> None:
        self.config = config
        self.folder = pretrained.folder("weights")
        family = family_of(AutoConfig.from_pretrained(self.folder))
        self.tasks: dict[str, Task] = {
            one.name: TASKS.get(one.task).of(TaskSetting(one, tokenizer, family, own))
            for one, own in zip(config.members, examples, strict=True)
        }

    def encode(self, number: int, example: Example) -> list[Row] | Rejection:
        """Turn an example as its task does."""
        return self.tasks[self.config.members[number].name].encode(example)

    def objective(self, rows: SetRows) -> Objective:
        """Return all tasks' losses."""
        return JointTasks(self.tasks, rows, self.config.weights or [1.0] * len(self.tasks))

    def model(self, device: torch.device) -> JointModel:
        """Return a model for each task, with one body."""
        config = self.config
        return JointModel(
            {
                one.name: task_model(
                    self.folder,
                    one.task,
                    config.initial,
                    config.seed,
                    device,
                    **self.tasks[one.name].settings(),
                )
                for one in config.members
            }
        )

    def layers(self, model: JointModel) -> list[torch.nn.Module]:
        """Return the repeated blocks of the body."""
        return model.layers

    def rate_shares(self, model: JointModel) -> dict[str, float]:
        """Return each parameter's share of the learning rate."""
        return model.rate_shares(self.config.layer_rate_decay)

    def exported(self, best: Best, figures: dict[str, Any], sets: Sequence[Artifact]) -> list[Exported]:
        """Return a folder for each task, whole in itself."""
        model: JointModel = best.job.model
        return [
            Exported(
                one.name,
                model.member(one.name),
                model.weights_of(one.name, best.weights),
                model_card(self.config, figures, [data], self.tasks[one.name].use(), one.task),
            )
            for one, data in zip(self.config.members, sets, strict=True)
        ]


class Mixture:
    """One model that writes the answers of all tasks; one folder."""

    def __init__(
        self,
        config: TextMixtureConfig,
        tokenizer: PreTrainedTokenizerBase,
        pretrained: Artifact,
        examples: Sequence[Sequence[Example]],
    ) -> None:
        self.config = config
        self.folder = pretrained.folder("weights")
        family = family_of(AutoConfig.from_pretrained(self.folder))
        self.mixture = TextMixture(config, tokenizer, family, examples)

    def encode(self, number: int, example: Example) -> list[Row] | Rejection:
        """Tell an example as text."""
        return self.mixture.sets[number].encode(example)

    def objective(self, rows: SetRows) -> Objective:
        """Return the cross-entropy of all targets."""
        return self.mixture

    def model(self, device: torch.device) -> Any:
        """Return a language model; with LoRA, its matrices are trained alone."""
        model = self._plain(device)
        self._with_lora(model)
        return model

    def _plain(self, device: torch.device) -> Any:
        config = self.config
        return task_model(self.folder, WRITES, config.initial, config.seed, device, **self.mixture.settings())

    def _with_lora(self, model: Any) -> Any:
        config = self.config
        if config.lora_rank is None:
            return None
        return with_lora(model, config.lora_rank, config.lora_alpha, config.seed, trains_head=False)

    def layers(self, model: Any) -> list[torch.nn.Module]:
        """Return its repeated blocks."""
        return repeated_layers(model)

    def rate_shares(self, model: Any) -> dict[str, float]:
        """Return each parameter's share of the learning rate."""
        return rate_shares(model, self.config.layer_rate_decay)

    def exported(self, best: Best, figures: dict[str, Any], sets: Sequence[Artifact]) -> list[Exported]:
        """Return the model's folder, with LoRA's matrices merged."""
        model, weights = best.job.model, best.weights
        if self.config.lora_rank is not None:
            model = merged(self._with_lora(self._plain(torch.device("cpu"))), weights)
            weights = model.state_dict()
        card = model_card(self.config, figures, sets, self.mixture.use(), self.config.task)
        return [Exported("", model, weights, card)]


WAYS: dict[str, Any] = {"joint": Joint, "text_to_text": Mixture}
"""By `task` of the config."""


def train_several(spec: dict[str, Any], process: Process) -> dict[str, Any]:
    """Fine-tune with each learning rate; on rank 0 the best is left in the attempt's shard `model`.

    Args:
        spec: `config`, `resources`, `attempt`, the URLs `model` and `labelled`, one for each part of the
            config, and `removed`, for each the ids of examples that are left out.
        process: this worker.

    Returns:
        The figures of the best training.
    """
    config: SeveralConfig = spec["config"]
    pretrained, sets = Artifact(spec["model"]), [Artifact(url) for url in spec["labelled"]]
    tokenizer = AutoTokenizer.from_pretrained(pretrained.folder("weights"))
    examples = {
        split: [read_examples(data, split, gone) for data, gone in zip(sets, spec["removed"], strict=True)]
        for split in ("train", "validation")
    }
    way: Way = WAYS[config.task](config, tokenizer, pretrained, examples["train"])
    encoded = {split: _encoded(config, way, given, split) for split, given in examples.items()}
    most = max(1, config.max_eval_rows // len(sets))  # of each set as many, so that a small one is looked at
    rows, validation = SetRows(encoded["train"]), SetRows(encoded["validation"], most)
    objective = way.objective(rows)

    def job_of(given: SeveralConfig, number: int) -> Job:
        attempt: Attempt = spec["attempt"]
        model = way.model(process.device)
        return Job(
            model=model,
            layers=way.layers(model),
            objective=objective,
            rows=rows,
            validation=validation,
            bytes_per_target=None,
            config=given,
            steps=max(1, math.ceil(len(rows) * given.num_train_epochs / given.train_batch_size)),
            checkpoints=f"{attempt.base}/checkpoints/rate-{number}",
            attempt=attempt.id,
            log_folder=live_folder(attempt) / f"rate-{number}",
            flops_per_token=None,
            rate_shares=way.rate_shares(model),
            order=mixed_order(given, rows),
        )

    best = best_training(config, job_of, spec, process)
    figures = {**figures_of(config, best), **_losses(best), "parts": _parts(config, encoded)}
    skipped = sum(map(len, spec["removed"]))
    if skipped:
        figures["examples_skipped"] = skipped
    if process.leads:
        folders = way.exported(best, figures, sets)
        card = "" if len(folders) == 1 else _card_of_all(config, figures, sets, folders)
        write_folders(spec["attempt"], folders, best.job.log_folder, tokenizer, figures, card)
    return figures


def _encoded(
    config: SeveralConfig, way: Way, examples: Sequence[Sequence[Example]], split: str
) -> list[ExampleRows]:
    found = []
    for number, (part, own) in enumerate(zip(config.parts(), examples, strict=True)):
        rows = ExampleRows(own, lambda example, number=number: way.encode(number, example))
        if not len(rows):
            raise StageError(
                f"{config.name}: no usable example of {part.name} in the {split} split: {dict(rows.rejected)}"
            )
        found.append(rows)
    return found


def _parts(config: SeveralConfig, encoded: dict[str, list[ExampleRows]]) -> dict[str, dict[str, Any]]:
    """Return for each task what it is, its rows, and what was rejected, by split."""
    return {
        part.name: {
            "task": part.task,
            "rows": {split: len(rows[number]) for split, rows in encoded.items()},
            "rejected": {split: dict(rows[number].rejected) for split, rows in encoded.items()},
        }
        for number, part in enumerate(config.parts())
    }


def _losses(best: Best) -> dict[str, float]:
    """Return each validation loss of the step whose weights are kept."""
    step = best.outcome.figures["best_step"]
    look = next((row for row in best.outcome.rows if row["step"] == step and "validation_loss" in row), {})
    return {name: value for name, value in look.items() if name.startswith("validation_loss_")}


def _card_of_all(
    config: SeveralConfig, figures: dict[str, Any], sets: Sequence[Artifact], folders: Sequence[Exported]
) -> str:
    listed = "\n".join(f'# "FOLDER/{one.name}"' for one in folders)
    return model_card(config, figures, sets, f"# a model for each task:\n{listed}", config.task)
