"""The whole line as the report reads it: every artifact opened, by role.

In: URLs of manifests by role, any of which may be missing. Out: the artifacts,
and the few questions that several parts of the page ask of them.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

from lmtrain import storage
from lmtrain.manifest import Artifact
from lmtrain.removals.entries import open_removals
from lmtrain.removals.resolving import removals_of, removed_documents
from lmtrain.schemas import strings

ROLES = (
    "corpora", "documents", "labelled", "classifier", "tokenizer", "shards", "word_vectors", "searches",
    "models", "scores",
)  # fmt: skip


@dataclass(frozen=True)
class Scored:
    """A scores artifact with what it was made of.

    Attributes:
        system: `pretrained` or `random` for a fine-tuned model, with the name before it for one of several
            tasks (`all-pretrained`); `model` for a pretrained one, of static vectors their label, else the
            baseline's name.
        model: the artifact of the model or the vectors; None for a baseline.
        repetition: of the fine-tuning with another seed; 0 is the first.
        lighter: how the model was made lighter, such as `int8`; empty of a model as it is.
        together: name of the fine-tuning for several tasks, if it is one.
    """

    artifact: Artifact
    task: str
    dataset: str
    system: str
    model: Artifact | None
    repetition: int = 0
    lighter: str = ""
    together: str = ""


@dataclass
class Line:
    """Artifacts of a run by role."""

    by_role: dict[str, list[Artifact]] = field(default_factory=dict)
    removals: list[str] = field(default_factory=list)
    """URLs of the removal lists of the run."""

    @classmethod
    def open(cls, inputs: dict[str, list[str]]) -> "Line":
        """Open the manifests of a report's inputs.

        Raises:
            CorruptArtifactError: one of them isn't a manifest.
        """
        by_role = {role: [Artifact(url) for url in inputs.get(role, [])] for role in ROLES}
        return cls(by_role, removals_of(inputs))

    def __getitem__(self, role: str) -> list[Artifact]:
        return self.by_role.get(role, [])

    def first(self, role: str) -> Artifact | None:
        """Return the first artifact of a role, if there is one."""
        return next(iter(self[role]), None)

    @property
    def all(self) -> list[Artifact]:
        """Every artifact, in the order of the line."""
        return [artifact for role in ROLES for artifact in self[role]]

    @cached_property
    def withheld(self) -> frozenset[str]:
        """Ids of the documents that a removal list names: whatever still holds their text, it isn't shown."""
        if not self.removals:
            return frozenset()
        listed = removed_documents(open_removals(self.removals), [*self["corpora"], *self["documents"]])
        return frozenset(strings(listed["id"]))

    @property
    def pretrained(self) -> list[Artifact]:
        """The models that were pretrained."""
        return [model for model in self["models"] if model.manifest.stage == "pretrain"]

    @property
    def finetuned(self) -> list[Artifact]:
        """The models that were fine-tuned, the controls from random weights among them."""
        return [model for model in self["models"] if model.manifest.stage == "finetune"]

    @cached_property
    def scored(self) -> list[Scored]:
        """The scores, each with its task, data set and system; of several seeds the first one's."""
        return [scored for scored in self.scored_with_every_seed if not scored.repetition]

    @cached_property
    def scored_with_every_seed(self) -> list[Scored]:
        """The scores of every fine-tuning, whichever its seed."""
        return [scored for scored in self._all_scored if not scored.lighter]

    @cached_property
    def scored_lighter(self) -> list[Scored]:
        """The scores of models that were made lighter."""
        return [scored for scored in self._all_scored if scored.lighter]

    @cached_property
    def _all_scored(self) -> list[Scored]:
        models = {model.url: model for model in self["models"]}
        found = [_scored(artifact, models) for artifact in self["scores"]]
        alone = {(one.task, one.dataset) for one in found if one.system == "pretrained"}
        first: dict[tuple[str, str], str] = {}
        for one in found:
            if one.together and (one.task, one.dataset) not in alone:
                first.setdefault((one.task, one.dataset), one.together)
        return [  # where no model was trained for a task alone, the first for several stands in its place
            replace(one, system=initial_of(one.model))
            if one.model and one.together and first.get((one.task, one.dataset)) == one.together
            else one
            for one in found
        ]

    def labelled_set(self, name: str) -> Artifact | None:
        """Return the labelled set of that name."""
        return next((given for given in self["labelled"] if given.address.label == name), None)


def _scored(artifact: Artifact, models: dict[str, Artifact]) -> Scored:
    config = artifact.manifest.config
    urls = [
        storage.join(artifact.root, given.url) for given in artifact.manifest.inputs if given.role == "system"
    ]
    model = (models.get(urls[0]) or Artifact(urls[0])) if urls else None
    system, repetition, together = str(config["system"]), 0, ""
    if model is not None and model.manifest.stage == "finetune":
        system = initial_of(model)
        if config.get("part"):  # of several tasks: beside the model for this task alone
            together = str(model.manifest.config["name"])
            system = f"{together}-{system}"
        repetition = int(model.manifest.config.get("repetition", 0))
    elif model is not None and model.address.kind == "word_vectors":
        system = model.address.label
    lighter = str(artifact.stats["lighter"]["name"]) if "lighter" in artifact.stats else ""
    task, dataset = str(config["task"]), str(config["dataset"])
    return Scored(artifact, task, dataset, system, model, repetition, lighter, together)


def initial_of(model: Artifact) -> str:
    """Return where a fine-tuning started: `pretrained` or `random`."""
    return str(model.manifest.config.get("initial", "pretrained"))
