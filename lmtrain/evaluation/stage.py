"""The stage `evaluate`: one system on one data set becomes scores with intervals.

In come a data set (shards or a labelled set) and a model, static vectors or the
name of a baseline; out come `scores.json`, a row for each metric, `samples.parquet`, a
row for each example with the statistics that all metrics follow from, for a
language model `generated.json`, and where examples have an attribute `attributes.json`.
It runs in the calling process: on the sizes that it is for, starting a worker would
take longer than scoring.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from lmtrain.building import Attempt, Built, ShardOutput, build_once
from lmtrain.config import Resources
from lmtrain.errors import RecipeError
from lmtrain.evaluation import (
    bias,
    classification,
    language_modeling,
    masked_language_modeling,
    memorization,
    question_answering,
    text_to_text,
    token_classification,
    told,
    vectors,
)
from lmtrain.evaluation.attributes import scores_by_attribute
from lmtrain.evaluation.config import BASELINES, WORD_VECTOR_TASKS, WORD_VECTORS, EvaluateConfig
from lmtrain.evaluation.context import Context
from lmtrain.evaluation.models import choose_device, threads_of
from lmtrain.evaluation.scored import Scored
from lmtrain.manifest import Artifact
from lmtrain.metrics import metrics_of
from lmtrain.removals.resolving import removals_of, removed_ids
from lmtrain.schemas import SAMPLES
from lmtrain.statistics import Interval, bootstrap_interval
from lmtrain.watch import Watch

MODELS: dict[str, Callable[[Artifact, Artifact, Context], Scored]] = {
    "language_modeling": language_modeling.score_model,
    "masked_language_modeling": masked_language_modeling.score_model,
    "classification": classification.score_model,
    "multi_label": classification.score_model,
    "token_classification": token_classification.score_model,
    "question_answering": question_answering.score_model,
    **dict.fromkeys(
        ("generative_qa", "summarization", "translation", "generation", "dialogue"), text_to_text.score_model
    ),
    "similarity": vectors.score_model,
    "retrieval": vectors.score_model,
    "bias": bias.score_model,
    "memorization": memorization.score_model,
}
"""How a model is scored, by task."""

WORD_VECTOR_SCORERS: dict[str, Callable[[Artifact, Artifact, Context], Scored]] = {
    "classification": classification.score_word_vectors,
    "multi_label": classification.score_word_vectors,
    "token_classification": token_classification.score_word_vectors,
    "similarity": vectors.score_word_vectors,
    "retrieval": vectors.score_word_vectors,
}
"""How static vectors are scored, by task."""

BASELINE_SCORERS: dict[str, dict[str, Callable[[Artifact, Context], Scored]]] = {
    "language_modeling": {"bigram": language_modeling.score_bigram, "xz": language_modeling.score_xz},
    "masked_language_modeling": {"frequencies": masked_language_modeling.score_frequencies},
    "classification": {"majority": classification.score_majority, "tfidf": classification.score_tfidf},
    "multi_label": {"majority": classification.score_majority, "tfidf": classification.score_tfidf},
    "token_classification": {"most_frequent": token_classification.score_most_frequent},
    "question_answering": {
        "no_answer": question_answering.score_no_answer,
        "nearest_sentence": question_answering.score_nearest_sentence,
    },
    "generative_qa": {"nearest_sentence": text_to_text.score_nearest_sentence},
    "summarization": {"first_sentence": text_to_text.score_first_sentence},
    "translation": {"copy": text_to_text.score_copy},
    "generation": {"copy": text_to_text.score_copy},
    "dialogue": {"copy": text_to_text.score_copy},
    "similarity": {"tfidf_cosine": vectors.score_tfidf_cosine},
    "retrieval": {"tfidf_cosine": vectors.score_tfidf_cosine},
    "bias": {},
    "memorization": {},
}
"""How each baseline of `config.BASELINES` is scored, by task."""

SHARD = "scores"
ROWS_PER_GROUP = 4096
DIGITS = 10
"""Significant digits in scores.json: what lies beyond differs with the order of additions."""


def build(
    inputs: dict[str, list[str]], config: EvaluateConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Score one system on one data set; return the URL of the scores' manifest.

    Args:
        inputs: `data`, the shards or labelled set; `system`, the model or the static vectors, unless it
            is a baseline; `removals`, if any, what is listed for removal: it is left out for every system
            alike.
        config: what is scored, and how.
        root: where artifacts lie.
        resources: threads and device; they change no score beyond rounding.
        watch: told the examples that are done.

    Raises:
        RecipeError: the task has no such baseline, or static vectors can't serve it.
        StageError: there is nothing to score, or the model doesn't fit the task.
    """
    system = inputs.get("system") or []
    if not system and config.system not in BASELINES[config.task]:
        known = ", ".join(BASELINES[config.task])
        raise RecipeError(f"{config.task} has no baseline {config.system!r}; there are: {known}")
    if config.system == WORD_VECTORS and config.task not in WORD_VECTOR_TASKS:
        raise RecipeError(
            f"static vectors can't serve {config.task}; they can: {', '.join(WORD_VECTOR_TASKS)}"
        )

    def work(attempt: Attempt) -> Built:
        done = attempt.finished(SHARD)
        if done is None:
            with attempt.shard(SHARD) as output:
                _score(inputs, config, resources, watch, output)
            done = output.result
        assert done is not None, "the shard was just recorded"
        return Built(done.files, done.stats)

    return build_once(config, inputs, root, work)


def _score(
    inputs: dict[str, list[str]],
    config: EvaluateConfig,
    resources: Resources,
    watch: Watch,
    output: ShardOutput,
) -> None:
    started = time.monotonic()
    data = Artifact(inputs["data"][0])
    system = Artifact(inputs["system"][0]) if inputs.get("system") else None
    lighter = config.lighter.name
    device = torch.device("cpu") if lighter else choose_device(resources)  # lighter for want of a GPU
    threads = threads_of(resources) if device.type == "cpu" else 1
    context = Context(config, device, watch, threads, removed_ids(removals_of(inputs), data))
    if system is None:
        scored = BASELINE_SCORERS[config.task][config.system](data, context)
    else:
        scored = _scorer(config, system)(data, system, context)
    rows = _rows(scored, config, system)
    _write(scored, rows, output)
    told = (config.task, rows[0]["metric"], config.bootstrap_samples, config.seed)
    if by_attribute := scores_by_attribute(scored, *told):
        _write_json(by_attribute, "attributes.json", "attributes", output)
    headline = {key: rows[0][key] for key in ("metric", "value", "low", "high")}
    output.stats = {
        "headline": headline,
        "metrics": [row["metric"] for row in rows],
        "samples": len(scored.ids),
        "groups": len(set(scored.groups)),
        **scored.stats,
        **_guarantee(system),
        **context.gained(),
        "seconds_scoring": round(time.monotonic() - started, 2),
    }


def _scorer(config: EvaluateConfig, system: Artifact) -> Callable[[Artifact, Artifact, Context], Scored]:
    """Return how a system is scored: a model to which all tasks are told as text, by what it writes."""
    if system.address.kind == WORD_VECTORS:
        return WORD_VECTOR_SCORERS[config.task]
    return told.score_model if system.stats.get("task") == "text_to_text" else MODELS[config.task]


def _rows(scored: Scored, config: EvaluateConfig, system: Artifact | None) -> list[dict[str, Any]]:
    """Return a row for each metric, the headline's first."""
    rows, guarantee = [], _guarantee(system)
    for metric in (metric.name for metric in metrics_of(config.task)):
        if metric not in scored.signatures:
            continue
        interval = bootstrap_interval(
            metric, scored.statistics, list(scored.groups), config.bootstrap_samples, config.seed
        )
        rows.append(
            {
                "system": _system_name(config, system),
                "model_digest": system.address.digest if system else None,
                "task": config.task,
                "language": config.tokens_of,
                "dataset": config.dataset,
                "split": "test",
                "metric": metric,
                "signature": scored.signatures[metric],
                **_rounded(interval),
                "samples": len(scored.ids),
                "seed": config.seed,
                **guarantee,
            }
        )
    return rows


def _guarantee(system: Artifact | None) -> dict[str, float]:
    """Return epsilon and delta of a model that was trained under differential privacy; nothing of others."""
    spent = system.stats.get("differential_privacy", {}) if system else {}
    return {name: spent[name] for name in ("epsilon", "delta") if name in spent}


def _system_name(config: EvaluateConfig, system: Artifact | None) -> str:
    """Return a baseline's name or a model's label, `first-pretrained-int8` of a lighter one."""
    name = system.address.label if system else config.system
    return "-".join(part for part in (name, config.lighter.name) if part)


def _rounded(interval: Interval) -> dict[str, float]:
    return {name: float(f"{value:.{DIGITS}g}") for name, value in interval._asdict().items()}


def _write(scored: Scored, rows: list[dict[str, Any]], output: ShardOutput) -> None:
    _write_json(rows, "scores.json", "scores", output)
    table = pa.table(
        {
            "example_id": list(scored.ids),
            "group": list(scored.groups),
            "prediction": pa.array(scored.predictions, pa.large_string()),
            "statistics": scored.statistics.tolist(),
        },
        schema=SAMPLES,
    )
    path = output.path("samples.parquet")
    pq.write_table(table, path, compression="zstd", row_group_size=ROWS_PER_GROUP)
    output.add("samples.parquet", "samples", rows=table.num_rows)
    if scored.generated is not None:
        _write_json(scored.generated, "generated.json", "generated", output)


def _write_json(rows: list[dict[str, Any]], name: str, role: str, output: ShardOutput) -> None:
    text = json.dumps(rows, ensure_ascii=False, indent=1, allow_nan=False)
    output.path(name).write_text(text + "\n", encoding="utf-8")
    output.add(name, role, rows=len(rows))
