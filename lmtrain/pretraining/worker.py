"""One worker of a pretraining: opens the shards, makes the model, trains, and writes the result."""

from typing import Any

from transformers import AutoTokenizer

from lmtrain.building import Attempt
from lmtrain.config import Resources
from lmtrain.manifest import Artifact
from lmtrain.modeling.build import parameter_count
from lmtrain.modeling.isolation import check_packable
from lmtrain.modeling.layers import repeated_layers
from lmtrain.modeling.special_ids import special_ids
from lmtrain.pretraining.card import model_card
from lmtrain.pretraining.checks import check_model
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.pretraining.making import flops_of, model_of, objective_of
from lmtrain.pretraining.mixing import mixing_figures, training_order
from lmtrain.pretraining.rows import ids_in, open_rows, totals_without
from lmtrain.training.export import live_folder, write_model
from lmtrain.training.job import Job
from lmtrain.training.loop import Trainer, whole_weights
from lmtrain.training.process import Process
from lmtrain.training.schedule import rows_before


def train(spec: dict[str, Any], process: Process) -> dict[str, Any]:
    """Pretrain; on rank 0 the exported model is left in the attempt's shard `model`.

    Args:
        spec: `config`, `resources`, `attempt`, the URLs `shards` and `tokenizer`, `removed`, the record
            of the file of documents that are skipped, or None; the URLs `model` and `teacher`, if any.
        process: this worker.

    Returns:
        The figures of the training.
    """
    config: PretrainConfig = spec["config"]
    attempt: Attempt = spec["attempt"]
    job, tokenizer = new_job(spec, process)
    outcome = Trainer(job, spec["resources"], process).run()
    parameters = parameter_count(job.model)
    figures = {"parameters": parameters, "task": "language_modeling", "initial": "random", **outcome.figures}
    rows: Any = job.rows  # both as `new_job` has made them
    order: Any = job.order
    figures["packing"] = rows.figures()
    read = rows_before(outcome.figures["steps"], config.max_steps, config)
    if mixed := mixing_figures(rows, order, read):
        figures["mixing"] = mixed
    shards, skipped = Artifact(spec["shards"]), ids_in(attempt, spec["removed"])
    left = totals_without(shards, skipped)
    if skipped:
        by_split = shards.stats["by_split"]
        figures["documents_skipped"] = {
            split: by_split[split]["documents"] - left[split]["documents"] for split in by_split
        }
    weights = whole_weights(job.model)
    if process.leads:
        card = model_card(config, figures, shards, left["train"])
        write_model(attempt, job.model, job.log_folder, weights, tokenizer, figures, card)
    return figures


def new_job(spec: dict[str, Any], process: Process) -> tuple[Job, Any]:
    """Open the shards and make the model; return what is trained, and its tokenizer.

    Args:
        spec: as for `train`.
        process: this worker.
    """
    config: PretrainConfig = spec["config"]
    attempt: Attempt = spec["attempt"]
    resources: Resources = spec["resources"]
    skipped = ids_in(attempt, spec["removed"])
    shards, tokenizer_artifact = Artifact(spec["shards"]), Artifact(spec["tokenizer"])
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_artifact.folder("tokenizer"))
    ids = special_ids(tokenizer, tokenizer_artifact.address.folder)
    folders = {
        role: Artifact(spec[role]).folder("weights") for role in ("model", "teacher") if spec.get(role)
    }
    objective = objective_of(config, ids, len(tokenizer), resources, folders.get("teacher"), process.device)
    rows, validation = (
        open_rows(
            shards,
            split,
            config.row_tokens,
            ids.end,
            skipped,
            packing=config.packing,
            vocabulary=len(tokenizer),
            frame=objective.frame,
        )
        for split in ("train", "validation")
    )
    order = training_order(config, rows)
    model = model_of(
        config, ids, len(tokenizer), process.device, compiled=resources.compile, start=folders.get("model")
    )
    check_model(model.config, len(tokenizer), config.row_tokens)
    if config.packing != "none":
        check_packable(model.config)
    left = totals_without(shards, skipped)
    return Job(
        model=model,
        layers=repeated_layers(model),
        objective=objective,
        rows=rows,
        validation=validation,
        bytes_per_target=bytes_per_target(left["validation"])
        if config.objective in ("clm", "bilm")
        else None,
        config=config,
        steps=config.max_steps,
        checkpoints=f"{attempt.base}/checkpoints",
        attempt=attempt.id,
        log_folder=live_folder(attempt),
        flops_per_token=flops_of(config, model),
        order=order,
    ), tokenizer


def bytes_per_target(totals: dict[str, int]) -> float:
    """Return the bytes of text for each target of a split: its tokens, and an end for each document."""
    return totals["bytes"] / (totals["tokens"] + totals["documents"])
