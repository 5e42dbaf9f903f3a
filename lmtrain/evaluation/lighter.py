"""Models made lighter when they are loaded, and what that gains: bytes to store, milliseconds an example.

In: a loaded model and how it is to be lighter. Out: another one whose linear
maps within layers have weights of eight bits, or of which the smallest are
zero. Embeddings and heads stay as they are: tied ones would have to be stored
twice, and a head of a few classes is worth nothing.
"""

import copy
import math
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from transformers.pytorch_utils import Conv1D

from lmtrain.errors import StageError
from lmtrain.evaluation.config import LighterSection
from lmtrain.evaluation.models import single_threaded_operations
from lmtrain.modeling.layers import repeated_layers

TIMED_EXAMPLES = 50
"""Examples that both models are timed on, spread evenly over the lengths that there are."""

WARMUP_EXAMPLES = 5

INT8_TENSORS = ("qdata", "scale")
"""What stores an eight-bit weight: whole numbers, and for each row of the matrix what they are times of. Its
zero points are all zero."""


def lightened(model: nn.Module, how: LighterSection) -> nn.Module:
    """Return a lighter copy of a model; the model itself stays as it is.

    int8 is dynamic quantization: each row of a weight has a scale of its own, and so has each row of
    activations, found when it is multiplied. Pruning zeroes the given share of the weights, those that
    are least in size over all layers together (Han et al. 2015, "Learning both weights and connections").

    Args:
        model: on the CPU, in fp32.
        how: one way to make it lighter.

    Raises:
        RecipeError: int8 needs a package that isn't installed.
        StageError: it has no linear map within layers.
    """
    how.check()
    lighter = copy.deepcopy(model)
    _with_linear_maps(lighter)
    maps = _linear_maps(lighter)
    if not maps:
        raise StageError(f"{type(model).__name__} has no linear map within layers: it can't be made lighter")
    if how.int8:
        _quantize(lighter, maps)
    for share in how.pruned:
        weights = [(one, "weight") for one in maps]
        prune.global_unstructured(weights, prune.L1Unstructured, amount=share)
        for one, name in weights:
            prune.remove(one, name)
    return lighter


def _linear_maps(model: nn.Module) -> list[nn.Linear]:
    """Return the linear maps within layers."""
    found = (part for layer in repeated_layers(model) for part in layer.modules())
    return [part for part in found if isinstance(part, nn.Linear)]


def _with_linear_maps(model: nn.Module) -> None:
    """Put linear maps in the place of GPT-2's `Conv1D`, which are the same with transposed weights."""
    for part in list(model.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, Conv1D):
                with torch.device("meta"):
                    same = nn.Linear(child.nx, child.nf)
                same.weight = nn.Parameter(child.weight.detach().t().contiguous())
                same.bias = child.bias
                setattr(part, name, same)


def _quantize(model: nn.Module, maps: list[nn.Linear]) -> None:
    quantization: Any = import_module("torchao.quantization")  # of the extra `quantization`
    wanted = {id(one) for one in maps}
    config = quantization.Int8DynamicActivationInt8WeightConfig()
    quantization.quantize_(model, config, lambda part, _: id(part) in wanted)


def stored_bytes(model: nn.Module) -> int:
    """Return the bytes of a model's weights as they are best stored; shared ones count once.

    A weight of eight bits is its whole numbers and scales. Of one with zeros a bit for each value says
    whether it is zero, and the others follow; where that is longer it is stored as it is.
    """
    weights = {id(weight): weight for weight in model.parameters()}  # tied ones are the same object
    return sum(_stored_bytes(weight) for weight in weights.values())


def _stored_bytes(weight: Tensor) -> int:
    if hasattr(weight, "qdata"):
        return sum(getattr(weight, name).nbytes for name in INT8_TENSORS)
    sparse = math.ceil(weight.numel() / 8) + int(torch.count_nonzero(weight)) * weight.element_size()
    return min(sparse, weight.nbytes)


class Call(NamedTuple):
    """What a model was asked: by which method, with what."""

    name: str
    given: tuple[Any, ...]
    named: dict[str, Any]


class Remembering:
    """A model that remembers what it was asked, to be timed on it later."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.asked: list[Call] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Ask the model, as `model(...)` does."""
        self.asked.append(Call("__call__", given, named))
        return self.model(*given, **named)

    def generate(self, *given: Any, **named: Any) -> Any:
        """Let the model write."""
        self.asked.append(Call("generate", given, named))
        return self.model.generate(*given, **named)

    def examples(self) -> "list[Call]":
        """Return what was asked, one row at a time and without padding, from short to long.

        Of a model that was asked in both ways it is the more frequent one.
        """
        rows = [(call, row) for call in self.asked for row in range(len(_ids(call)))]
        ((kind, _),) = Counter(call.name for call, _ in rows).most_common(1)
        single = [_row(call, row) for call, row in rows if call.name == kind]
        return sorted(single, key=lambda call: _ids(call).shape[1])


def _ids(call: Call) -> Tensor:
    """Return the token ids of a call, shape (rows, tokens)."""
    return call.given[0] if call.given else call.named["input_ids"]


def _row(call: Call, row: int) -> Call:
    """Return one row of a call, cut to what its mask shows; without a mask as long as it is."""
    shape, mask = _ids(call).shape, call.named.get("attention_mask")
    seen = slice(None) if mask is None else mask[row].bool()

    def cut(value: Any) -> Any:
        return value[row][seen][None] if isinstance(value, Tensor) and value.shape == shape else value

    named = {name: cut(value) for name, value in call.named.items()}
    return Call(call.name, tuple(map(cut, call.given)), named)


def milliseconds(models: Sequence[Any], asked: Remembering) -> list[float]:
    """Return the median time that each model takes for an example, alone and on one thread.

    They take turns at each example, so that what else the machine does slows them alike.

    Args:
        models: that answer the same calls.
        asked: what one of them was asked.
    """
    examples = asked.examples()
    step = max(1.0, len(examples) / TIMED_EXAMPLES)
    chosen = [examples[int(place * step)] for place in range(min(TIMED_EXAMPLES, len(examples)))]
    taken: list[list[float]] = [[] for _ in models]
    with torch.inference_mode(), single_threaded_operations():
        for one in chosen[-WARMUP_EXAMPLES:]:
            for model in models:
                _seconds(model, one)
        for one in chosen:
            for times, model in zip(taken, models, strict=True):
                times.append(_seconds(model, one))
    return [round(1000 * statistics.median(times), 3) for times in taken]


def _seconds(model: Any, example: Call) -> float:
    begun = time.perf_counter()
    getattr(model, example.name)(*example.given, **example.named)
    return time.perf_counter() - begun
