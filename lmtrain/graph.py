"""A recipe becomes nodes, once; the flows, the command line and `plan` all walk them.

ingest → curate → train_tokenizer → tokenize → pretrain → finetune → evaluate → report
               ↘ label ─────────────────────────────────↗
               ↘ train_vectors ────────────────────────↗

A quality classifier stands before curation: label → train_classifier → curate. A removal list
is an input of all that documents are read by, and moves no address before pretraining's.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeGuard

from lmtrain import storage
from lmtrain.config import Resources, StageConfig
from lmtrain.curation.config import ClassifierConfig, EarlierConfig
from lmtrain.curation.earlier import earlier_documents
from lmtrain.curation.lists import with_digest
from lmtrain.errors import RecipeError
from lmtrain.evaluation.config import (
    BASELINES,
    PROBED_LANGUAGES,
    WORD_VECTOR_TASKS,
    WORD_VECTORS,
    EvaluateConfig,
)
from lmtrain.finetuning.config import (
    FinetuneConfig,
    JointConfig,
    SearchConfig,
    TextToTextConfig,
    TuningConfig,
)
from lmtrain.importing.config import ImportConfig
from lmtrain.importing.listing import family_in, model_files, shape_of
from lmtrain.importing.listing import with_digest as import_with_digest
from lmtrain.ingestion.config import DocstringsSource, FilesSource, IngestConfig, LabelConfig
from lmtrain.ingestion.listing import list_docstrings, list_labelled_files, list_source_files
from lmtrain.manifest import Address, address_of, is_hit
from lmtrain.modeling.fitting import SEVERAL
from lmtrain.modeling.fitting import TASKS as TASK_FITS
from lmtrain.pretraining.config import PretrainConfig, language_modeling_task
from lmtrain.recipe import Recipe
from lmtrain.removals.config import ROLE as REMOVALS
from lmtrain.removals.entries import with_digest as removals_with_digest
from lmtrain.reporting.config import ReportConfig
from lmtrain.schemas import STARTS
from lmtrain.tokenization.config import TokenizerConfig, TokenizeSection
from lmtrain.tokenization.files import with_files_digest
from lmtrain.watch import Watch
from lmtrain.wordvectors.config import WordVectorsConfig

STAGES = {
    "list_removals": "lmtrain.removals.stage",
    "ingest": "lmtrain.ingestion.stage",
    "label": "lmtrain.ingestion.label_stage",
    "train_classifier": "lmtrain.curation.classifier_stage",
    "curate": "lmtrain.curation.stage",
    "train_tokenizer": "lmtrain.tokenization.tokenizer_stage",
    "tokenize": "lmtrain.tokenization.stage",
    "train_vectors": "lmtrain.wordvectors.stage",
    "import_model": "lmtrain.importing.stage",
    "pretrain": "lmtrain.pretraining.stage",
    "search": "lmtrain.finetuning.search_stage",
    "finetune": "lmtrain.finetuning.stage",
    "evaluate": "lmtrain.evaluation.stage",
    "report": "lmtrain.reporting.stage",
}
"""The module of each stage; its `build(inputs, config, root, resources, watch)` returns a manifest URL."""


@dataclass(eq=False)
class Node:
    """One artifact to be: what makes it, from which others.

    Attributes:
        config: the stage's config; names the stage.
        inputs: the nodes it needs, by role.
        source_bytes: size of what it reads from outside, for the estimate of disk.
        there: the address of an artifact that a recipe names and doesn't make; None of all others.
    """

    config: StageConfig
    inputs: dict[str, list["Node"]] = field(default_factory=dict)
    source_bytes: int = 0
    there: Address | None = None

    def __post_init__(self) -> None:
        given = {role: [node.address for node in nodes] for role, nodes in self.inputs.items()}
        self.address: Address = self.there or address_of(self.config, given)

    @property
    def stage(self) -> str:
        """The stage's verb."""
        return self.config.stage

    @property
    def label(self) -> str:
        """The artifact's readable name."""
        return self.address.label

    def input_urls(self, root: str) -> dict[str, list[str]]:
        """Return the URLs of the manifests that it is made from, by role."""
        return {role: [given.address.url(root) for given in nodes] for role, nodes in self.inputs.items()}


def open_line(recipe: Recipe) -> tuple[str, list[Node]]:
    """Check all that can be checked before compute is spent.

    Returns:
        The absolute root, and the nodes of the recipe.

    Raises:
        ResourceError: more workers, or threads, than CPUs.
        SourceError: a source is missing, unreadable or empty.
        RecipeError: the root can't be written, or a package is missing.
        StorageError: the root's server doesn't answer.
    """
    check_resources(recipe.resources)
    recipe.evaluate.lighter.check()
    root = absolute_root(recipe.root)
    nodes = nodes_of(recipe)
    storage.check_writable(root)
    return root, nodes


def nodes_of(recipe: Recipe) -> list[Node]:
    """Resolve the recipe's sources and return all its nodes, each after those that it needs.

    Raises:
        RecipeError: earlier documents aren't there, or can't be compared with.
        SourceError: a source, or a list, is missing, unreadable or empty.
        StorageError: the server of a root with earlier documents doesn't answer.
    """
    removals = _removals(recipe)
    labelled = _labels_of_files(recipe)
    start = _imported(recipe)
    made: dict[str, list[Node]] = {"models": [start] if start else [], **removals}
    model, scores = start, []
    vectors: list[Node] = []
    if recipe.ingest.sources:
        line = _pretraining(recipe, start, labelled, removals)
        made |= line
        model, documents = line["models"][-1], line["documents"][0]
        labelled |= _labels_of_docstrings(recipe, documents)
        vectors = [Node(config, {"documents": [documents], **removals}) for config in recipe.word_vectors]
        task = language_modeling_task(recipe.pretrain)
        if task is not None:
            shards = line["shards"][0]
            scores = _scores(recipe, task, documents.label, shards, [model], removals)
            if _language(recipe) in PROBED_LANGUAGES:
                scores += _scores(recipe, "bias", "occupations", shards, [model], removals)
        if recipe.tokenize.canaries.repetitions:
            scores += _scores(recipe, "memorization", "canaries", line["shards"][0], [model], removals)
    assert model is not None, "a recipe begins with documents or with a model"
    tuned: list[Node] = []
    searches: list[Node] = []
    for config in recipe.finetune.all():
        data = labelled[config.data]
        inputs = {"model": [model], "labelled": [data], **removals}
        found = _searches(config, inputs) if config in recipe.finetune.trained_alone() else {}
        searches += found.values()
        trained = [
            Node(training, {**inputs, **({"search": [found[training.initial]]} if found else {})})
            for training in config.trainings()
            if config in recipe.finetune.trained_alone()
        ]
        tuned += trained
        longest = config.max_target_length if _writes(config) else None
        as_it_is = [model] if TASK_FITS[config.task].head == "bare" else []  # it has vectors without training
        systems = [*trained, *as_it_is, *_serving(vectors, config.task)]
        scores += _scores(recipe, config.task, config.data, data, systems, removals, longest)
    for nodes, scored in _of_several_tasks(recipe, model, labelled, removals):
        tuned, scores = [*tuned, *nodes], [*scores, *scored]
    for alias, task in recipe.sets_of_word_vectors().items():
        scores += _scores(recipe, task, alias, labelled[alias], _serving(vectors, task), removals)
    made["models"] = [*made["models"], *tuned]
    if vectors:
        made[WORD_VECTORS] = vectors
    made |= {"labelled": list(labelled.values()), "scores": scores}
    made |= {"searches": searches} if searches else {}
    return needed([Node(ReportConfig(name=recipe.name), made)])


def _of_several_tasks(
    recipe: Recipe, model: Node, labelled: dict[str, Node], removals: dict[str, list[Node]]
) -> Iterator[tuple[list[Node], list[Node]]]:
    """Yield the models of each fine-tuning for several tasks, and their scores on every set of theirs.

    A set that a fine-tuning for one task has, too, has its baselines there.
    """
    compared = {config.data for config in recipe.finetune.all()}
    for config in recipe.several():
        sets = [labelled[part.data] for part in config.parts()]
        inputs = {"model": [model], "labelled": sets, **removals}
        trained = [Node(training, inputs) for training in config.trainings()]
        scores = []
        for part, data in zip(config.parts(), sets, strict=True):
            longest = part.max_target_length
            found = _scores(recipe, part.task, part.data, data, trained, removals, longest, part.name)
            scores += found[: len(trained)] if part.data in compared else found
            compared.add(part.data)
        yield trained, scores


def _pretraining(
    recipe: Recipe, start: Node | None, labelled: dict[str, Node], removals: dict[str, list[Node]]
) -> dict[str, list[Node]]:
    """Return the nodes from the sources to the pretrained model, by role."""
    corpora = [_ingest(recipe, source) for source in recipe.ingest.sources]
    classifier = _classifier(recipe, labelled)
    compared = _compared(recipe, labelled)
    curated = {"corpora": corpora, **classifier, **compared, **removals}
    documents = Node(with_digest(recipe.curate), curated)
    tokenize = _tokenize(recipe)
    tokenizer = Node(with_files_digest(tokenize.tokenizer()), {"documents": [documents]})
    shards = Node(tokenize.shards(), {"documents": [documents], "tokenizer": [tokenizer]})
    given = {"model": [start]} if start else {}
    if recipe.teacher.path:
        given["teacher"] = [_taken_in(recipe.teacher)]
    model = Node(recipe.pretrain, {"shards": [shards], "tokenizer": [tokenizer], **given, **removals})
    return {
        "corpora": corpora,
        "documents": [documents],
        **classifier,
        "tokenizer": [tokenizer],
        "shards": [shards],
        "models": [*([start] if start else []), model],
    }


def _imported(recipe: Recipe) -> Node | None:
    """Return the model that the recipe begins with, if any.

    Raises:
        RecipeError: it holds no model that can be loaded safely, or of another family than is to be trained.
        SourceError: it can't be read.
    """
    if not recipe.model.path:
        return None
    config = recipe.model
    family = family_in(shape_of(config.path))
    if recipe.ingest.sources and recipe.pretrain.architecture != family:
        raise RecipeError(
            f"pretrain.architecture is {recipe.pretrain.architecture}, but {config.path} is a {family}: "
            f"set it to {family}"
        )
    for given in recipe.finetune.all():
        families = TASK_FITS[given.task].families
        if family not in families:
            raise RecipeError(
                f"finetune {given.name}: {given.task} isn't for {family}; it is for {', '.join(families)}"
            )
    for given in recipe.finetune.several():
        families, _ = SEVERAL[given.task]
        if family not in families:
            raise RecipeError(
                f"finetune {given.name}: {given.task} isn't for {family}; it is for {', '.join(families)}"
            )
    return _taken_in(config)


def _taken_in(config: ImportConfig) -> Node:
    """Return the node of a model from elsewhere."""
    size = sum(file.bytes for file in model_files(config.path))
    return Node(import_with_digest(config), source_bytes=size)


def _tokenize(recipe: Recipe) -> TokenizeSection:
    """Return how documents are tokenized: as a given model does, unless the recipe says how."""
    there = recipe.model.path or recipe.teacher.path
    if not there or recipe.tokenize.existing:
        return recipe.tokenize
    starts = {name: getattr(recipe.tokenize, name) for name in ("shard_tokens", *STARTS, "canaries")}
    return TokenizeSection(existing=there, **starts)


def _searches(config: FinetuneConfig, inputs: dict[str, list[Node]]) -> dict[str, Node]:
    """Return the search for the settings of a fine-tuning from each start; nothing if it asks for none."""
    if not config.search.trials:
        return {}
    return {
        training.initial: Node(SearchConfig(task=config.task, training=training), inputs)
        for training in config.trainings()
        if not training.repetition  # other seeds take what the first one's search finds
    }


def _writes(config: FinetuneConfig) -> TypeGuard[TextToTextConfig]:
    return isinstance(config, TextToTextConfig)


def _serving(vectors: list[Node], task: str) -> list[Node]:
    """Return the static vectors if they can serve a task."""
    return vectors if task in WORD_VECTOR_TASKS else []


def _scores(
    recipe: Recipe,
    task: str,
    dataset: str,
    data: Node,
    systems: list[Node],
    removals: dict[str, list[Node]],
    max_target_length: int | None = None,
    part: str = "",
) -> list[Node]:
    """Return a node for each model (or the part of it that is for the task), all vectors, each baseline."""
    section = recipe.evaluate.model_dump(exclude={"language", "lighter"})
    language = _language(recipe)
    longest = {} if max_target_length is None else {"max_target_length": max_target_length}
    common = {**section, "task": task, "dataset": dataset, "language": language, **longest}
    of_systems = [
        Node(_asked(common, made, part), {"data": [data], "system": [made], **removals}) for made in systems
    ]
    of_systems += [
        Node(EvaluateConfig(**common, system="model", part=part, lighter=lighter), node.inputs)
        for node, made in zip(of_systems, systems, strict=True)
        for lighter in recipe.evaluate.lighter.each()
        if task not in ("bias", "memorization") and _is_worth_its_weight(made)
    ]
    return of_systems + [
        Node(EvaluateConfig(**common, system=name), {"data": [data], **removals}) for name in BASELINES[task]
    ]


def _asked(common: dict[str, Any], system: Node, part: str) -> EvaluateConfig:
    """Return what is asked of a system: of static vectors, of a model, or of its part for the task."""
    if system.address.kind == WORD_VECTORS:
        return EvaluateConfig(**common, system=WORD_VECTORS)
    return EvaluateConfig(**common, system="model", part=part)


def _is_worth_its_weight(model: Node) -> bool:
    """Tell whether lighter versions are of use: not of vectors, of a control, of a second seed."""
    config = model.config
    if isinstance(config, TuningConfig):
        return config.initial == "pretrained" and not config.repetition
    return model.address.kind == PretrainConfig.kind


def _language(recipe: Recipe) -> str:
    return recipe.evaluate.language or recipe.curate.language or "en"


def _ingest(recipe: Recipe, source: DocstringsSource | FilesSource) -> Node:
    if isinstance(source, DocstringsSource):
        listing = list_docstrings(source)
        config = IngestConfig(docstrings=source, listing=listing.digest, split=recipe.split)
    else:
        listing = list_source_files(source)
        config = IngestConfig(files=source, listing=listing.digest, split=recipe.split)
    return Node(config, source_bytes=listing.bytes)


def _labels_of_docstrings(recipe: Recipe, documents: Node) -> dict[str, Node]:
    labelled = {}
    for given in recipe.label.docstrings:
        source = given.source or recipe.ingest.docstrings[0].alias
        config = LabelConfig(docstrings=given.model_copy(update={"source": source}), split=recipe.split)
        labelled[given.alias] = Node(config, {"documents": [documents]})
    return labelled


def _labels_of_files(recipe: Recipe) -> dict[str, Node]:
    labelled = {}
    for given in recipe.label.files:
        listing = list_labelled_files(given)
        config = LabelConfig(files=given, listing=listing.digest, split=recipe.split)
        labelled[given.alias] = Node(config, source_bytes=listing.bytes)
    return labelled


def _removals(recipe: Recipe) -> dict[str, list[Node]]:
    """Return the removal list as an input by its role; nothing if the recipe lists nothing."""
    config = removals_with_digest(recipe.remove)
    return {REMOVALS: [Node(config)]} if config.digest else {}


def _compared(recipe: Recipe, labelled: dict[str, Node]) -> dict[str, list[Node]]:
    """Return what curation compares documents with, by role."""
    root = absolute_root(recipe.root)
    roles = {
        "evaluation": [labelled[alias] for alias in recipe.curate.decontaminate],
        "earlier": [
            Node(EarlierConfig(), there=address) for address in earlier_documents(recipe.curate, root)
        ],
    }
    return {role: nodes for role, nodes in roles.items() if nodes}


def _classifier(recipe: Recipe, labelled: dict[str, Node]) -> dict[str, list[Node]]:
    """Return the quality classifier as an input by its role; nothing if the recipe has none."""
    data = recipe.classifier.data
    if data is None:
        return {}
    return {"classifier": [Node(recipe.classifier, {"labelled": [labelled[data]]})]}


def needed(targets: Iterable[Node]) -> list[Node]:
    """Return the targets and all that they need, each after what it needs, once."""
    ordered: dict[int, Node] = {}

    def visit(node: Node) -> None:
        if id(node) not in ordered:
            for nodes in node.inputs.values():
                for given in nodes:
                    visit(given)
            ordered[id(node)] = node

    for target in targets:
        visit(target)
    return list(ordered.values())


def build(node: Node, root: str, resources: Resources, watch: Watch) -> str:
    """Build one node, whose inputs are there, and return the URL of its manifest."""
    stage = import_module(STAGES[node.stage])
    return stage.build(node.input_urls(root), node.config, root, resources, watch)


def cluster_session() -> AbstractContextManager[None]:
    """Return the context that work runs in: a Ray cluster begun within it is stopped at its end.

    Imported on call, because plans and hits need no Ray.
    """
    return import_module("lmtrain.distributed.cluster").session()


@dataclass(frozen=True)
class Planned:
    """One line of a plan: a node, whether it is there already, and how much disk it may take."""

    node: Node
    hit: bool
    disk_bytes: int


def plan(nodes: Iterable[Node], root: str) -> list[Planned]:
    """Tell for each node whether it is there, and estimate the disk of those that aren't."""
    return [
        Planned(node, node.there is not None or is_hit(root, node.address), _estimate_disk(node))
        for node in nodes
    ]


DISK_SHARES = {"ingest": 0.25, "label": 0.1, "curate": 0.25, "tokenize": 0.5}
"""Disk of an artifact as a share of the bytes of text that it is made from: rough, seen on real runs."""


def _estimate_disk(node: Node) -> int:
    if node.stage in DISK_SHARES:
        return int(_source_bytes(node) * DISK_SHARES[node.stage])
    if node.stage == "pretrain":
        return _parameters(node) * 4 * 4  # weights, and a checkpoint of weights with optimizer state
    if node.stage == "finetune":
        models = len(node.config.members) if isinstance(node.config, JointConfig) else 1
        return models * _weights_bytes(node.inputs["model"][0])
    if node.stage == "import_model":
        return node.source_bytes
    if isinstance(node.config, WordVectorsConfig):
        return node.config.most_bytes
    if isinstance(node.config, ClassifierConfig):
        return 4 << node.config.bucket_bits
    return 1_000_000


def _source_bytes(node: Node) -> int:
    """Return the bytes from outside that a node comes from; the largest role has them all."""
    by_role = (sum(_source_bytes(given) for given in nodes) for nodes in node.inputs.values())
    return node.source_bytes + max(by_role, default=0)


def _weights_bytes(model: Node) -> int:
    """Return the size of a model's weights: as they are, or as they will be."""
    return model.source_bytes or _parameters(model) * 4


def _parameters(model: Node) -> int:
    assert isinstance(model.config, PretrainConfig)
    tokenizer = model.inputs["tokenizer"][0].config
    assert isinstance(tokenizer, TokenizerConfig)
    return model.config.parameters(tokenizer.vocab_size)


def check_resources(resources: Resources) -> None:
    """Refuse, before anything is started, what this machine can't give.

    Where RAY_ADDRESS names a cluster, the cluster is asked once the first stage connects.

    Raises:
        ResourceError: more workers, or threads, than CPUs.
    """
    if os.environ.get("RAY_ADDRESS", "local") != "local":
        return
    resources.check(os.cpu_count() or 1, "this machine")


def absolute_root(root: str) -> str:
    """Return the root as an absolute path or URL: workers run in other folders."""
    return storage.resolve(root)
