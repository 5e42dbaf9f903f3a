"""What a training leaves behind: a Hugging Face folder and the metrics. Checkpoints go with the attempt."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor
from transformers import PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from lmtrain import storage
from lmtrain.building import Attempt


def live_folder(attempt: Attempt) -> Path:
    """Return a local folder for what people may follow while a training runs."""
    if storage.is_remote(attempt.root):
        return Path(tempfile.gettempdir()) / f"lmtrain-live-{attempt.id}"
    return Path(attempt.root, attempt.folder, "live")


class Exported(NamedTuple):
    """A Hugging Face folder to be.

    Attributes:
        name: of the folder below that of the model; empty for this one itself.
        model: whose config it has.
        weights: whole ones, by name.
        card: Markdown.
    """

    name: str
    model: Any
    weights: dict[str, Tensor]
    card: str


def write_model(
    attempt: Attempt,
    model: Any,
    log_folder: Path,
    weights: dict[str, Tensor],
    tokenizer: PreTrainedTokenizerBase,
    stats: dict[str, Any],
    card: str,
) -> None:
    """Write the shard `model` of an attempt: weights, tokenizer, card and metrics. Rank 0 calls this.

    Args:
        attempt: what the files belong to.
        model: whose config the folder has.
        log_folder: of the finished training.
        weights: the whole model's, by name.
        tokenizer: goes into the same folder.
        stats: figures for the manifest.
        card: Markdown.
    """
    write_folders(attempt, [Exported("", model, weights, card)], log_folder, tokenizer, stats)


def write_folders(
    attempt: Attempt,
    folders: Sequence[Exported],
    log_folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    stats: dict[str, Any],
    card: str = "",
) -> None:
    """Write the shard `model` of an attempt as one folder, or one below it for each task. Rank 0 calls this.

    Args:
        attempt: what the files belong to.
        folders: of one model, or of each task of several.
        log_folder: of the finished training.
        tokenizer: goes into each folder.
        stats: figures for the manifest.
        card: Markdown that tells of all folders, where there are several.
    """
    disable_progress_bar()
    with attempt.shard("model") as output:
        for name, model, weights, own_card in folders:
            folder = output.path(f"model/{name}" if name else "model")
            model.save_pretrained(folder, state_dict=weights, safe_serialization=True)
            tokenizer.save_pretrained(str(folder))
            (folder / "README.md").write_text(own_card, encoding="utf-8")
        if card:
            output.path("model/README.md").write_text(card, encoding="utf-8")
        output.add_folder("model", "weights")
        for events in log_folder.glob("tensorboard/events*"):  # one, or none without TensorBoard
            shutil.copy(events, output.path("tensorboard/events.out.tfevents.0"))  # without host and pid
            output.add_folder("tensorboard", "tensorboard")
        shutil.copy(log_folder / "metrics.jsonl", output.path("metrics.jsonl"))
        output.add("metrics.jsonl", "metrics")
        output.stats = stats
    shutil.rmtree(live_folder(attempt))
