"""The processes of one training: one a GPU, on one machine or many, as PyTorch's launcher starts them.

``torchrun`` sets ``RANK``, ``LOCAL_RANK`` and ``WORLD_SIZE``; a process without them trains alone. Every
process makes the same decisions from the same numbers; only the first writes files, draws and talks.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from edge_ecg.errors import UsageError

from .device import Execution

_PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others: a first checkpoint on a slow disk takes minutes at most."""


@dataclass(frozen=True, slots=True)
class Team:
    """The place of one process among those that train one network; ``device`` is where it votes."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """True for the one that writes files and talks."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether any process says so; all get the same answer at the same step."""
        if self.size == 1:
            return flag
        votes = torch.tensor(int(flag), device=self.device)
        distributed.all_reduce(votes, distributed.ReduceOp.MAX)
        return bool(votes)

    def total(self, value: torch.Tensor) -> float:
        """Sum of a scalar over all processes."""
        if self.size > 1:
            distributed.all_reduce(value)
        return float(value)

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            distributed.barrier()


ALONE = Team()


@contextlib.contextmanager
def join_team(
    execution: Execution, environment: Mapping[str, str] = os.environ
) -> Iterator[tuple[Team, Execution]]:
    """Join the processes that a launcher started, and leave them at the end.

    Yields
    ------
    This process's place, and the execution with the device that is its own: the GPU of its local rank when
    there are GPUs, unless the execution names a device.

    Raises
    ------
    UsageError
        When the machine has fewer GPUs than processes.

    """
    size = int(environment.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE, execution
        return
    rank, local = int(environment["RANK"]), int(environment.get("LOCAL_RANK", "0"))
    execution = _own_device(execution, local)
    on_gpu = execution.device.startswith("cuda")
    device = execution.device if on_gpu else "cpu"
    if on_gpu:
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    try:
        yield Team(rank, size, device), execution
    finally:
        distributed.destroy_process_group()


def _own_device(execution: Execution, local: int) -> Execution:
    if execution.device not in ("auto", "cuda") or not torch.cuda.is_available():
        return execution
    there = torch.cuda.device_count()
    if local >= there:
        raise UsageError(
            f"There are more processes than GPUs: this machine has {there}.",
            remedy=f"Start {there} with --devices {there}, or train on CPUs with --device cpu.",
        )
    return Execution(f"cuda:{local}", execution.precision, execution.threads, execution.micro_batch_signals)
