"""The report stage: everything that a run made, on one page to look at.

In: the line's manifests by role, any of which may be missing. Out: a `report`
artifact with `report.html` and its main figures as PNG files.
"""

from lmtrain.building import Attempt, Built, build_once
from lmtrain.config import Resources
from lmtrain.reporting import figures, page
from lmtrain.reporting.config import ReportConfig
from lmtrain.reporting.line import Line
from lmtrain.reporting.volumes import totals
from lmtrain.totals import BY_SOURCE_AND_LICENSE
from lmtrain.watch import Watch


def build(
    inputs: dict[str, list[str]], config: ReportConfig, root: str, resources: Resources, watch: Watch
) -> str:
    """Write the report and return the URL of its manifest.

    Args:
        inputs: manifest URLs by role: corpora, documents, labelled, classifier, tokenizer, shards,
            word_vectors, models, scores, removals.
        config: the title.
        root: where artifacts lie.
        resources: not used; a page is written by one process.
        watch: told when the page and each figure are done.

    Raises:
        CorruptArtifactError: an input isn't what its manifest says.
    """

    def work(attempt: Attempt) -> Built:
        return _write(Line.open(inputs), config.name, attempt, watch)

    return build_once(config, inputs, root, work)


def _write(line: Line, name: str, attempt: Attempt, watch: Watch) -> Built:
    gathered = page.gather(line, name)
    drawings = figures.drawings(gathered["corpus"], gathered["pretrainings"], gathered["results"])
    steps = len(drawings) + 1
    told = {BY_SOURCE_AND_LICENSE: given} if (given := totals(line)) else {}
    with attempt.shard("report") as output:
        html = page.render(gathered).encode()
        output.path("report.html").write_bytes(html)
        output.add("report.html", "report")
        watch.progress(1, steps, "figures")
        for done, (filename, draw) in enumerate(drawings.items(), start=2):
            figures.save(draw(), output.path(filename))
            output.add(filename, "figure")
            watch.progress(done, steps, "figures")
        output.stats.update(bytes=len(html), figures=len(drawings), artifacts=len(line.all), **told)
    result = attempt.finished("report")
    assert result is not None, "the report was just recorded"
    return Built(result.files, result.stats)
