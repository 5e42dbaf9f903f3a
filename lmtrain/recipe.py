"""A recipe: the whole line in one file, composed of the stages' configs.

The same model checks the YAML file, the form of the Prefect page and a call
from Python.
"""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from lmtrain.config import UNADDRESSED, Config, Resources, SplitConfig
from lmtrain.curation.config import ClassifierConfig, CurateConfig
from lmtrain.curation.presets import QUALITY
from lmtrain.errors import RecipeError
from lmtrain.evaluation.config import WORD_VECTOR_TASKS, EvaluateSection
from lmtrain.finetuning.config import FinetuneSection
from lmtrain.finetuning.several_config import SeveralConfig
from lmtrain.importing.config import ImportConfig
from lmtrain.ingestion.config import IngestSection, LabelSection
from lmtrain.modeling.fitting import OBJECTIVES, SEVERAL, TASKS
from lmtrain.modeling.sizes import RECURRENT
from lmtrain.pretraining.config import PretrainConfig, language_modeling_task
from lmtrain.removals.config import RemovalsConfig
from lmtrain.tokenization.config import TokenizeSection
from lmtrain.wordvectors.config import WordVectorsConfig


class Recipe(Config):
    """What a run makes: from sources to a report. A part that is left out has its defaults."""

    name: str = Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$", description="Title of the run and of its report."
    )
    root: Annotated[str, UNADDRESSED] = Field(
        default="runs", min_length=1, description="Where artifacts go: a folder, or s3://bucket/prefix."
    )
    split: SplitConfig = SplitConfig()
    model: ImportConfig = Field(
        default=ImportConfig(),
        description="A model to begin with: pretraining goes on from it; without `ingest` it is fine-tuned.",
    )
    teacher: ImportConfig = Field(
        default=ImportConfig(), description="With pretrain.objective distillation: the model that teaches."
    )
    ingest: IngestSection = IngestSection()
    label: LabelSection = LabelSection()
    classifier: ClassifierConfig = ClassifierConfig()
    remove: RemovalsConfig = RemovalsConfig()
    curate: CurateConfig = CurateConfig()
    tokenize: TokenizeSection = TokenizeSection()
    word_vectors: list[WordVectorsConfig] = Field(
        default=[],
        description="Static vectors to train on the documents; each is a system of every labelled set that "
        "it can serve.",
    )
    pretrain: PretrainConfig = PretrainConfig()
    finetune: FinetuneSection = FinetuneSection()
    evaluate: EvaluateSection = EvaluateSection()
    resources: Annotated[Resources, UNADDRESSED] = Resources()

    @model_validator(mode="after")
    def _begins_with_something(self) -> "Recipe":
        if not self.ingest.sources and not self.model.path:
            raise ValueError(
                "ingest: name at least one source under docstrings or files, or a model under model.path"
            )
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> "Recipe":
        tasks = self._labelled_tasks()
        names = [given.name for given in [*self.finetune.all(), *self.finetune.several()]]
        if len(set(names)) < len(names):
            raise ValueError("finetune: every name must be different")
        for given in self.finetune.all():
            if given.data not in tasks:
                known = ", ".join(sorted(tasks)) or "none"
                raise ValueError(
                    f"finetune {given.name}: no labelled set {given.data!r} (there are: {known})"
                )
            if tasks[given.data] != given.task:
                found = tasks[given.data]
                raise ValueError(f"finetune {given.name}: {given.data!r} is for {found}, not {given.task}")
            if not self.ingest.sources:
                continue
            families = TASKS[given.task].families
            if self.pretrain.architecture not in families:
                raise ValueError(
                    f"finetune {given.name}: {given.task} isn't for {self.pretrain.architecture}; it is for "
                    f"{', '.join(families)}"
                )
            for name in given.not_for_lstms() if self.pretrain.architecture in RECURRENT else ():
                raise ValueError(
                    f"finetune {given.name}: leave {name} out, it isn't for an LSTM such as "
                    f"{self.pretrain.architecture}"
                )
            if given.max_length > self.pretrain.row_tokens:
                raise ValueError(
                    f"finetune {given.name}: max_length {given.max_length} is longer than the rows of "
                    f"pretraining, pretrain.row_tokens {self.pretrain.row_tokens}"
                )
        used = [given.data for given in self.finetune.all()]
        if len(set(used)) < len(used):
            raise ValueError("finetune: each needs a labelled set of its own, so that scores stay apart")
        return self

    @model_validator(mode="after")
    def _word_vectors_have_text_and_names(self) -> "Recipe":
        if self.word_vectors and not self.ingest.sources:
            raise ValueError("word_vectors: they are trained on documents; name a source under ingest")
        names = [given.name for given in self.word_vectors]
        if len(set(names)) < len(names):
            raise ValueError("word_vectors: every name must be different")
        return self

    @model_validator(mode="after")
    def _several_tasks_fit_together(self) -> "Recipe":
        alone, tasks = {given.name for given in self.finetune.all()}, self._labelled_tasks()
        asked = [
            *((given.name, given.tasks, alone, "fine-tuning of one task") for given in self.finetune.joint),
            *(
                (given.name, [one.data for one in given.sets], set(tasks), "labelled set")
                for given in self.finetune.text_to_text
            ),
        ]
        for name, wanted, known, what in asked:
            for one in sorted(set(wanted) - known):
                told = ", ".join(sorted(known)) or "none"
                raise ValueError(f"finetune {name}: no {what} {one!r} (there are: {told})")
        for given in self.several():
            families, allowed = SEVERAL[given.task]
            for part in given.parts():
                if part.task not in allowed:
                    raise ValueError(
                        f"finetune {given.name}: {part.task} ({part.name}) isn't for {given.task}; "
                        f"it is for {', '.join(allowed)}"
                    )
            if not self.ingest.sources:
                continue
            if self.pretrain.architecture not in families:
                raise ValueError(
                    f"finetune {given.name}: {given.task} isn't for {self.pretrain.architecture}; it is for "
                    f"{', '.join(families)}"
                )
            longest = getattr(given, "max_length", 0)  # a joint one's tasks are checked by themselves
            if longest > self.pretrain.row_tokens:
                raise ValueError(
                    f"finetune {given.name}: max_length {longest} is longer than the rows of "
                    f"pretraining, pretrain.row_tokens {self.pretrain.row_tokens}"
                )
        return self

    def sets_of_word_vectors(self) -> dict[str, str]:
        """Return the task by alias of each labelled set that only static vectors are scored on.

        Those are the sets that no other part of the recipe uses; without static vectors there are none.
        """
        used = {given.data for given in self.finetune.all()}
        used |= {part.data for given in self.several() for part in given.parts()}
        used |= {*self.curate.decontaminate, self.classifier.data}
        tasks = {alias: task for alias, task in self._labelled_tasks().items() if alias not in used}
        served = {alias: task for alias, task in tasks.items() if task in WORD_VECTOR_TASKS}
        return served if self.word_vectors else {}

    def several(self) -> list[SeveralConfig]:
        """Return the fine-tunings for several tasks, each with what it has to know of them."""
        alone, tasks = {given.name: given for given in self.finetune.all()}, self._labelled_tasks()
        return [
            *(given.with_members(alone) for given in self.finetune.joint),
            *(given.with_tasks(tasks) for given in self.finetune.text_to_text),
        ]

    @model_validator(mode="after")
    def _evaluation_sets_are_known(self) -> "Recipe":
        known = {given.alias for given in self.label.files}
        for alias in self.curate.decontaminate:
            if alias not in known:
                told = ", ".join(sorted(known)) or "none"
                raise ValueError(
                    f"curate.decontaminate: no labelled set {alias!r} in label.files (there are: {told})"
                )
        return self

    @model_validator(mode="after")
    def _tokens_fit_the_objective(self) -> "Recipe":
        fits, config = OBJECTIVES[self.pretrain.objective], self.pretrain
        if not self.ingest.sources:
            return self
        if (config.objective == "distillation") != bool(self.teacher.path):
            raise ValueError("teacher: pretrain.objective distillation needs teacher.path, and no other does")
        for setting, column in fits.starts:
            asked = not setting or getattr(config, setting)
            if asked and not getattr(self.tokenize, column):
                why = f" with {setting}" if setting else ""
                raise ValueError(
                    f"tokenize.{column}: set it to true, pretrain.objective {config.objective}{why} needs it"
                )
        own = self.tokenize.special_tokens
        taken = self.tokenize.existing or self.model.path or self.teacher.path
        if not taken and own not in fits.special_tokens:
            raise ValueError(
                f"tokenize.special_tokens: pretrain.objective {config.objective} needs those of "
                f"{' or '.join(fits.special_tokens)}, not {own}"
            )
        return self

    @model_validator(mode="after")
    def _canaries_are_asked_for(self) -> "Recipe":
        if not self.tokenize.canaries.repetitions:
            return self
        if not self.ingest.sources:
            raise ValueError("tokenize.canaries: without ingest there is no text to put them into")
        if language_modeling_task(self.pretrain) != "language_modeling":
            raise ValueError(
                "tokenize.canaries: exposure is measured on causal language models, which pretrain.objective "
                f"{self.pretrain.objective} doesn't make of {self.pretrain.architecture}"
            )
        return self

    @model_validator(mode="after")
    def _mixed_sources_are_known(self) -> "Recipe":
        known = sorted(source.alias for source in self.ingest.sources)
        for given in self.pretrain.mixing.sources:
            if given.source not in known:
                raise ValueError(
                    f"pretrain.mixing.sources: no source {given.source!r} in ingest "
                    f"(there are: {', '.join(known)})"
                )
        return self

    @model_validator(mode="after")
    def _classifier_has_examples_and_a_threshold(self) -> "Recipe":
        least, share = self.curate.thresholds.get(QUALITY), self.curate.keep_share
        if self.classifier.data is None:
            if self.classifier != ClassifierConfig():
                raise ValueError("classifier: set data, the alias of the labelled set that it is trained on")
            if least is not None or share < 1:
                asked = "keep_share" if least is None else QUALITY
                raise ValueError(
                    f"curate: {asked} needs a classifier; name a labelled set in classifier.data"
                )
            return self
        if least is None and share == 1 and self.curate.deduplication.score_column != "quality":
            raise ValueError(
                f"classifier: nothing uses it; set curate.thresholds.{QUALITY} (0 keeps all) "
                "or curate.keep_share"
            )
        if least is not None and least > 1:
            raise ValueError(f"curate: {QUALITY} must be at most 1, got {least}")
        self._check_examples(self.classifier.data)
        return self

    def _check_examples(self, data: str) -> None:
        """Refuse a labelled set that a classifier can't be trained on before anything is curated."""
        if data in [given.alias for given in self.label.docstrings]:
            raise ValueError(
                f"classifier: {data!r} comes from docstrings, whose labels follow from curated documents; "
                "it must be one of label.files"
            )
        files = {given.alias: given for given in self.label.files}
        if data not in files:
            known = ", ".join(sorted(files)) or "none"
            raise ValueError(f"classifier: no labelled set {data!r} in label.files (there are: {known})")
        if files[data].task != "classification":
            raise ValueError(f"classifier: {data!r} is for {files[data].task}, not classification")
        labels = sorted(files[data].urls_by_label)
        if labels and (len(labels) != 2 or self.classifier.positive not in labels):
            raise ValueError(
                f"classifier: {data!r} must have two labels, {self.classifier.positive!r} (positive) and "
                f"another; it has {', '.join(labels)}"
            )

    def _labelled_tasks(self) -> dict[str, str]:
        """Return the task of each labelled set by alias."""
        sources = [source.alias for source in self.ingest.docstrings]
        tasks: dict[str, str] = {given.alias: given.task for given in self.label.files}
        for label in self.label.docstrings:
            if label.source not in sources and (label.source or len(sources) != 1):
                known = ", ".join(sources) or "none"
                raise ValueError(
                    f"label {label.alias}: source must be a docstrings source (there are: {known})"
                )
            tasks[label.alias] = {"package": "classification", "summary": "summarization"}[label.label]
        if len(tasks) < len(self.label.docstrings) + len(self.label.files):
            raise ValueError("label: every alias must be different")
        return tasks


def load_recipe(path: str | Path, *, root: str | None = None) -> Recipe:
    """Read a recipe file.

    Args:
        path: a YAML file.
        root: replaces the recipe's own root.

    Raises:
        RecipeError: in one line: the file, the field, the value, and what would be right.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"no recipe at {path}") from None
    except OSError as error:
        raise RecipeError(f"can't read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise RecipeError(f"{path}: a recipe is a mapping that begins with `name:`")
    if root is not None:
        raw["root"] = root
    return parse_recipe(raw, str(path))


def parse_recipe(raw: dict[str, Any], where: str = "recipe") -> Recipe:
    """Check a recipe that is already parsed.

    Raises:
        RecipeError: in one line, beginning with `where`.
    """
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise RecipeError(f"{where}: {'; '.join(_told(problem) for problem in error.errors()[:3])}") from None


def _told(problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{field}: no such field"
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    given = problem["input"]
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) and field else ""
    return f"{field}: {message}{shown}" if field else message
