"""A model and a labelled set to the settings that a fine-tuning takes: those of the best trial."""

import json
from collections import Counter
from typing import Any

from lmtrain.building import Attempt, Built, build_once
from lmtrain.config import Resources
from lmtrain.distributed.searching import Look, Rungs, Trial, search
from lmtrain.errors import StageError
from lmtrain.finetuning.general_config import SearchConfig
from lmtrain.finetuning.search import best_of, settings_of
from lmtrain.finetuning.stage import spec_of
from lmtrain.finetuning.worker import try_settings
from lmtrain.watch import Watch


def build(
    inputs: dict[str, list[str]], config: SearchConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Search; return the URL of the manifest, whose `stats` have the `settings` that did best.

    A search that was cut off goes on with the trials that hadn't ended. A fine-tuning on several workers
    adds up in another order than a trial does in its one process: at rates that are nearly too high it
    may come to another loss.

    Args:
        inputs: as of the fine-tuning.
        config: the fine-tuning, and the ranges.
        root: where artifacts lie.
        resources: `workers` trials run at once, each in one process.
        watch: told the trials that are done.

    Raises:
        StageError: a split has no usable example, or every trial diverged.
    """

    def work(attempt: Attempt) -> Built:
        settings = settings_of(config.training)
        asked = config.training.search
        trials = search(
            try_settings,
            {**spec_of(inputs, config.training), "attempt": attempt, "resources": resources},
            settings,
            Rungs(asked.grace_looks, asked.reduction_factor),
            resources,
            watch,
            known=_known(attempt, len(settings)),
            keep=lambda number, trial: _keep(attempt, number, trial),
        )
        return _written(attempt, config, _rows(settings, trials), watch)

    return build_once(config, inputs, root, work)


def _known(attempt: Attempt, total: int) -> dict[int, Trial]:
    """Return the trials that this attempt or an earlier one finished."""
    found = attempt.finished_among([_shard(number) for number in range(total)], "trials")
    stats = {number: done.stats for number in range(total) if (done := found[_shard(number)])}
    return {
        number: Trial([Look(*look) for look in told["looks"]], told["ended"])
        for number, told in stats.items()
    }


def _keep(attempt: Attempt, number: int, trial: Trial) -> None:
    with attempt.shard(_shard(number)) as output:
        output.stats = {"looks": trial.looks, "ended": trial.ended}


def _shard(number: int) -> str:
    return f"trials/{number:04d}"


def _rows(settings: list[dict[str, Any]], trials: list[Trial]) -> list[dict[str, Any]]:
    """Return a row for each trial; one that diverged, or never looked, has no loss."""
    rows = []
    for number, (own, trial) in enumerate(zip(settings, trials, strict=True)):
        counted = trial.looks if trial.ended != "diverged" else []
        best = min(counted, key=lambda look: look.validation_loss, default=None)
        rows.append(
            {
                "trial": number,
                **own,
                "ended": trial.ended,
                "validation_loss": best and best.validation_loss,
                "best_step": best and best.step,
                "looks": [look._asdict() for look in trial.looks],
            }
        )
    return rows


def _written(attempt: Attempt, config: SearchConfig, rows: list[dict[str, Any]], watch: Watch) -> Built:
    best = best_of([row["validation_loss"] for row in rows])
    name = config.training.name
    if best is None:
        raise StageError(f"{name}: every trial diverged: lower search.learning_rate")
    chosen = rows[best]
    settings = {field: chosen[field] for field in ("learning_rate", "train_batch_size", "eval_steps")}
    watch.log(
        -1,
        "",
        f"{name}: of {len(rows)} trials the best is number {best}: learning rate "
        f"{chosen['learning_rate']:g}, batches of {chosen['train_batch_size']}, validation loss "
        f"{chosen['validation_loss']:.4f} at step {chosen['best_step']}",
    )
    with attempt.shard("search") as output:
        text = json.dumps(rows, indent=1, allow_nan=False)
        output.path("search.json").write_text(text + "\n", encoding="utf-8")
        output.add("search.json", "trials", rows=len(rows))
        output.stats = {
            "task": config.task,
            "trials": len(rows),
            "ended": dict(Counter(row["ended"] for row in rows)),
            "settings": settings,
            "trial": best,
            "validation_loss": chosen["validation_loss"],
        }
    assert output.result is not None, "the shard was just recorded"
    return Built(output.result.files, output.result.stats)
