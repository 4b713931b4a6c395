"""How much arithmetic a pretext step is, and how much of it a device can do in a second."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from edge_ecg_train.device import Machine
from edge_ecg_train.networks import PAPER_TRUNK, TRUNK_CONVS

PEAK_BF16_FLOPS = {
    "H200 NVL": 836e12, "H200": 989e12, "A100": 312e12,
    "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12,
}  # fmt: skip
"""Dense bfloat16, from NVIDIA's data sheets (half of the figures given with sparsity)."""


def flops_a_signal() -> int:
    """Forward, gradient of the kernels, gradient of the inputs (not of the first layer); heads are 0.1 %."""
    first = 2560 * TRUNK_CONVS[0].filters * TRUNK_CONVS[0].taps
    return 2 * (3 * PAPER_TRUNK.macs() - first)


def reachable_flops(machine: Machine) -> float:
    """Arithmetic of the best of several wide convolutions and products of matrices, in the precision."""
    dtype = torch.bfloat16 if machine.precision == "bf16" else torch.float32
    side = 8192 if machine.device.type == "cuda" else 1024
    matrix = torch.randn(side, side, device=machine.device).to(dtype)
    image = torch.randn(4, 256, 32, 32, device=machine.device).to(dtype, memory_format=torch.channels_last)
    kernel = torch.randn(256, 256, 3, 3, device=machine.device).to(dtype, memory_format=torch.channels_last)
    # fmt: off
    works: list[tuple[int, Callable[[], object]]] = [
        (2 * side**3, lambda: matrix @ matrix),
        (2 * 256 * 256 * 9 * 4 * 30 * 30, lambda: nn.functional.conv2d(image, kernel)),
    ]
    # fmt: on
    best = 0.0
    for flops, work in works * 50:  # many: a busy machine is free for a moment only
        started = time.perf_counter()
        work()
        if machine.device.type == "cuda":
            torch.cuda.synchronize()
        best = max(best, flops / (time.perf_counter() - started))
    return best


def peak(machine: Machine) -> tuple[float, str]:
    """Return operations a second that this device can do, and how that is known."""
    reached = f"a wide convolution or product of matrices on it, {machine.precision}"
    if machine.device.type != "cuda":
        return reachable_flops(machine), reached
    name = torch.cuda.get_device_name(machine.device)
    known = next((flops for key, flops in PEAK_BF16_FLOPS.items() if key in name), None)
    if known is not None and machine.precision == "bf16":
        return known, f"{name}, dense bfloat16, data sheet"
    return reachable_flops(machine), f"{name}, peak unknown; {reached}"
