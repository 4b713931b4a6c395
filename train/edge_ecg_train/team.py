"""The processes of one training: one a GPU, on one machine or many, as PyTorch's launcher starts them.

``torchrun`` sets ``RANK``, ``LOCAL_RANK`` and ``WORLD_SIZE``; a process without them trains alone. Every
process makes the same decisions from the same numbers; only the first writes files, draws and talks.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from edge_ecg.errors import EXIT_DONE, EXIT_INTERRUPTED, EdgeEcgError, UsageError

from .device import Execution

T = TypeVar("T")

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

    def from_leader(self, make: Callable[[], T]) -> T:
        """Return what ``make`` gives the leader; the others need not be able to read the same files.

        Raises
        ------
        EdgeEcgError
            What ``make`` raises; the other processes end quietly with the same exit code.

        """
        if self.size == 1:
            return make()
        box: list[Any] = [None, EXIT_DONE]
        failure: EdgeEcgError | None = None
        if self.leads:
            try:
                box[0] = make()
            except EdgeEcgError as error:
                failure, box[1] = error, error.exit_code
        distributed.broadcast_object_list(box, src=0, device=torch.device(self.device))
        if failure is not None:
            raise failure
        if box[1] != EXIT_DONE:
            raise SystemExit(box[1])
        value: T = box[0]
        return value

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
    return replace(execution, device=f"cuda:{local}")


def launch_team(processes: int, words: Sequence[str]) -> int:
    """Run ``edge-ecg`` with these words in so many processes of this machine, by PyTorch's launcher.

    Returns
    -------
    The exit code: that of the first process that failed, or EXIT_INTERRUPTED after Ctrl-C or SIGTERM. Then
    the launcher has passed the signal on and given the processes half a minute to finish the step and save.

    Raises
    ------
    EdgeEcgError
        When a process was killed; the others are ended.

    """
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    launcher = ["--standalone", f"--nproc-per-node={processes}", "-m", "edge_ecg", *words]
    handlers = {number: signal.getsignal(number) for number in _launcher_signals()}
    # The processes themselves say what was wrong; the launcher would only add its traceback.
    silent = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        torchrun.run(torchrun.parse_args(launcher))  # type: ignore[no-untyped-call]
    except SignalException:
        return EXIT_INTERRUPTED
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            raise EdgeEcgError(
                f"Process {rank} of the training was killed by signal {-failure.exitcode}.",
                why="Too little memory, often.",
                remedy="Go on with --resume: with fewer --devices, or on a machine with more memory.",
            ) from error
        return int(failure.exitcode)
    finally:
        logging.disable(silent)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return EXIT_DONE


def _launcher_signals() -> list[signal.Signals]:
    names = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]
