"""One worker of a fine-tuning: encodes the examples, tries the learning rates, writes the best model."""

import logging
import math
import shutil
from collections.abc import Callable, Set
from typing import Any, NamedTuple

import torch
from peft import LoraModel
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from lmtrain.building import Attempt
from lmtrain.errors import DivergedError, StageError
from lmtrain.finetuning.card import model_card
from lmtrain.finetuning.examples import ExampleRows
from lmtrain.finetuning.general_config import FinetuneConfig, TuningConfig
from lmtrain.finetuning.lora import merged, with_lora
from lmtrain.finetuning.private import private_trainer
from lmtrain.finetuning.task import Task, TaskSetting
from lmtrain.manifest import Artifact
from lmtrain.modeling import fitting
from lmtrain.modeling.build import family_of, parameter_count, task_model
from lmtrain.modeling.layers import first_steps, freeze_body, rate_shares, repeated_layers
from lmtrain.modeling.own import IMPORT, is_own
from lmtrain.modeling.sizes import RECURRENT
from lmtrain.registry import TASKS
from lmtrain.training.export import live_folder, write_model
from lmtrain.training.job import Job, Outcome
from lmtrain.training.loop import Trainer, whole_weights
from lmtrain.training.process import Process


def train(spec: dict[str, Any], process: Process) -> dict[str, Any]:
    """Fine-tune with each learning rate; on rank 0 the best is left in the attempt's shard `model`.

    Args:
        spec: `config`, `resources`, `attempt`, the URLs `model` and `labelled`, and `removed`, the ids of
            examples that are left out.
        process: this worker.

    Returns:
        The figures of the best training.
    """
    config: FinetuneConfig = spec["config"]
    attempt: Attempt = spec["attempt"]
    labelled, removed = Artifact(spec["labelled"]), spec["removed"]
    task, rows, tokenizer = _prepared(spec)
    best = best_training(
        config, lambda given, number: _job(spec, task, rows, given, number, process), spec, process
    )
    job, weights = best.job, best.weights
    figures = {
        **figures_of(config, best),
        "rejected": {split: dict(found.rejected) for split, found in rows.items()},
    }
    if config.is_private:
        figures["differential_privacy"]["noise"] = "secret" if spec["secret"] else "from the manifest"
    if removed:
        figures["examples_skipped"] = len(removed)
    if process.leads:
        model = job.model
        if config.lora_rank is not None:
            model = merged(_with_lora(_new_model(spec, task, torch.device("cpu")), config), weights)
            weights = model.state_dict()
        use = IMPORT + task.use() if is_own(model.config) else task.use()
        card = model_card(config, figures, [labelled], use, config.task)
        write_model(attempt, model, job.log_folder, weights, tokenizer, figures, card)
    return figures


class Best(NamedTuple):
    """The training with the least validation loss of those with each learning rate."""

    outcome: Outcome
    job: Job
    weights: dict[str, torch.Tensor]
    rate: float


def best_training(
    config: TuningConfig, job_of: Callable[[Any, int], Job], spec: dict[str, Any], process: Process
) -> Best:
    """Train with each learning rate of a config.

    Args:
        config: names the rates.
        job_of: makes what is trained, of the config with one rate and the rate's number.
        spec: `resources`, on what is trained.
        process: this worker.

    Raises:
        DivergedError: with every rate.
    """
    rates = config.learning_rates or [config.learning_rate]
    best: Best | None = None
    for number, rate in enumerate(rates):
        job = job_of(config.model_copy(update={"learning_rate": rate}), number)
        try:
            outcome = _trainer(job, spec, process).run()
        except DivergedError as error:
            if best is None and number == len(rates) - 1:
                raise
            process.log(f"learning rate {rate:g} is left out: {error}", logging.WARNING)
            continue
        loss = outcome.figures["validation_loss"]
        if process.leads:
            step = outcome.figures["best_step"]
            process.log(f"learning rate {rate:g}: validation loss {loss:.4f} at step {step}")
        if best is None or loss < best.outcome.figures["validation_loss"]:
            best = Best(outcome, job, whole_weights(job.model), rate)
    assert best is not None, "the last rate raises where no other was good"
    return best


def figures_of(config: TuningConfig, best: Best) -> dict[str, Any]:
    """Return what there is to tell of a training, for the manifest."""
    named = best.job.model.named_parameters()
    return {
        "parameters": sum(one.numel() for name, one in named if "lora_" not in name),
        "trained_parameters": parameter_count(best.job.model, only_trained=True),
        "task": config.task,
        "initial": config.initial,
        "learning_rate": best.rate,
        **best.outcome.figures,
    }


def try_settings(spec: dict[str, Any], number: int, settings: dict[str, Any], process: Process) -> None:
    """Fine-tune with the settings of one trial, in one process; what its looks see is told, nothing is kept.

    Args:
        spec: as for `train`.
        number: of the trial.
        settings: fields of the config that the trial sets.
        process: told the steps and the figures.

    Raises:
        DivergedError: loss or gradient isn't finite.
    """
    config = spec["config"].model_copy(update=settings)
    task, rows, _ = _prepared(spec)
    job = _job(spec, task, rows, config, number, process)
    unsaved = spec["resources"].model_copy(update={"compile": False, "checkpoint_seconds": math.inf})
    trainer = Trainer(job, unsaved, process)
    try:
        trainer.run()
    finally:  # a trial that is given up ends here, too
        trainer.loader.close()
        shutil.rmtree(job.log_folder, ignore_errors=True)


class _Prepared(NamedTuple):
    task: Task
    rows: dict[str, ExampleRows]
    tokenizer: PreTrainedTokenizerBase


def _prepared(spec: dict[str, Any]) -> _Prepared:
    """Encode the examples as the task does.

    Raises:
        StageError: a split has no usable example.
    """
    config: FinetuneConfig = spec["config"]
    folder = Artifact(spec["model"]).folder("weights")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    labelled, removed = Artifact(spec["labelled"]), spec["removed"]
    examples = {split: read_examples(labelled, split, removed) for split in ("train", "validation")}
    family = family_of(AutoConfig.from_pretrained(folder))
    for name in config.not_for_lstms() if family in RECURRENT else ():
        raise StageError(f"{config.name}: leave {name} out, it isn't for an LSTM ({family})")
    task: Task = TASKS.get(config.task).of(TaskSetting(config, tokenizer, family, examples["train"]))
    rows = {split: ExampleRows(given, task.encode) for split, given in examples.items()}
    for split, found in rows.items():
        if not len(found):
            raise StageError(f"{config.name}: no usable example in the {split} split: {dict(found.rejected)}")
    return _Prepared(task, rows, tokenizer)


def read_examples(labelled: Artifact, split: str, removed: Set[str]) -> list[dict[str, Any]]:
    """Return the examples of one split in the manifest's order, without those that are removed."""
    tables = labelled.tables("labelled", split=split)
    return [row for table in tables for row in table.to_pylist() if row["id"] not in removed]


def _new_model(spec: dict[str, Any], task: Task, device: torch.device) -> PreTrainedModel:
    config: FinetuneConfig = spec["config"]
    folder = Artifact(spec["model"]).folder("weights")
    return task_model(folder, config.task, config.initial, config.seed, device, **task.settings())


def _trainer(job: Job, spec: dict[str, Any], process: Process) -> Trainer:
    if spec["config"].is_private:
        return private_trainer(job, spec, process)
    return Trainer(job, spec["resources"].model_copy(update={"compile": False}), process)


def _with_lora(model: PreTrainedModel, config: FinetuneConfig) -> LoraModel:
    assert config.lora_rank is not None
    trains_head = fitting.TASKS[config.task].has_new_head
    return with_lora(model, config.lora_rank, config.lora_alpha, config.seed, trains_head=trains_head)


def _job(
    spec: dict[str, Any],
    task: Task,
    rows: dict[str, ExampleRows],
    config: FinetuneConfig,
    number: int,
    process: Process,
) -> Job:
    model = _new_model(spec, task, process.device)
    if config.lora_rank is not None:
        _with_lora(model, config)
    if config.freeze_body:
        freeze_body(model)
    count, batch = len(rows["train"]), config.train_batch_size
    steps = max(1, math.ceil(count * config.num_train_epochs / batch))
    begins = None
    if config.gradual_unfreezing:
        begins = first_steps(model, count, batch, new_head=fitting.TASKS[config.task].has_new_head)
        if process.leads and max(begins.values()) >= steps:
            told = f"gradual_unfreezing: {config.num_train_epochs:g} epochs are too few to train all layers"
            process.log(told, logging.WARNING)
    attempt: Attempt = spec["attempt"]
    return Job(
        model=model,
        layers=repeated_layers(model),
        objective=task,
        rows=rows["train"],
        validation=rows["validation"],
        bytes_per_target=None,
        config=config,
        steps=steps,
        checkpoints=f"{attempt.base}/checkpoints/rate-{number}",
        attempt=attempt.id,
        log_folder=live_folder(attempt) / f"rate-{number}",
        flops_per_token=None,
        rate_shares=rate_shares(model, config.layer_rate_decay),
        first_steps=begins,
    )
