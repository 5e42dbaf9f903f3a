"""What a training leaves behind: a Hugging Face folder and the metrics. Checkpoints go with the attempt."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

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
    disable_progress_bar()
    with attempt.shard("model") as output:
        folder = output.path("model")
        model.save_pretrained(folder, state_dict=weights, safe_serialization=True)
        tokenizer.save_pretrained(str(folder))
        (folder / "README.md").write_text(card, encoding="utf-8")
        output.add_folder("model", "weights")
        for events in log_folder.glob("tensorboard/events*"):  # one, or none without TensorBoard
            shutil.copy(events, output.path("tensorboard/events.out.tfevents.0"))  # without host and pid
            output.add_folder("tensorboard", "tensorboard")
        shutil.copy(log_folder / "metrics.jsonl", output.path("metrics.jsonl"))
        output.add("metrics.jsonl", "metrics")
        output.stats = stats
    shutil.rmtree(live_folder(attempt))
