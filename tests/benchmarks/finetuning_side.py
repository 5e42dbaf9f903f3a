"""What the sides of the fine-tuning benchmark share: the case, its examples, and how a model is scored."""

import gzip
import json
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

SCORED_AT_ONCE = 64


@dataclass(frozen=True)
class Case:
    """What is trained.

    Attributes:
        data: folder of a labelled set with `text` and `label`.
        encoder: folder of the model.
        examples: for training, the first so many.
        epochs: passes over them.
        seed: of everything random.
        threads: of the process.
        sampling: how the Trainer orders examples; ours has one way.
    """

    data: str
    encoder: str
    examples: int
    epochs: int
    seed: int
    threads: int
    sampling: str = ""
    batch: int = 32
    max_length: int = 256
    learning_rate: float = 5e-5
    weight_decay: float = 0.01

    @classmethod
    def given(cls) -> Self:
        """Return the case that the command line names, and take its threads."""
        case = cls(**json.loads(sys.argv[1]))
        torch.set_num_threads(case.threads)
        return case

    def split(self, name: str, most: int | None = None) -> list[dict[str, Any]]:
        """Return the examples of a split."""
        with gzip.open(Path(self.data, f"{name}.jsonl.gz"), "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines][:most]


def resident() -> int:
    """Return the bytes of main memory that this process holds."""
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def answer(
    case: Case,
    seconds: float,
    before: int,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    labels: list[str],
) -> None:
    """Print what a side found: seconds, bytes beyond `before`, and of each test example whether it was right.

    Args:
        case: what was trained.
        seconds: of training, without what came before.
        before: bytes of memory that were held before the model was there.
        model: trained.
        tokenizer: its.
        labels: in the order of the model's outputs.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    test = sorted(case.split("test"), key=lambda example: len(example["text"]))
    right: list[int] = []
    model.eval()
    for start in range(0, len(test), SCORED_AT_ONCE):
        part = test[start : start + SCORED_AT_ONCE]
        texts = [example["text"] for example in part]
        batch = tokenizer(
            texts, truncation=True, max_length=case.max_length, padding=True, return_tensors="pt"
        )
        with torch.inference_mode():
            chosen = model(**batch).logits.argmax(-1).tolist()
        right += [int(labels[one] == example["label"]) for one, example in zip(chosen, part, strict=True)]
    print(json.dumps({"seconds": seconds, "peak_bytes": peak - before, "right": right}))
