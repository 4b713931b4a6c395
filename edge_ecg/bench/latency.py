"""Latency of several engines in one interleaved run.

On a machine that others use too, single medians wander by a factor of two between runs; taking turns window
by window puts all engines through the same weather, so that their ratios hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..engines import Encoder


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds for one window, after the warm-up."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    windows: int


def interleaved(
    encoders: Mapping[str, Encoder],
    windows: NDArray[np.float32],
    *,
    rounds: int,
    warm_up: int,
    clock: Callable[[], float] = time.perf_counter,
    after_round: Callable[[], object] = lambda: None,
) -> dict[str, Latency]:
    """Time one window at a time, engine after engine, ``rounds`` times after ``warm_up`` untimed rounds."""
    taken: dict[str, list[float]] = {name: [] for name in encoders}
    for round_number in range(warm_up + rounds):
        index = round_number % len(windows)
        window = windows[index : index + 1]
        for name, encoder in encoders.items():
            started = clock()
            encoder.embed(window)
            if round_number >= warm_up:
                taken[name].append(1e3 * (clock() - started))
        after_round()
    return {name: _percentiles(values) for name, values in taken.items()}


def _percentiles(values_ms: list[float]) -> Latency:
    p50, p90, p99 = (float(value) for value in np.percentile(values_ms, (50, 90, 99)))
    return Latency(p50, p90, p99, max(values_ms), len(values_ms))
