"""Two systems on one data set: how far apart they are, and whether chance could explain it."""

import pyarrow as pa
import pyarrow.parquet as pq

from lmtrain.errors import StageError
from lmtrain.manifest import Artifact
from lmtrain.statistics import Interval, paired_difference


def compare(
    scores_url_a: str, scores_url_b: str, metric: str, samples: int = 1000, seed: int = 0
) -> Interval:
    """Return how much higher a metric is in one system than in another, with a 95 % interval.

    Args:
        scores_url_a: manifest URL of one system's scores.
        scores_url_b: manifest URL of the other's.
        metric: a name in `lmtrain.metrics.METRICS`.
        samples: number of resamples.
        seed: seed of the draws.

    Raises:
        StageError: they were scored on different examples, or one of them lacks the metric.
    """
    a, b = Artifact(scores_url_a), Artifact(scores_url_b)
    for scores in (a, b):
        if metric not in scores.stats["metrics"]:
            known = ", ".join(scores.stats["metrics"])
            raise StageError(f"{scores.address.label} has no {metric}; it has {known}")
    return paired_difference(read_samples(a), read_samples(b), metric, samples, seed)


def read_samples(scores: Artifact) -> pa.Table:
    """Return the scored examples of a system, columns of `schemas.SAMPLES`."""
    return pa.concat_tables(pq.read_table(scores.open(record)) for record in scores.files("samples"))
