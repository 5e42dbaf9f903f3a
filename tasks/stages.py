"""The stages as Prefect tasks: each builds one artifact and shows in the page what came of it.

In: URLs of input manifests by role, the stage's config, a label, an absolute
root. Out: the URL of the artifact's manifest. What is there already isn't
built again; that is the manifest's doing, so Prefect's own cache is off.
"""

import json
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed

from lmtrain.config import Resources, StageConfig
from lmtrain.curation.config import ClassifierConfig, CurateConfig
from lmtrain.errors import LmtrainError
from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.finetuning.general_config import SearchConfig, TuningConfig
from lmtrain.importing.config import ImportConfig
from lmtrain.ingestion.config import IngestConfig, LabelConfig
from lmtrain.manifest import Artifact
from lmtrain.node import STAGES
from lmtrain.pretraining.config import PretrainConfig
from lmtrain.removals.config import RemovalsConfig
from lmtrain.reporting.config import ReportConfig
from lmtrain.tokenization.config import ShardsConfig, TokenizerConfig
from lmtrain.wordvectors.config import WordVectorsConfig
from tasks import figures
from tasks.retries import is_transient
from tasks.watch import SHOWN_CURVES, PrefectWatch

Inputs = dict[str, list[str]]
"""URLs of input manifests by role."""

SHOWN_OF_TRIALS = ("trial", "learning_rate", "train_batch_size", "validation_loss", "best_step", "ended")

StageTask = Callable[[Inputs, Any, str, str, Resources], str]


def stage_task(function: StageTask) -> Task[[Inputs, Any, str, str, Resources], str]:
    """Make a Prefect task of a stage.

    An error that is told to a person in one line fails the task in one line;
    any other keeps its traceback.
    """

    @wraps(function)
    def run(inputs: Inputs, config: Any, label: str, root: str, resources: Resources) -> str | State:
        try:
            return function(inputs, config, label, root, resources)
        except LmtrainError as error:
            return Failed(message=str(error), data=error)

    return task(
        run,  # pyright: ignore[reportArgumentType]: the caller of a task sees a failed state raised
        task_run_name=f"{function.__name__.replace('_', ' ')} {{label}}",
        cache_policy=NO_CACHE,  # the manifest is the cache; two would disagree
        persist_result=False,
        retries=2,
        retry_delay_seconds=[10, 60],
        retry_condition_fn=is_transient,  # a bad recipe is not worth a second try
    )


def build(
    inputs: Inputs, config: StageConfig, label: str, root: str, resources: Resources
) -> tuple[Artifact, PrefectWatch]:
    """Build a stage's artifact under a watch of the task run; return both."""
    watch = PrefectWatch(f"{config.stage.replace('_', ' ')} {label}")
    stage = import_module(STAGES[config.stage])
    try:
        artifact = Artifact(stage.build(inputs, config, root, resources, watch))
    finally:
        watch.close()
    watch.logger.info("%s: %s", artifact.address.kind, artifact.url)
    return artifact, watch


@stage_task
def list_removals(inputs: Inputs, config: RemovalsConfig, label: str, root: str, resources: Resources) -> str:
    """Take down which documents are to be removed."""
    removals, watch = build(inputs, config, label, root, resources)
    watch.logger.info("listed: %s", removals.stats)
    return removals.url


@stage_task
def import_model(inputs: Inputs, config: ImportConfig, label: str, root: str, resources: Resources) -> str:
    """Take in a model from a folder."""
    model, watch = build(inputs, config, label, root, resources)
    watch.logger.info("taken in: %s", model.stats)
    return model.url


@stage_task
def ingest(inputs: Inputs, config: IngestConfig, label: str, root: str, resources: Resources) -> str:
    """Read one source into documents, each with its source, address and license."""
    corpus, watch = build(inputs, config, label, root, resources)
    stats = corpus.stats
    rejected = sum(stats["rejected"].values())
    watch.logger.info("read %s records, kept %s, rejected %s", stats["read"], stats["kept"], rejected)
    return corpus.url


@stage_task
def label(inputs: Inputs, config: LabelConfig, label: str, root: str, resources: Resources) -> str:
    """Make one labelled set for fine-tuning."""
    labelled, watch = build(inputs, config, label, root, resources)
    rows = [{"split": split, **counts} for split, counts in labelled.stats["by_split"].items()]
    watch.show("splits", "table", json.dumps(rows), f"{label}: examples by split")
    return labelled.url


@stage_task
def train_classifier(
    inputs: Inputs, config: ClassifierConfig, label: str, root: str, resources: Resources
) -> str:
    """Train the quality classifier that curation filters by; show what each threshold would keep."""
    classifier, watch = build(inputs, config, label, root, resources)
    rows = json.dumps(classifier.stats["validation"])
    watch.show("thresholds", "table", rows, f"{label}: the validation split at each threshold")
    return classifier.url


@stage_task
def curate(inputs: Inputs, config: CurateConfig, label: str, root: str, resources: Resources) -> str:
    """Filter and deduplicate corpora; show the funnel and the reasons."""
    documents, watch = build(inputs, config, label, root, resources)
    funnel = figures.funnel_rows(documents.stats)
    watch.show("funnel", "table", json.dumps(funnel), "Documents left after each filter")
    dropped = figures.dropped_rows(documents.stats)
    watch.show("dropped", "table", json.dumps(dropped), "Documents dropped, by reason")
    return documents.url


@stage_task
def train_tokenizer(
    inputs: Inputs, config: TokenizerConfig, label: str, root: str, resources: Resources
) -> str:
    """Train a tokenizer on the documents' training split."""
    tokenizer, _ = build(inputs, config, label, root, resources)
    return tokenizer.url


@stage_task
def tokenize(inputs: Inputs, config: ShardsConfig, label: str, root: str, resources: Resources) -> str:
    """Write the documents as shards of tokens."""
    shards, watch = build(inputs, config, label, root, resources)
    rows = [{"split": split, **counts} for split, counts in shards.stats["by_split"].items()]
    watch.show("splits", "table", json.dumps(rows), "Tokens by split")
    return shards.url


@stage_task
def train_vectors(
    inputs: Inputs, config: WordVectorsConfig, label: str, root: str, resources: Resources
) -> str:
    """Train static vectors of words; show which words came to stand near each other."""
    vectors, watch = build(inputs, config, label, root, resources)
    rows = [{"word": row["word"], "nearest": ", ".join(row["near"])} for row in vectors.stats["near"]]
    watch.show("near", "table", json.dumps(rows), f"{label}: the nearest words of frequent ones")
    return vectors.url


@stage_task
def pretrain(inputs: Inputs, config: PretrainConfig, label: str, root: str, resources: Resources) -> str:
    """Train a model from scratch on the shards; show its curves."""
    return _train(inputs, config, label, root, resources)


@stage_task
def search(inputs: Inputs, config: SearchConfig, label: str, root: str, resources: Resources) -> str:
    """Try settings of a fine-tuning; show how each did."""
    found, watch = build(inputs, config, label, root, resources)
    rows = [{key: row[key] for key in SHOWN_OF_TRIALS} for row in _rows(found, "trials")]
    watch.show("trials", "table", json.dumps(rows), f"{label}: trials, of which the least loss is taken")
    return found.url


@stage_task
def finetune(inputs: Inputs, config: TuningConfig, label: str, root: str, resources: Resources) -> str:
    """Fine-tune a model on a labelled set; show its curves."""
    return _train(inputs, config, label, root, resources)


def _train(inputs: Inputs, config: StageConfig, label: str, root: str, resources: Resources) -> str:
    model, watch = build(inputs, config, label, root, resources)
    curves = figures.curves_of(_json_lines(model, "metrics"), SHOWN_CURVES)
    if curves:
        watch.draw(curves)
    return model.url


@stage_task
def evaluate(inputs: Inputs, config: EvaluateConfig, label: str, root: str, resources: Resources) -> str:
    """Score one system on one data set; show the scores with their intervals."""
    scores, watch = build(inputs, config, label, root, resources)
    rows = figures.score_rows(_scores(scores))
    watch.show("scores", "table", json.dumps(rows), f"{label}: scores with 95 % bootstrap intervals")
    return scores.url


@stage_task
def report(inputs: Inputs, config: ReportConfig, label: str, root: str, resources: Resources) -> str:
    """Write the report; show where it lies, and all scores side by side."""
    made, watch = build(inputs, config, label, root, resources)
    (page,) = made.files("report")
    place = f"{made.root}/{page.path}"
    rows = [row for url in inputs["scores"] for row in figures.score_rows(_scores(Artifact(url)))]
    told = f"# {config.name}\n\nThe report: [{place}]({_link(place)})\n\n{figures.markdown_table(rows)}"
    watch.show("report", "markdown", told, f"{config.name}: the report and all scores")
    return made.url


def _scores(artifact: Artifact) -> list[dict[str, Any]]:
    return _rows(artifact, "scores")


def _rows(artifact: Artifact, role: str) -> list[dict[str, Any]]:
    (record,) = artifact.files(role)
    return json.loads(artifact.open(record).read_text(encoding="utf-8"))


def _json_lines(artifact: Artifact, role: str) -> list[dict[str, Any]]:
    lines = [artifact.open(record).read_text(encoding="utf-8") for record in artifact.files(role)]
    return [json.loads(line) for text in lines for line in text.splitlines()]


def _link(place: str) -> str:
    return place if "://" in place else f"file://{place}"


TASKS = {
    stage.name: stage
    for stage in (
        list_removals,
        import_model,
        ingest,
        label,
        train_classifier,
        curate,
        train_tokenizer,
        tokenize,
        train_vectors,
        pretrain,
        search,
        finetune,
        evaluate,
        report,
    )
}
"""The task of each stage, by the stage's name."""
assert TASKS.keys() == STAGES.keys(), "every stage of the graph has its task"
