"""Faults of the signal: what electrodes, mains and muscles do to an ECG before any device sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..emulators.base import Motion, Signal, at_rest
from ..stream import BoolArray, FloatArray
from .catalogue import Layer, PlannedFault, by_layer

MAINS_HZ = 50.0
_HUM_MV = 1.5
_LOOSE_HUM_MV = 0.4
_BEYOND_MV = 1e4
_MUSCLE_MV = 0.8
_SWAY_MV = 2.0
_SHAKE_HZ = (1.9, 2.7, 3.4)
_SHAKE_G = 0.35


class FaultySignal:
    """A signal with faults; see :data:`edge_ecg_bridge.emulators.Signal`.

    Same seed, same noise; the chunks in which the signal comes do not matter.
    """

    def __init__(self, signal: Signal, faults: Sequence[PlannedFault], *, seed: int = 0) -> None:
        self._signal = signal
        self._faults = by_layer(faults, Layer.SIGNAL)
        self._seed = seed

    def __call__(self, fs_hz: float) -> Iterator[FloatArray]:
        """Yield the signal in millivolts, harmed where it is their time."""
        rngs = [np.random.default_rng((self._seed, number)) for number in range(len(self._faults))]
        done = 0
        for chunk in self._signal(fs_hz):
            t_s = (done + np.arange(len(chunk))) / fs_hz
            done += len(chunk)
            for plan, rng in zip(self._faults, rngs, strict=True):
                on = active(plan, t_s)
                if plan.name == "motion":  # drawn all the time, so that chunks do not matter
                    chunk = np.where(on, chunk + _movement(t_s, rng), chunk)
                elif on.any():
                    chunk = np.where(on, _HARM[plan.name](chunk, t_s), chunk)
            yield chunk


def active(plan: PlannedFault, t_s: FloatArray) -> BoolArray:
    """Mark the times, (n,), at which a fault lasts."""
    since = t_s - plan.at_s
    if np.isfinite(plan.every_s):
        since = np.where(since >= 0, since % plan.every_s, since)
    on: BoolArray = (since >= 0) & (since < plan.seconds)
    return on


def _mains(ecg_mv: FloatArray, t_s: FloatArray) -> FloatArray:
    return ecg_mv + _HUM_MV * np.sin(2 * np.pi * MAINS_HZ * t_s)


def _saturate(ecg_mv: FloatArray, t_s: FloatArray) -> FloatArray:
    return np.full_like(ecg_mv, _BEYOND_MV)


def _loose(ecg_mv: FloatArray, t_s: FloatArray) -> FloatArray:
    """Return what an open input picks up: hum on a slow drift, and no heart."""
    return _LOOSE_HUM_MV * np.sin(2 * np.pi * MAINS_HZ * t_s) + 0.3 * np.sin(2 * np.pi * 0.11 * t_s)


_HARM: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "mains": _mains,
    "saturate": _saturate,
    "lead-off": _loose,
}


def _movement(t_s: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return a swaying baseline and the muscles above it."""
    sway = sum(np.sin(2 * np.pi * hz * t_s + i) for i, hz in enumerate(_SHAKE_HZ)) / len(_SHAKE_HZ)
    return _SWAY_MV * np.asarray(sway) + rng.normal(0.0, _MUSCLE_MV, len(t_s))


class Shaken:
    """What an accelerometer feels when its wearer moves at the times of the fault ``motion``."""

    def __init__(self, plans: Sequence[PlannedFault], still: Motion = at_rest) -> None:
        self._plans = plans
        self._still = still

    def __call__(self, t_s: FloatArray) -> FloatArray:
        """Return the acceleration, (n, 3) in g."""
        shaking = np.stack([np.sin(2 * np.pi * hz * t_s) for hz in _SHAKE_HZ], axis=1) * _SHAKE_G
        moving = np.any([active(plan, t_s) for plan in self._plans], axis=0)
        felt: FloatArray = self._still(t_s) + np.where(moving[:, None], shaking, 0.0)
        return felt
