"""The report has no settings but the recipe's name, which is its title."""

from typing import ClassVar

from pydantic import Field

from lmtrain.config import StageConfig


class ReportConfig(StageConfig):
    """What the page is called, and how it was run."""

    stage: ClassVar[str] = "report"
    kind: ClassVar[str] = "report"

    name: str = Field(description="Title of the page: the recipe's name.")

    def label(self, inputs: dict[str, list[str]]) -> str:
        """Return the recipe's name."""
        return self.name
