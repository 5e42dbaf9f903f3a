"""In which numbers matrices are multiplied, by which library, and how fast this device does that.

bf16 isn't faster on every CPU, nor is the library that PyTorch multiplies float32
by. The recipe's word is the least precision that is good enough; products of the
model's own shapes are measured, and within it the fastest way is taken.
"""

import importlib.util
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor, nn

from lmtrain.errors import ResourceError
from lmtrain.modeling.products import Product, has_onednn, multiply_by_onednn, onednn_product, usual_product
from lmtrain.training.devices import known_device
from lmtrain.training.process import Process

ONEDNN = "fp32-onednn"
"""Products of float32 by oneDNN (`lmtrain.modeling.products`)."""

WAYS: dict[str, tuple[torch.dtype, Product]] = {
    "fp32": (torch.float32, usual_product),
    ONEDNN: (torch.float32, onednn_product),
    "bf16": (torch.bfloat16, usual_product),
}
"""The ways to multiply: the type, and the function."""

CLEARLY_FASTER = 1.2
"""From which ratio of speeds on another way than the recipe's is taken: less may be chance, and would have
the same training multiply otherwise the next time."""

MUCH_FASTER = 1.3
"""From which ratio of speeds on a recipe in fp32 is told of bf16."""

LEAST_FLOPS = 1e9
"""Operations of a step's products below which nothing is gained, and the usual way is taken."""

LARGEST_SIDE = 2048
"""Longer sides are measured in part: a product of this size is as fast for each number."""

LEAST_TRIES = 3
LEAST_SECONDS = 0.005
"""How often, and how long, each product is tried."""

FP8_CAPABILITY = (8, 9)
"""Of the first NVIDIA GPUs that multiply fp8: L4, L40, RTX 40 (8.9); H100 (9.0)."""

FP8_MULTIPLE = 16
"""Sides of a product in fp8 must be multiples of this (cuBLASLt)."""


@dataclass(frozen=True)
class Products:
    """The products of a layer: `tokens` by `inputs` times `inputs` by `outputs`, and those of its backward.

    Attributes:
        tokens: rows of what goes in.
        inputs: width of what goes in.
        outputs: width of what comes out.
    """

    tokens: int
    inputs: int
    outputs: int

    @property
    def flops(self) -> int:
        """Operations of the three products together."""
        return 6 * self.tokens * self.inputs * self.outputs


USUAL = Counter({Products(512, 512, 512): 1})
"""What is measured where no model is at hand."""


@dataclass(frozen=True)
class Precision:
    """What was chosen: how matrices are multiplied, and the operations a second that this reaches."""

    products: str
    peak_flops: float

    def applied(self, model: nn.Module) -> None:
        """Let a model's layers multiply in this way; its weights stay as they are."""
        if self.products == ONEDNN:
            multiply_by_onednn(model)

    def autocast(self, device: torch.device) -> AbstractContextManager:
        """Return the context in which the model is run."""
        if self.products in ("fp32", ONEDNN):
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)


def layer_products(model: nn.Module, tokens: int) -> Counter[Products]:
    """Return the products of a model's layers, and how often each shape comes.

    Args:
        model: every module with a weight matrix that isn't an embedding multiplies by it.
        tokens: of a micro-batch.
    """
    found: Counter[Products] = Counter()
    for module in model.modules():
        for weight in () if isinstance(module, nn.Embedding) else module.parameters(recurse=False):
            if weight.ndim == 2:
                outputs, inputs = weight.shape
                found[Products(*(min(side, LARGEST_SIDE) for side in (tokens, inputs, outputs)))] += 1
    return found


def measured_rates(products: Counter[Products], device: torch.device) -> dict[str, float]:
    """Return the operations a second of a model's products, by the way to multiply."""
    return {
        way: sum(count * one.flops for one, count in products.items())
        / sum(count * _seconds(one, way, device) for one, count in products.items())
        for way in _ways(products, device)
    }


def _ways(products: Counter[Products], device: torch.device) -> list[str]:
    """Return the ways that are worth a try."""
    operations = sum(count * one.flops for one, count in products.items())
    without = device.type != "cpu" or not has_onednn() or operations < LEAST_FLOPS
    return [way for way in WAYS if not (way == ONEDNN and without)]


def measured_precision(model: nn.Module, wanted: str, tokens: int, process: Process) -> Precision:
    """Return how to multiply, by how fast the workers are together in the model's products; log it.

    Args:
        model: whose shapes are measured.
        wanted: the recipe's precision.
        tokens: of a micro-batch.
        process: this worker; all call this together.
    """
    measured = measured_rates(layer_products(model, tokens), process.device)
    sums = process.sum(list(measured.values()))
    rates = {name: rate / process.world for name, rate in zip(measured, sums, strict=True)}
    chosen = choose_precision(wanted, rates, process.device)
    if process.leads:
        process.log(told(wanted, chosen, rates))
    return chosen


def choose_precision(wanted: str, rates: dict[str, float], device: torch.device) -> Precision:
    """Return how to multiply: as the recipe says, or on a CPU otherwise where that is clearly faster.

    Args:
        wanted: `fp32`, `bf16` or `fp8`.
        rates: as `measured_rates` found, the same on all workers.
        device: where the model lies.
    """
    if device.type == "cuda":
        known = known_device(torch.cuda.get_device_name(device))
        return Precision(wanted, known.flops if known else rates["bf16"])
    within = [way for way in rates if way != "bf16"] if wanted == "fp32" else list(rates)
    fastest = max(within, key=lambda way: rates[way])
    taken = fastest if rates[fastest] > CLEARLY_FASTER * rates[wanted] else wanted
    return Precision(taken, rates[taken])


def told(wanted: str, chosen: Precision, rates: dict[str, float]) -> str:
    """Return a line for the log: how fast each way is, which is taken, and which would be faster."""
    speeds = ", ".join(f"{rate / 1e9:.3g} GFLOP/s in {name}" for name, rate in rates.items())
    line = f"the model's matrix products run at {speeds}; multiplying in {chosen.products}"
    ratio = rates["bf16"] / chosen.peak_flops
    if chosen.products != wanted:
        line = f"{line}, the fastest within precision {wanted}"
    if wanted == "fp32" and ratio > MUCH_FASTER:
        return f"{line}: precision bf16 would multiply {ratio:.1f} times as fast"
    return line


def check_precision(wanted: str, device: torch.device) -> None:
    """Refuse fp8 where it can't be had.

    Raises:
        ResourceError: the device doesn't multiply fp8, or torchao isn't installed.
    """
    if wanted != "fp8":
        return
    found = torch.cuda.get_device_capability(device) if device.type == "cuda" else None
    if found is None or found < FP8_CAPABILITY:
        here = f"a GPU of {found[0]}.{found[1]}" if found else "a CPU"
        least = ".".join(map(str, FP8_CAPABILITY))
        raise ResourceError(
            f"precision is fp8, which needs a GPU of compute capability {least} or newer, "
            f"and this is {here}: set it to bf16"
        )
    if importlib.util.find_spec("torchao") is None:
        raise ResourceError(
            "precision is fp8, which needs the package torchao: pip install 'lmtrain[gpu]', or set it to bf16"
        )


def multiply_in_fp8(layers: list[nn.Module]) -> None:
    """Let the linear maps within layers multiply in fp8, scaled by tensor (torchao 0.18).

    Call it before layers are compiled or sharded, and on a device that `check_precision` lets pass. Maps
    whose sides aren't multiples of 16 stay as they are. No GPU that has fp8 was at hand: the conversion was
    tried with torchao's emulation on a CPU, and how fast it is, or what it learns, wasn't.
    """
    float8 = import_module("torchao.float8")  # of the extra `gpu`

    def fits(module: nn.Module, name: str) -> bool:
        return isinstance(module, nn.Linear) and not any(side % FP8_MULTIPLE for side in module.weight.shape)

    for layer in layers:
        float8.convert_to_float8_training(layer, module_filter_fn=fits)


def _seconds(products: Products, way: str, device: torch.device) -> float:
    """Return how long a layer's three products take, each the best of some tries."""
    kind, product = WAYS[way]
    drawn = torch.Generator(device).manual_seed(0)  # its own: the training's random numbers stay as they are

    def matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, device=device, generator=drawn).to(kind)

    given, weight = matrix(products.tokens, products.inputs), matrix(products.outputs, products.inputs)
    slopes = matrix(products.tokens, products.outputs)
    ways: list[Callable[[], Tensor]] = [
        lambda: product(given, weight),
        lambda: product(slopes, weight.mT),
        lambda: product(slopes.mT, given.mT),
    ]
    return sum(_best(way, device) for way in ways)


def _best(work: Callable[[], Tensor], device: torch.device) -> float:
    """Return the seconds of the fastest of some tries."""
    tried: list[float] = []
    while len(tried) < LEAST_TRIES or sum(tried) < LEAST_SECONDS:
        begun = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        tried.append(time.perf_counter() - begun)
    return min(tried)
