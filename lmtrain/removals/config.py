"""What a person wants removed: documents by their id, their address, or a hash of their text."""

from typing import Annotated, ClassVar

from pydantic import Field

from lmtrain.config import UNADDRESSED, StageConfig
from lmtrain.entries import PATHS

LISTS = ("ids", "urls", "text_hashes")
"""Fields that list documents, in the order in which they are asked."""

ROLE = "removals"
"""The role of the list among a stage's inputs."""


class RemovalsConfig(StageConfig):
    """Documents that are trained on no more: curation drops them, and loaders skip them in older shards."""

    stage: ClassVar[str] = "list_removals"
    kind: ClassVar[str] = "removals"

    ids: Annotated[list[str], UNADDRESSED] = Field(
        default=[], description=PATHS + "Ids of documents, as ingested."
    )
    urls: Annotated[list[str], UNADDRESSED] = Field(
        default=[], description=PATHS + "Addresses of documents, compared as they are written."
    )
    text_hashes: Annotated[list[str], UNADDRESSED] = Field(
        default=[],
        description=PATHS + "Hashes of texts, as `lmtrain text-hash` prints them; they don't change with "
        "case, spacing and width of characters. Compared with texts as ingested and as curated.",
    )
    digest: str = Field(default="", description="SHA-256 of the entries; found when a run is planned.")

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return `list`: there is one in a recipe."""
        return "list"
