"""The page itself: what was gathered, put into the template.

In: a line of artifacts and the name of the run. Out: one HTML document that
needs nothing beyond itself: style and figures stand in it, and a content
security policy forbids the rest.
"""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lmtrain.reporting import humanize, lineage, models, svg
from lmtrain.reporting.corpus import corpus_of
from lmtrain.reporting.labelled import labelled_sets
from lmtrain.reporting.lighter import lighter_models
from lmtrain.reporting.line import Line
from lmtrain.reporting.privacy import exposures
from lmtrain.reporting.results import predicted, results
from lmtrain.reporting.stage_graph import stage_graph

TOTAL_TITLES = {"language": "By language", "split": "By split"}


def environment() -> Environment:
    """Return the templates with their filters: escaping is on, and an unknown name is an error."""
    made = Environment(
        loader=PackageLoader("lmtrain.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        "count",
        "compact",
        "size",
        "duration",
        "share",
        "score",
        "signed",
        "plural",
        "words",
        "joined",
    ):
        made.filters[name] = getattr(humanize, name)
    for name in (
        "line_chart",
        "dot_chart",
        "length_histogram",
        "cluster_histogram",
        "interval_bar",
        "zero_line",
        "axis_labels",
    ):
        made.globals[name] = getattr(svg, name)
    made.globals["formats"] = {
        "documents": humanize.count,
        "bytes": humanize.size,
        "words": humanize.compact,
        "tokens": humanize.compact,
    }
    made.globals["stage_graph"] = stage_graph
    made.globals["exposures"] = exposures
    return made


def render(gathered: dict[str, Any]) -> str:
    """Return the page as HTML, of what `gather` returned."""
    return environment().get_template("report.html.j2").render(gathered)


def gather(line: Line, name: str) -> dict[str, Any]:
    """Gather all that the template shows; the figures draw from it too.

    Args:
        line: the artifacts; any role may be missing.
        name: the page's title.
    """
    scored = results(line)
    tokenizer, shards = line.first("tokenizer"), line.first("shards")
    times = [artifact.manifest for artifact in line.all]
    return {
        "name": name,
        "corpus": corpus_of(line),
        "labelled": labelled_sets(line),
        "tokenizer": tokenizer.stats if tokenizer else {},
        "shards": shards.stats if shards else {},
        "pretrainings": models.pretrainings(line),
        "word_vectors": models.word_vectors(line),
        "tunings": models.tunings(line),
        "generated": models.generated(line),
        "results": scored,
        "lighter": lighter_models(line),
        "predicted": [(result, predicted(line, result)) for result in scored],
        "made": lineage.made(line),
        "boxes": lineage.boxes(line, name),
        "recipe": lineage.recipe_text(line, name),
        "packages": lineage.packages(line),
        "total_titles": TOTAL_TITLES,
        "seconds": sum(manifest.seconds for manifest in times),
        "created_at": max((manifest.created_at for manifest in times), default=""),
        "sections": _sections(line),
    }


def _sections(line: Line) -> list[tuple[str, str]]:
    """Return anchor and title of each section that has something to show."""
    candidates = [
        ("scores", "Scores", line["scores"]),
        ("lighter", "Lighter models", line.scored_lighter),
        ("corpus", "Text", line["corpora"] or line["documents"]),
        ("dropped", "What was dropped", line["corpora"] or line["documents"]),
        ("training", "Training", line["models"] or line["word_vectors"]),
        ("samples", "Samples", line["scores"]),
        ("labels", "Labelled sets", line["labelled"]),
        ("lineage", "Lineage", line.all),
        ("again", "Run it again", line.all),
    ]
    return [(anchor, title) for anchor, title, there in candidates if there]
