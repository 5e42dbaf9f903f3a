"""Which model is taken in."""

from typing import Annotated, ClassVar

from pydantic import Field

from lmtrain.config import UNADDRESSED, StageConfig


class ImportConfig(StageConfig):
    """A model's folder, with the hash of what it held when the run was planned."""

    stage: ClassVar[str] = "import_model"
    kind: ClassVar[str] = "model"

    path: Annotated[str, UNADDRESSED] = Field(
        default="",
        description="A Hugging Face folder: local, s3://bucket/prefix, hf://owner/name; none if empty.",
    )
    digest: str = Field(
        default="", description="SHA-256 of the folder's listing: found when a run is planned."
    )

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the folder's name."""
        return self.path.rstrip("/").rsplit("/", 1)[-1].split("@", 1)[0]
