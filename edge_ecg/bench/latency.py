"""Latency of several engines in one interleaved run.

On a machine that others use too, single medians wander by a factor of two between runs; taking turns window
by window puts all engines through the same weather, so that their ratios hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..engines import Encoder

# Below it, one window in a hundred is a matter of luck.
ENOUGH_FOR_P99 = 1000
# However slow the machine: fewer say nothing at all.
LEAST_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds for one window, after the warm-up.

    Attributes
    ----------
    windows:
        How many were timed.
    samples_ms:
        Each of them, in order.

    """

    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    windows: int
    samples_ms: tuple[float, ...] = field(repr=False)

    @classmethod
    def of(cls, samples_ms: Sequence[float]) -> Latency:
        """Sum up; ValueError without any sample."""
        if not samples_ms:
            raise ValueError("nothing was timed")
        p50, p90, p95, p99 = (float(value) for value in np.percentile(samples_ms, (50, 90, 95, 99)))
        return cls(p50, p90, p95, p99, max(samples_ms), len(samples_ms), tuple(samples_ms))


def interleaved(
    encoders: Mapping[str, Encoder],
    windows: NDArray[np.float32],
    *,
    rounds: int,
    warm_up: int,
    budget_s: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
    after_round: Callable[[], object] = lambda: None,
) -> dict[str, Latency]:
    """Time one window at a time, engine after engine, ``rounds`` times after ``warm_up`` untimed rounds.

    Parameters
    ----------
    encoders:
        By name.
    windows:
        (n, 2560); they are taken in turn.
    rounds, warm_up:
        How many, at least 1 and 0.
    budget_s:
        Seconds after which a slow machine stops early, though not before 30 rounds; None for no end.
    clock:
        Seconds.
    after_round:
        Is called between rounds, untimed.

    """
    taken: dict[str, list[float]] = {name: [] for name in encoders}
    begin_s = clock()
    for round_number in range(warm_up + rounds):
        timed = round_number - warm_up
        if budget_s is not None and timed >= LEAST_ROUNDS and clock() - begin_s >= budget_s:
            break
        index = round_number % len(windows)
        window = windows[index : index + 1]
        for name, encoder in encoders.items():
            started = clock()
            encoder.embed(window)
            if timed >= 0:
                taken[name].append(1e3 * (clock() - started))
        after_round()
    return {name: Latency.of(values) for name, values in taken.items()}
