"""An estimate as lines of text, and as JSON."""

from dataclasses import asdict
from typing import Any

from lmtrain.pretraining.estimating import RESERVE, Choice, Estimate
from lmtrain.reporting.humanize import compact, count, duration, size
from lmtrain.training.devices import Device

HEADER = (
    "", "sharding", "recompute", "offload", "weights", "gradients", "optimizer", "the rest", "in all",
    "on host", "tokens/s", "time",
)  # fmt: skip


def table(found: Estimate, device: Device, workers: int, mfu: float, source: str) -> str:
    """Return an estimate as a table, with what it rests on and the choice to take.

    Offloading is shown where nothing fits without.

    Args:
        found: what was estimated.
        device: of each worker.
        workers: how many.
        mfu: share of the device's operations that is used.
        source: where that share comes from.
    """
    offloads = not any(choice.fits and not choice.offload for choice in found.choices)
    shown = [choice for choice in found.choices if offloads or not choice.offload]
    rows = [HEADER, *(_row(choice, choice is found.best) for choice in shown)]
    columns = [
        [cell.ljust(width) if index < 4 else cell.rjust(width) for cell in column]
        for index, column in enumerate(zip(*rows, strict=True))
        if offloads or HEADER[index] not in ("offload", "on host")
        for width in [max(map(len, column))]
    ]
    lines = ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
    return "\n".join([*_told(found, device, workers, mfu, source), "", *lines, "", *_advice(found, device)])


def _row(choice: Choice, best: bool) -> tuple[str, ...]:
    memory = choice.memory
    return (
        "→" if best else "" if choice.fits else "×",
        choice.sharding,
        choice.recompute,
        "yes" if choice.offload else "no",
        size(memory.weights),
        size(memory.gradients),
        size(memory.optimizer),
        size(memory.activations),
        size(choice.device_bytes),
        size(choice.host_bytes) if choice.offload else "",
        count(choice.tokens_per_second),
        duration(choice.hours * 3600),
    )


def _told(found: Estimate, device: Device, workers: int, mfu: float, source: str) -> list[str]:
    return [
        f"{compact(found.parameters)} weights, {compact(found.tokens)} tokens, "
        f"{compact(found.flops_per_token)}FLOP a token",
        f"on {workers} × {device.name}: {size(device.memory)} and {device.flops / 1e12:.3g} TFLOP/s each, "
        f"of which {mfu:.0%} are used: {source}",
        "memory is that of each worker, without compilation, which needs less; the time that messages and "
        "offloading take isn't in it",
    ]


def _advice(found: Estimate, device: Device) -> list[str]:
    best = found.best
    free = f"× doesn't fit: {RESERVE:.0%} stay free for the driver, for buffers of messages and for gaps"
    legend = [] if all(choice.fits for choice in found.choices if not choice.offload) else [free]
    if best is None:
        least = min(choice.device_bytes for choice in found.choices)
        return [
            *legend,
            f"nothing fits in {size(device.memory)}, the least is {size(least)}: take a smaller "
            "micro_batch_size, more workers or a larger device",
        ]
    sharding = "" if best.sharding == "none" else f"sharding: {best.sharding}, "
    offload = ", offload: true" if best.offload else ""
    return [
        *legend,
        f"→ the cheapest that fits: resources: {{{sharding}recompute: {best.recompute}{offload}}}",
    ]


def as_json(found: Estimate, device: Device, workers: int, mfu: float) -> dict[str, Any]:
    """Return an estimate as JSON; bytes, tokens a second and hours."""
    best = found.best
    return {
        "parameters": found.parameters,
        "tokens": found.tokens,
        "flops_per_token": found.flops_per_token,
        "workers": workers,
        "device": asdict(device),
        "mfu": mfu,
        "choices": [asdict(choice) for choice in found.choices],
        "best": found.choices.index(best) if best else None,
    }
