"""`lmtrain`: a stage, a plan or an artifact from the command line, without Prefect.

Walks the same graph as the flows. Progress goes to stderr; the last line on
stdout says where the result lies. Ends with 2 and one line for whatever a
person can put right, with 130 after Ctrl-C.
"""

import logging
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click

from lmtrain import __version__, storage
from lmtrain.curation.config import CurateConfig
from lmtrain.curation.lists import read_unchanged
from lmtrain.display import describe
from lmtrain.errors import CancelledError, CorruptArtifactError, LmtrainError, RecipeError
from lmtrain.manifest import Artifact, is_hit
from lmtrain.model_verbs import compare, export, generate, manifest_url, predict
from lmtrain.node import Node, build, cluster_session, needed
from lmtrain.planning import Planned, look, plan_table, prepare
from lmtrain.recipe import load_recipe
from lmtrain.removals.config import ROLE as REMOVALS
from lmtrain.removals.entries import read_removals
from lmtrain.training_verbs import estimate, profile
from lmtrain.watch import TerminalWatch

VERBS = {
    "list-removals": (("list_removals",), "Take down which documents are to be removed."),
    "ingest": (("ingest",), "Read the recipe's sources into documents."),
    "curate": (("curate",), "Filter and deduplicate the documents."),
    "label": (("label",), "Make the labelled sets for fine-tuning."),
    "train-classifier": (("train_classifier",), "Train the quality classifier that curation filters by."),
    "tokenize": (("train_tokenizer", "tokenize"), "Train the tokenizer and write shards of tokens."),
    "train-vectors": (("train_vectors",), "Train the static vectors of words on the documents."),
    "pretrain": (("pretrain",), "Train the model from scratch."),
    "search": (("search",), "Search the settings of each fine-tuning that asks for it."),
    "finetune": (("finetune",), "Fine-tune on each task, from the model and from random weights."),
    "evaluate": (("evaluate",), "Score models and baselines."),
    "report": (("report",), "Write the report page."),
    "run": (("report",), "Make everything, from sources to the report."),
}
"""What each verb makes: the stages whose artifacts it is asked for, and its help."""

INTERRUPTED = 130


class OneLineErrors(click.Group):
    """Tells what a person can put right in one line, without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the line."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end with 2 after an error, with 130 after Ctrl-C."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, CancelledError):
            click.echo("\nlmtrain: stopped; the same command again goes on from here", err=True)
            ctx.exit(INTERRUPTED)
        except LmtrainError as error:
            click.echo(f"lmtrain: {' '.join(str(error).split())}", err=True)
            ctx.exit(2)


@click.group(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lmtrain")
def main() -> None:
    """From raw text to scored language models, one stage at a time or all at once.

    A stage also makes what it needs; what is there already isn't made again.
    """
    logging.basicConfig(level=logging.WARNING, format="  %(message)s")


RECIPE = click.argument("recipe", metavar="RECIPE")
ROOT = click.option("--root", metavar="URL", help="Where artifacts go, instead of the recipe's root.")


def make(recipe: str, root: str | None, verb: str) -> None:
    """Make what a verb asks for and all that it needs; print where it lies."""
    loaded = load_recipe(recipe, root=root)
    where, planned = prepare(loaded)
    stages, _ = VERBS[verb]
    targets = [line.node for line in planned if line.node.stage in stages]
    if not targets:
        raise RecipeError(f"{recipe}: there is nothing to {verb} in it")
    wanted = needed(targets)
    lines = [line for line in planned if line.node in wanted]
    for line in lines:
        if line.hit:
            click.echo(f"  there  {line.node.address.folder}", err=True)
    if not all(line.hit for line in lines):
        with cluster_session():
            for line in lines:
                if not line.hit:
                    _make_one(line, where, loaded.resources)
    for node in targets:
        click.echo(_result(node.address.url(where)))


def _make_one(line: Planned, root: str, resources: Any) -> None:
    node = line.node
    watch = TerminalWatch(f"{node.stage.replace('_', ' ')} {node.label}")
    started = time.monotonic()
    try:
        build(node, root, resources, watch)
    finally:
        watch.close()
    click.echo(f"  made   {node.address.folder} in {time.monotonic() - started:.1f} s", err=True)


def _result(url: str) -> str:
    """Return what a person opens: the page of a report, else the manifest."""
    artifact = Artifact(url)
    pages = artifact.files("report")
    return f"{artifact.address.kind}: {storage.join(artifact.root, pages[0].path) if pages else url}"


def _verb(name: str, help_text: str) -> Callable[..., None]:
    @main.command(name, help=help_text)
    @RECIPE
    @ROOT
    def command(recipe: str, root: str | None) -> None:
        make(recipe, root, name)

    return command


for _name, (_, _help) in VERBS.items():
    _verb(_name, _help)


@main.command()
@RECIPE
@ROOT
def plan(recipe: str, root: str | None) -> None:
    """Say what a run would make, where, and how much disk it may take."""
    where, planned = look(load_recipe(recipe, root=root))
    click.echo(plan_table(planned))
    click.echo(f"root: {where}")


main.add_command(estimate)
main.add_command(profile)
main.add_command(generate)
main.add_command(predict)
main.add_command(compare)
main.add_command(export)


@main.command()
@click.argument("manifest", metavar="MANIFEST")
@click.option(
    "--rows", default=3, show_default=True, type=click.IntRange(0), help="Sample rows of each role."
)
def show(manifest: str, rows: int) -> None:
    """Show an artifact: what it is, what it was made of, and what is in it.

    Of a model also which documents it had seen that were removed, by every removal list under its root.

    MANIFEST is the path or URL of a manifest.json, or of its folder.
    """
    url = manifest_url(manifest)
    if not storage.exists(url):
        raise CorruptArtifactError(f"no manifest at {url}")
    artifact = Artifact(url)
    for line in describe(artifact, rows):
        click.echo(line)
    if artifact.address.kind == "model":
        for line in import_module("lmtrain.seen").told(artifact):  # brings numba: not before it is needed
            click.echo(line)
    click.echo(f"manifest: {url}")


def _trained_classifier(curated: Node, root: str) -> Any:
    """Return the classifier that a curation goes by, or None if it goes by none.

    Raises:
        RecipeError: it isn't trained yet.
    """
    for node in curated.inputs.get("classifier", []):
        if not is_hit(root, node.address):
            raise RecipeError("the quality classifier isn't trained yet: lmtrain train-classifier RECIPE")
        return import_module("lmtrain.curation.classifier").open_classifier(node.address.url(root))
    return None


@main.command()
@RECIPE
@ROOT
@click.option("--text", help="The text to judge; - reads it from the standard input.")
@click.option("--id", "identity", help="The id of a document of the recipe's corpora, as ingested.")
def explain(recipe: str, root: str | None, text: str | None, identity: str | None) -> None:
    """Say what every filter computes for one document, and why it is kept or dropped."""
    if (text is None) == (identity is None):
        raise RecipeError("explain wants either --text or --id")
    loaded = load_recipe(recipe, root=root)
    where, planned = look(loaded)
    (curated,) = (line for line in planned if line.node.stage == "curate")
    explaining = import_module("lmtrain.curation.explain")  # brings numba: not before it is needed
    url = None
    if identity is not None:
        corpora = [Artifact(node.address.url(where)) for node in _made_corpora(curated.node, where)]
        found = explaining.find_document(corpora, identity)
        if found is None:
            raise RecipeError(f"no document {identity!r} in the corpora of {recipe}")
        text, url = found["text"], found["url"]
    elif text == "-":
        text = sys.stdin.read()
    config = curated.node.config
    assert isinstance(config, CurateConfig)
    classifier = _trained_classifier(curated.node, where)
    removals = read_removals(loaded.remove) if REMOVALS in curated.node.inputs else None
    documents = Artifact(curated.node.address.url(where)) if curated.hit else None
    cut = import_module("lmtrain.curation.share").cut_of(documents.stats) if documents else None
    lists = read_unchanged(config)
    rows = explaining.explain(text, config, lists, url, classifier, cut, removals, identity)
    decision = explaining.decision(rows)
    for line in explaining.table(rows):
        click.echo(line)
    click.echo(f"text hash: {explaining.text_hash(text).hex()}")
    click.echo(explaining.told(decision))
    if identity is not None:
        _explain_outcome(documents, identity, decision)


def _explain_outcome(documents: Artifact | None, identity: str, decision: Any) -> None:
    """Tell what became of a document where its corpora were curated."""
    explaining = import_module("lmtrain.curation.explain")
    if documents is None:
        click.echo("among copies: not known before lmtrain curate")
        return
    click.echo(f"among copies: {explaining.told_as_copy(documents, identity)}")
    removed = explaining.told_as_removed(documents, identity, decision)
    if removed:
        click.echo(removed)


def _made_corpora(curated: Node, root: str) -> list[Node]:
    """Return the corpora that a node is made of.

    Raises:
        RecipeError: one of them isn't there yet.
    """
    nodes = curated.inputs["corpora"]
    for node in nodes:
        if not is_hit(root, node.address):
            raise RecipeError(f"corpus {node.label} isn't there yet: make it with lmtrain ingest")
    return nodes


@main.command(name="text-hash")
@click.option("--text", help="The text; without it the standard input is read.")
def text_hash(text: str | None) -> None:
    """Print the hash of a text, as an entry of remove.text_hashes.

    It is the same for texts that differ in case, spacing or width of characters only.
    """
    hashing = import_module("lmtrain.text.hashing")  # brings numba: not before it is needed
    click.echo(hashing.text_hash(sys.stdin.read() if text is None else text).hex())
