"""Synthetic ECG whose beats are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray


@dataclass(frozen=True)
class Synthetic:
    ecg_mv: NDArray[np.float64]
    beats_s: NDArray[np.float64]


def _synthetic(
    fs_hz: float,
    duration_s: float,
    *,
    bpm: float = 70.0,
    jitter: float = 0.03,
    sign: float = 1.0,
    seed: int = 0,
) -> Synthetic:
    """P, Q, R, S and T as Gaussians (amplitude mV, centre s, width s) around each beat."""
    rng = np.random.default_rng(seed)
    rr = 60.0 / bpm * (1.0 + jitter * rng.standard_normal(int(duration_s * bpm / 60.0) + 2))
    beats = 0.4 + np.concatenate([[0.0], np.cumsum(rr)])
    beats = beats[beats < duration_s - 0.4]
    t = np.arange(round(duration_s * fs_hz)) / fs_hz
    ecg = np.zeros(len(t))
    for amplitude, centre, width in (
        (0.12, -0.17, 0.025),
        (-0.12, -0.028, 0.009),
        (1.0, 0.0, 0.011),
        (-0.22, 0.03, 0.010),
        (0.28, 0.25, 0.045),
    ):
        for beat in beats:
            lo, hi = np.searchsorted(t, [beat + centre - 6 * width, beat + centre + 6 * width])
            ecg[lo:hi] += amplitude * np.exp(-0.5 * ((t[lo:hi] - beat - centre) / width) ** 2)
    return Synthetic(sign * ecg + 0.01 * rng.standard_normal(len(t)), beats)


@pytest.fixture(scope="session")
def synthetic_ecg() -> Callable[..., Synthetic]:
    return _synthetic
