"""Models for scoring: loaded from a folder without running code from it, fed in batches of like length."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils import logging

from lmtrain.config import Resources
from lmtrain.encoding.rows import Row, pad_rows
from lmtrain.errors import CancelledError, ResourceError, StageError
from lmtrain.modeling import own  # noqa: F401 (so that folders of its families can be loaded)
from lmtrain.objectives.base import Batch
from lmtrain.watch import Watch


@dataclass(frozen=True)
class Loaded:
    """A model ready for scoring, with its tokenizer."""

    model: Any
    tokenizer: PreTrainedTokenizerBase
    device: torch.device

    def params(self, task: str) -> dict[str, Any]:
        """Return what the model's config says of a task that it was fine-tuned for.

        Raises:
            StageError: it says nothing of it.
        """
        found = (getattr(self.model.config, "task_specific_params", None) or {}).get(task)
        if not found:
            raise StageError(
                f"the model wasn't fine-tuned for {task}: its config has no task_specific_params.{task}"
            )
        return found

    def batch(self, rows: Sequence[Row]) -> Batch:
        """Return rows as a batch on the model's device."""
        return {name: value.to(self.device) for name, value in pad_rows(rows, self.pad).items()}

    @property
    def end(self) -> int:
        """Id of the end token."""
        end = self.tokenizer.eos_token_id
        if not isinstance(end, int):
            raise StageError("the model's tokenizer has no end token (eos_token)")
        return end

    def encode(self, texts: Sequence[str], **options: Any) -> list[list[int]]:
        """Return the token ids of texts, in which special tokens are plain letters."""
        ids: Any = self.tokenizer(list(texts), split_special_tokens=True, **options)["input_ids"]
        return ids

    @property
    def pad(self) -> int:
        """Id of the padding token; the end token's where there is none."""
        pad = self.tokenizer.pad_token_id
        return pad if isinstance(pad, int) else self.end


def load(auto_class: Any, folder: Path, device: torch.device) -> Loaded:
    """Load a Hugging Face folder in fp32: safetensors only, no code of its own.

    Args:
        auto_class: such as `AutoModelForCausalLM`.
        folder: a local folder with model and tokenizer.
        device: where the model goes.

    Raises:
        StageError: the folder isn't a model, or its weights aren't safetensors.
    """
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        with _no_loading_bar():
            model = auto_class.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **safe)
        tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
    except (OSError, ValueError) as error:
        raise StageError(f"can't load a model from {folder}: {' '.join(str(error).split())}") from error
    return Loaded(model.to(device).eval(), tokenizer, device)


@contextmanager
def _no_loading_bar() -> Iterator[None]:
    """Keep transformers' own progress bar out of the watch's way."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def choose_device(resources: Resources) -> torch.device:
    """Return the device that resources ask for; `auto` is a GPU where there is one.

    Raises:
        ResourceError: a GPU is asked for and there is none.
    """
    there = torch.cuda.is_available()
    if resources.device == "cuda" and not there:
        raise ResourceError("resources.device is cuda, but this machine shows no GPU: use auto or cpu")
    return torch.device("cuda" if there and resources.device != "cpu" else "cpu")


def threads_of(resources: Resources) -> int:
    """Return how many batches to work on at once: as many CPUs as training would take, of those there are."""
    return max(1, min(resources.workers * resources.threads_per_worker, os.cpu_count() or 1))


@contextmanager
def single_threaded_operations() -> Iterator[None]:
    """Let each operation of torch run on one thread.

    Batches run beside each other instead. That waits for nobody, where threads of
    one operation wait for the slowest of them on a busy machine; and a result no
    longer depends on the number of threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def batches_by_length(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Deal examples into batches of like length, the longest first.

    Args:
        lengths: length of each example.
        tokens: a batch holds at most so many, padding included, but at least one example.

    Returns:
        Indices of examples; each exactly once.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batches: list[list[int]] = []
    for index in order:
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


def padded(rows: Sequence[Sequence[int]], pad: int, side: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token ids and attention mask, each of shape (rows, longest row)."""
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for row, tokens in enumerate(rows):
        place = slice(longest - len(tokens), longest) if side == "left" else slice(0, len(tokens))
        ids[row, place] = torch.as_tensor(tokens, dtype=torch.long)
        mask[row, place] = 1
    return ids, mask


def run_batches(
    batches: list[list[int]], work: Callable[[list[int]], None], watch: Watch, unit: str, threads: int = 1
) -> None:
    """Call `work` on each batch without gradients; tell the watch, and stop when it says so.

    Args:
        batches: indices of examples.
        work: called from several threads; it must write only what belongs to its batch.
        watch: told the examples that are done.
        unit: what an example is called.
        threads: batches at once.

    Raises:
        CancelledError: the watch was asked to stop.
    """
    total = sum(map(len, batches))
    done = 0
    watch.progress(0, total, unit)

    def run(batch: list[int]) -> int:
        with torch.inference_mode():  # a thread's own state
            work(batch)
        return len(batch)

    with single_threaded_operations(), ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(run, batch) for batch in batches]
        try:
            for finished in as_completed(running):
                done += finished.result()
                watch.progress(done, total, unit)
                if watch.cancelled():
                    raise CancelledError("stopped on request; run again to score from here")
        finally:
            for future in running:
                future.cancel()
