"""What every configuration is: frozen, closed, described, and addressed.

A stage's config says *what* is made and enters its digest; `Resources` says
with what it is made and never does.
"""

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lmtrain.errors import ResourceError


class _Unaddressed:
    """Marks a field that neither enters a digest nor a manifest."""


UNADDRESSED = _Unaddressed()
"""`Annotated[T, UNADDRESSED]` says where something lies, as opposed to what it is."""


class Config(BaseModel):
    """Base of all configs: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    def addressed(self) -> dict[str, Any]:
        """Return what enters the digest: fields off their default, without the unaddressed ones."""
        dumped = self.model_dump(mode="json", exclude_defaults=True)
        return _without_unaddressed(self, dumped)


def _without_unaddressed(config: BaseModel, dumped: dict[str, Any]) -> dict[str, Any]:
    kept = {}
    for name, value in dumped.items():
        if UNADDRESSED in type(config).model_fields[name].metadata:
            continue
        inner = getattr(config, name)
        if isinstance(inner, BaseModel):
            value = _without_unaddressed(inner, value)
            if value == _addressed_default(config, name):
                continue  # it differs from its default in unaddressed fields alone
        elif isinstance(inner, list | tuple):
            value = [
                _without_unaddressed(item, dump) if isinstance(item, BaseModel) else dump
                for item, dump in zip(inner, value, strict=True)
            ]
        kept[name] = value
    return kept


def _addressed_default(config: BaseModel, name: str) -> dict[str, Any] | None:
    default = type(config).model_fields[name].default
    if not isinstance(default, BaseModel):
        return None
    return _without_unaddressed(default, default.model_dump(mode="json", exclude_defaults=True))


class StageConfig(Config):
    """Config of one stage: with the inputs' digests it determines the artifact."""

    stage: ClassVar[str]
    """The verb: a key of `lmtrain.node.STAGES`."""
    kind: ClassVar[str]
    """The noun: what kind of artifact the stage makes."""
    version: ClassVar[int] = 1
    """Bumped by hand when the same config and inputs give another result."""
    unaddressed_inputs: ClassVar[frozenset[str]] = frozenset()
    """Roles of inputs that a new artifact is made with and that an older one stays valid without: they
    enter neither digest nor label, only the manifest that says what was there."""

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return a readable name for the artifact.

        Args:
            inputs: labels of the input artifacts by role.
        """
        raise NotImplementedError


class SplitConfig(Config):
    """How groups of documents are dealt to splits; the same for pretraining and labelled sets."""

    seed: int = Field(default=0, ge=0, description="Seed of the hash that deals groups to splits.")
    validation: float = Field(default=0.05, gt=0, lt=0.5, description="Share of groups for validation.")
    test: float = Field(default=0.05, gt=0, lt=0.5, description="Share of groups for the test set.")


class Resources(Config):
    """With what a recipe is run. Never changes documents, shards or token order; never in a digest."""

    workers: int = Field(default=2, ge=1, le=4096, description="Training workers, and data tasks at once.")
    min_workers: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="Go on with as few training workers when machines leave, and with up to `workers` when "
        "they come. Always `workers` if empty.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where models are trained.")
    threads_per_worker: int = Field(default=1, ge=1, le=256, description="CPU threads of one worker.")
    sharding: Literal["ddp", "zero1", "zero2", "zero3"] = Field(
        default="zero2", description="What of the training state is sharded over workers."
    )
    shard_group: int | None = Field(
        default=None,
        ge=1,
        description="Workers over which state is sharded, such as those of one machine; every group has all "
        "of it. All workers if empty.",
    )
    offload: bool = Field(
        default=False, description="Keep weights and optimizer state in main memory; with sharding, on GPUs."
    )
    recompute: Literal["none", "selective", "full"] = Field(
        default="none",
        description="Activations worked out again in the backward pass: none, all but products, or all.",
    )
    micro_batch_size: int = Field(default=16, ge=1, description="Rows in one forward pass of one worker.")
    compile: bool = Field(default=True, description="Compile the model with torch.compile.")
    checkpoint_seconds: float = Field(
        default=60.0, gt=0, description="Least time between two checkpoints, in seconds."
    )
    checkpoints_kept: int = Field(
        default=2, ge=1, description="Last checkpoints that stay, beside the one of the best look."
    )
    collective_timeout_seconds: int = Field(
        default=1800, ge=10, description="How long workers wait for each other before they give up."
    )

    @model_validator(mode="after")
    def _least_is_least(self) -> "Resources":
        if self.min_workers is not None and self.min_workers > self.workers:
            raise ValueError(f"min_workers {self.min_workers} must be at most workers {self.workers}")
        if self.min_workers is not None and self.shard_group is not None:
            raise ValueError(
                f"shard_group {self.shard_group} doesn't divide every number of workers from min_workers "
                f"{self.min_workers} to workers {self.workers}: leave one of the two empty"
            )
        return self

    @property
    def least_workers(self) -> int:
        """With how many workers a training starts or goes on."""
        return self.min_workers or self.workers

    def check(self, cpus: int, where: str) -> None:
        """Refuse what doesn't fit.

        Args:
            cpus: how many there are.
            where: whose they are, for the text.

        Raises:
            ResourceError: the workers, or their threads, are more than the CPUs.
        """
        least = self.least_workers
        field = "workers" if self.min_workers is None else "min_workers"
        if least > cpus:
            raise ResourceError(
                f"resources.{field} is {least}, but {where} has {cpus} CPUs: "
                f"set it to at most {cpus}, or name a larger cluster by RAY_ADDRESS"
            )
        if least * self.threads_per_worker > cpus:
            raise ResourceError(
                f"resources.threads_per_worker is {self.threads_per_worker} for {least} workers, "
                f"but {where} has {cpus} CPUs: their product may be at most that"
            )
