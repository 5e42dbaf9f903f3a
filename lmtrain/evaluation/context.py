"""What scoring has at hand beside the data: the config, a device, and somebody who watches."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lmtrain.evaluation.config import EvaluateConfig
from lmtrain.evaluation.lighter import Remembering, lightened, milliseconds, stored_bytes
from lmtrain.evaluation.models import Loaded, load
from lmtrain.manifest import Artifact
from lmtrain.watch import Watch


@dataclass(frozen=True)
class Context:
    """With what a system is scored.

    Attributes:
        config: what is scored, and how.
        device: on which.
        watch: told the examples that are done.
        threads: batches that are worked on at once.
        removed: ids of documents and examples that are neither scored nor learned from.
        loaded: the model as it is, and the lighter one that is scored in its stead, if that is asked for.
    """

    config: EvaluateConfig
    device: torch.device
    watch: Watch
    threads: int = 1
    removed: frozenset[str] = frozenset()
    loaded: list[Any] = field(default_factory=list)

    def load(self, auto_class: Any, folder: Path) -> Loaded:
        """Load the model that is scored, lighter where the config says so.

        Raises:
            StageError: the folder isn't a model, or it can't be made lighter.
        """
        whole = load(auto_class, folder, self.device)
        if not self.config.lighter.name:
            return whole
        lighter = Remembering(lightened(whole.model, self.config.lighter))
        self.loaded[:] = [whole.model, lighter]
        return Loaded(lighter, whole.tokenizer, self.device)

    def gained(self) -> dict[str, Any]:
        """Return what a lighter model takes, and the whole one beside it; nothing where none is asked for."""
        if not self.config.lighter.name:
            return {}
        assert self.loaded, f"{self.config.task} loads its model by the context"
        whole, lighter = self.loaded
        whole_milliseconds, own_milliseconds = milliseconds([whole, lighter.model], lighter)
        found = {
            "name": self.config.lighter.name,
            "bytes": stored_bytes(lighter.model),
            "milliseconds": own_milliseconds,
            "whole_bytes": stored_bytes(whole),
            "whole_milliseconds": whole_milliseconds,
        }
        return {"lighter": found}

    def weights(self, system: Artifact) -> Path:
        """Return the folder of a model; of one that has a folder for each task, the one that is asked."""
        return system.folder("weights") / self.config.part
