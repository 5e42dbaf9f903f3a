"""Where a model is trained: how fast it multiplies at most, and how much it holds."""

import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Device:
    """A GPU as its vendor's data sheet tells of it, or a worker's share of this machine.

    Attributes:
        name: of a GPU as part of what the driver calls it; else `cpu`.
        flops: dense bf16 operations a second with sums in fp32 (V100: fp16), without sparsity.
        memory: bytes.
    """

    name: str
    flops: float
    memory: float

    @property
    def is_gpu(self) -> bool:
        """Whether it is one."""
        return self.name != "cpu"


DEVICES = (
    Device("B200", 2250e12, 180e9),  # NVIDIA DGX B200 data sheet: 144 PFLOPS sparse fp4 by 8
    Device("H200", 989e12, 141e9),  # NVIDIA H200 data sheet: 1,979 sparse
    Device("H100 PCIe", 756e12, 80e9),  # NVIDIA H100 data sheet: 1,513 sparse
    Device("H100 NVL", 835e12, 94e9),  # NVIDIA H100 data sheet: 1,671 sparse
    Device("H100", 989e12, 80e9),  # SXM; NVIDIA H100 data sheet: 1,979 sparse
    Device("A100 40GB", 312e12, 40e9),  # NVIDIA A100 data sheet
    Device("A100", 312e12, 80e9),  # NVIDIA A100 data sheet
    Device("L40S", 362e12, 48e9),  # NVIDIA L40S data sheet
    Device("L4", 121e12, 24e9),  # NVIDIA L4 data sheet: 242 sparse
    Device("A10G", 70e12, 24e9),  # AWS's variant of the A10, G5 instances
    Device("A10", 125e12, 24e9),  # NVIDIA A10 data sheet
    Device("RTX 4090", 165e12, 24e9),  # NVIDIA Ada architecture white paper, appendix A
    Device("V100", 125e12, 32e9),  # NVIDIA V100 data sheet, SXM2, fp16
    Device("MI300X", 1307e12, 192e9),  # AMD Instinct MI300X data sheet
)
"""A name that holds another stands before it."""


def known_device(name: str) -> Device | None:
    """Return the GPU whose name is all in this one, such as in `NVIDIA H100 PCIe`; None if none is."""
    words = _words(name)
    return next((device for device in DEVICES if _words(device.name) <= words), None)


def this_cpu(flops: float, workers: int) -> Device:
    """Return a worker's share of this machine.

    Args:
        flops: operations a second that were measured of one worker.
        workers: that share its memory.
    """
    return Device("cpu", flops, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / workers)


def this_gpu(flops: float) -> Device:
    """Return the GPU of this process, whose operations a second are known or were measured."""
    properties = torch.cuda.get_device_properties(torch.cuda.current_device())
    return Device(properties.name, flops, properties.total_memory)


def _words(name: str) -> set[str]:
    """Return the words of a name in lower case; `80GB` and the like are words, `-` parts them."""
    return set(name.lower().replace("-", " ").replace("_", " ").split())
