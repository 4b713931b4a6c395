"""Executors: where the cells of a sweep run.

All of them do the same: every cell is computed once, its outcome is yielded as soon as it is known, in any
order, and results go to files. Which one is used changes no number. With Ray and Slurm on several machines
the sweep's cache must lie where all of them see it under the same path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from edge_ecg.errors import UsageError

from .cells import Cell, Outcome, compute

Executor = Callable[[Sequence[Cell]], Iterator[Outcome]]


def make_executor(
    name: str,
    *,
    jobs: int = 0,
    devices: Sequence[str] = (),
    address: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Executor:
    """Make an executor by its name.

    Parameters
    ----------
    name:
        ``serial``, ``joblib``, ``ray`` or ``slurm``.
    jobs:
        Cells at once; 0 chooses: as many as there are devices, or as this process may use cores.
    devices:
        Numbers of the GPUs that cells use in turn (``("0", "1")``), or ``("cpu",)``; empty leaves it to
        PyTorch, which takes the first GPU if there is one.
    address:
        Of a running Ray cluster; None starts one on this machine.
    options:
        For Slurm: parameters of submitit (``timeout_min``, ``slurm_partition``, ...).

    Raises
    ------
    UsageError
        When there is no such executor, or its package is not installed.

    """
    if jobs < 0:
        raise UsageError(f"--jobs cannot be {jobs}.", remedy="Leave it out to use all cores.")
    for one in devices:
        if one != "cpu" and not one.isdecimal():
            raise UsageError(
                f"There is no device {one!r}.", remedy="Give cpu, or numbers of GPUs: --devices 0,1"
            )
    if name in ("serial", "joblib"):
        _need_gpus(devices)
    jobs = jobs or (len(devices) if devices and "cpu" not in devices else usable_cores())
    if name == "serial":
        return lambda cells: _serial(cells, devices)
    if name == "joblib":
        return lambda cells: _joblib(cells, jobs, devices)
    if name == "ray":
        _need("ray", "ray")
        return lambda cells: _ray(cells, jobs, devices, address)
    if name == "slurm":
        _need("submitit", "slurm")
        return lambda cells: _slurm(cells, jobs, dict(options or {}))
    raise UsageError(f"There is no executor {name!r}.", remedy=f"Use one of {', '.join(EXECUTORS)}.")


EXECUTORS = ("serial", "joblib", "ray", "slurm")


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def compute_on(cell: Cell, device: str | None) -> Outcome:
    """Compute a cell on a device: ``cpu``, the number of a GPU, or None for PyTorch's choice."""
    if device == "cpu":
        hide_gpus()
    elif device is not None:
        import torch

        torch.cuda.set_device(int(device))
    return compute(cell)


def hide_gpus() -> None:
    """Let PyTorch see no GPU; works in a process that has not used one yet."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _turns(cells: Sequence[Cell], devices: Sequence[str]) -> Iterator[tuple[Cell, str | None]]:
    for number, cell in enumerate(cells):
        yield cell, devices[number % len(devices)] if devices else None


def _serial(cells: Sequence[Cell], devices: Sequence[str]) -> Iterator[Outcome]:
    for cell, device in _turns(cells, devices):
        yield compute_on(cell, device)


def _joblib(cells: Sequence[Cell], jobs: int, devices: Sequence[str]) -> Iterator[Outcome]:
    from joblib import Parallel, delayed, parallel_config

    if jobs == 1 or len(cells) < 2:
        yield from _serial(cells, devices)
        return
    with parallel_config("loky", inner_max_num_threads=1):
        outcomes = Parallel(n_jobs=min(jobs, len(cells)), return_as="generator_unordered", batch_size=1)(
            delayed(compute_on)(cell, device) for cell, device in _turns(cells, devices)
        )
    try:
        yield from outcomes
    finally:
        outcomes.close()


def _ray(cells: Sequence[Cell], jobs: int, devices: Sequence[str], address: str | None) -> Iterator[Outcome]:
    import ray

    started = not ray.is_initialized()
    if started:
        ray.init(address=address, num_cpus=None if address else jobs, log_to_driver=False)
    gpus = 1 if devices and "cpu" not in devices else 0
    # Ray itself shows each task its own GPU, wherever it runs.
    remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=3)(compute)
    try:
        running = [remote.remote(cell) for cell in cells]
        while running:
            done, running = ray.wait(running, num_returns=1)
            yield from ray.get(done)
    finally:
        for one in running:
            ray.cancel(one, force=True)
        if started:
            ray.shutdown()


def _slurm(cells: Sequence[Cell], jobs: int, options: dict[str, Any]) -> Iterator[Outcome]:
    import submitit
    from submitit.helpers import as_completed

    folder = cells[0].result.parent.parent / "slurm"
    cluster = options.pop("cluster", None)
    executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
    executor.update_parameters(**options)
    # A job of its own for every cell would wait in the queue longer than most of them compute.
    parts = [list(cells[number::jobs]) for number in range(min(jobs, len(cells)))]
    running = [executor.submit(_compute_all, part) for part in parts]
    try:
        for job in as_completed(running):
            yield from job.result()
    except BaseException:
        for job in running:
            job.cancel()
        raise


def _compute_all(cells: list[Cell]) -> list[Outcome]:
    return [compute(cell) for cell in cells]


def _need_gpus(devices: Sequence[str]) -> None:
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for one in devices:
        if one != "cpu" and int(one) >= there:
            raise UsageError(
                f"There is no GPU {one} here.",
                why=f"PyTorch sees {there}.",
                remedy="Leave --devices out, or give cpu.",
            )


def _need(package: str, extra: str) -> None:
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise UsageError(
            f"The executor needs the Python package {package!r}, which is not installed here.",
            remedy=f"pip install 'edge-ecg[{extra}]'",
        )
