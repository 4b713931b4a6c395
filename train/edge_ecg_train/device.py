"""Where training runs: the device, its arithmetic, and the settings that make it fast there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from edge_ecg.errors import UsageError

PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, slots=True)
class Execution:
    """How to run, as opposed to what to train: none of this changes the experiment.

    Parameters
    ----------
    device:
        "auto", or a PyTorch device ("cpu", "cuda", "cuda:1", "mps").
    precision:
        "fp32"; "bf16" (mixed precision: bfloat16 convolutions, float32 weights, losses and updates); or
        "auto": bf16 where the processor multiplies it natively.
    threads:
        CPU threads; 0 leaves PyTorch's choice.
    micro_batch_signals:
        Signals that pass through the network at once; a batch's gradient is the sum over its parts.
        0 chooses: 32 on a CPU (activations stay near the caches), 4096 elsewhere.
    compile:
        Compile the network's step with ``torch.compile``: the same values up to rounding.

    """

    device: str = "auto"
    precision: str = "auto"
    threads: int = 0
    micro_batch_signals: int = 0
    compile: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """An Execution whose choices have been made; ``compiler`` is a backend of ``torch.compile``, or empty."""

    device: torch.device
    precision: str
    micro_batch_signals: int
    compiler: str = ""

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Return the context for forward passes."""
        if self.precision == "bf16":
            return torch.autocast(self.device.type, torch.bfloat16)
        return contextlib.nullcontext()

    def compiled(self, network: nn.Module) -> nn.Module:
        """Return the network as it is computed in a step: compiled, with the same parameters, or as it is."""
        return cast(nn.Module, torch.compile(network, backend=self.compiler)) if self.compiler else network


def prepare_machine(execution: Execution) -> Machine:
    """Choose and set up the device.

    Raises
    ------
    UsageError
        If the device does not exist here, the precision is unknown, or nothing can be compiled here.

    """
    if execution.precision not in PRECISIONS:
        raise UsageError(
            f"Precision {execution.precision!r} is unknown.", remedy=f"Use one of {', '.join(PRECISIONS)}."
        )
    device = _device(execution.device)
    if device.type == "cpu" and execution.threads:
        torch.set_num_threads(execution.threads)
    precision = execution.precision
    if precision == "auto":
        precision = "bf16" if _native_bf16(device) else "fp32"
    micro = execution.micro_batch_signals or (32 if device.type == "cpu" else 4096)
    if execution.compile:
        _try_compiler(device)
    return Machine(device, precision, micro, "inductor" if execution.compile else "")


def evaluation_machine() -> Machine:
    """Return where networks are trained in an evaluation.

    That is float32 on a CPU, so that all CPUs agree, and on a GPU, whose results are never a CPU's to the
    last bit, what it does best.
    """
    return prepare_machine(Execution(precision="auto" if torch.cuda.is_available() else "fp32"))


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Round numbers below 1e-38 to zero within the block: on a CPU they cost up to 100 ordinary ones.

    It is a state of the thread, so it is put back.
    """
    flushing = bool(np.float32(1e-40) * np.float32(1.0) == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushing)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"The device {name!r} cannot be used.",
            why=str(error).splitlines()[0],
            remedy="Use --device cpu, or leave it out.",
        ) from error
    return device


def _try_compiler(device: torch.device) -> None:
    """Compile something small: whether a compiler works shows only when it is first used."""

    def small(x: Tensor) -> Tensor:
        return x.sin() + 1

    try:
        torch.compile(small, backend="inductor")(torch.zeros(8, device=device))
    except Exception as error:  # the compiler's stages raise errors of many kinds
        lines = [line for line in str(error).splitlines() if line.strip()]
        needs = "a C++ compiler (on Debian: apt install g++)" if device.type == "cpu" else "Triton"
        raise UsageError(
            f"The network cannot be compiled for {device.type} here.",
            why=lines[0] if lines else type(error).__name__,
            remedy=f"torch.compile needs {needs}; or leave --compile out.",
        ) from error


def _native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return False
