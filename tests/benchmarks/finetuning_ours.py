"""Our side of the fine-tuning benchmark: the train loop as the stage calls it."""

import math
import tempfile
import time
from pathlib import Path

import torch
from finetuning_side import Case, answer, resident
from transformers import AutoTokenizer

from lmtrain.config import Resources
from lmtrain.finetuning.classification import Classification
from lmtrain.finetuning.config import ClassificationConfig
from lmtrain.finetuning.examples import ExampleRows
from lmtrain.finetuning.task import TaskSetting
from lmtrain.modeling.build import task_model
from lmtrain.modeling.layers import rate_shares, repeated_layers
from lmtrain.training.job import Job
from lmtrain.training.loop import Trainer
from lmtrain.training.process import Process


def main() -> None:
    """Train on the case that the command line names."""
    case = Case.given()
    before = resident()
    config = ClassificationConfig(
        name="bench", data="bench", seed=case.seed, max_length=case.max_length, train_batch_size=case.batch,
        learning_rate=case.learning_rate, weight_decay=case.weight_decay, adam_beta2=0.999,
        lr_scheduler_type="linear", min_lr_ratio=0.0, warmup_ratio=0.1, num_train_epochs=case.epochs,
        precision="fp32", early_stopping_patience=None,
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(case.encoder)
    examples = [
        {"id": str(index), "text_pair": None, **example}
        for index, example in enumerate(case.split("train", case.examples))
    ]
    task = Classification.of(TaskSetting(config, tokenizer, "bert", examples))
    rows = ExampleRows(examples, task.encode)
    model = task_model(
        Path(case.encoder), config.task, "pretrained", case.seed, torch.device("cpu"), **task.settings()
    )
    resources = Resources(
        workers=1, threads_per_worker=case.threads, compile=False, micro_batch_size=case.batch,
        checkpoint_seconds=1e9,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        job = Job(
            model=model, layers=repeated_layers(model), objective=task, rows=rows, validation=None,
            bytes_per_target=None, config=config, steps=math.ceil(len(rows) * case.epochs / case.batch),
            checkpoints=f"{folder}/checkpoints", attempt="a", log_folder=Path(folder, "log"),
            flops_per_token=None, rate_shares=rate_shares(model, config.layer_rate_decay),
        )  # fmt: skip
        begun = time.perf_counter()
        Trainer(job, resources, Process()).run()
        seconds = time.perf_counter() - begun
    labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
    answer(case, seconds, before, model, tokenizer, labels)


if __name__ == "__main__":
    main()
