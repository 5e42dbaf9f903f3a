"""A node of the graph: one artifact to be, what makes it, and from which others.

In: a stage's config and the nodes that it needs. Out: its address, and when all that it needs is there, the
artifact. `lmtrain.graph` makes the nodes of a recipe.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module

from lmtrain.config import Resources, StageConfig
from lmtrain.manifest import Address, address_of
from lmtrain.watch import Watch

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
