"""A recipe becomes nodes, once; the flows, the command line and `plan` all walk them.

ingest → curate → train_tokenizer → tokenize → pretrain → finetune → evaluate → report
               ↘ label ─────────────────────────────────↗
               ↘ train_vectors ────────────────────────↗

A quality classifier stands before curation: label → train_classifier → curate. A removal list
is an input of all that documents are read by, and moves no address before pretraining's.
"""

from collections.abc import Iterator
from typing import Any, TypeGuard

from lmtrain import storage
from lmtrain.curation.config import EarlierConfig
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
from lmtrain.finetuning.config import TextToTextConfig
from lmtrain.finetuning.general_config import FinetuneConfig, SearchConfig, TuningConfig
from lmtrain.importing.config import ImportConfig
from lmtrain.importing.listing import family_in, model_files, shape_of
from lmtrain.importing.listing import with_digest as import_with_digest
from lmtrain.ingestion.config import DocstringsSource, FilesSource, IngestConfig, LabelConfig
from lmtrain.ingestion.listing import list_docstrings, list_labelled_files, list_source_files
from lmtrain.modeling.fitting import SEVERAL
from lmtrain.modeling.fitting import TASKS as TASK_FITS
from lmtrain.node import Node, needed
from lmtrain.pretraining.config import PretrainConfig, language_modeling_task
from lmtrain.recipe import Recipe
from lmtrain.removals.config import ROLE as REMOVALS
from lmtrain.removals.entries import with_digest as removals_with_digest
from lmtrain.reporting.config import ReportConfig
from lmtrain.schemas import STARTS
from lmtrain.tokenization.config import TokenizeSection
from lmtrain.tokenization.files import with_files_digest


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
    root = storage.resolve(recipe.root)
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
