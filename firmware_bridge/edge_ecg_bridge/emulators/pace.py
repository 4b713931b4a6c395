"""When a virtual device's samples are due, and what they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..stream import BoolArray, FloatArray
from .base import Reservoir, Signal


class Pace:
    """Samples a signal at a device's real rate.

    Parameters
    ----------
    signal:
        One lead; asked for at the real rate, from its beginning at every start.
    fs_hz:
        Nominal rate.
    rate_error:
        Relative: the real rate is ``fs_hz * (1 + rate_error)``.
    loop:
        Begin the signal again when it ends.

    Attributes
    ----------
    real_hz, made, running, over:
        The real rate; samples so far; whether it samples; whether the signal has come to its end.

    """

    def __init__(self, signal: Signal, fs_hz: float, *, rate_error: float = 0.0, loop: bool = False) -> None:
        self.real_hz = fs_hz * (1.0 + rate_error)
        self.made = 0
        self.running = False
        self.over = False
        self._signal = signal
        self._loop = loop
        self._source = Reservoir(iter(()))
        self._first_s = 0.0

    def start(self, first_s: float) -> None:
        """Begin; the first sample is due at ``first_s``."""
        self._source = Reservoir(self._signal(self.real_hz))
        self._first_s = first_s
        self.made = 0
        self.running = True

    def stop(self) -> None:
        """Take no more samples."""
        self.running = False

    @property
    def next_due_s(self) -> float | None:
        """When the next sample is due."""
        return self._first_s + self.made / self.real_hz if self.running else None

    def when(self, state: Callable[[float], bool] | None, index: NDArray[np.int64]) -> BoolArray:
        """Return whether something is so at samples (n,), given for seconds from the first one."""
        if state is None:
            return np.zeros(len(index), dtype=bool)
        return np.array([state(n / self.real_hz) for n in index.tolist()], dtype=bool)

    def take(self, now_s: float) -> FloatArray:
        """Return the samples (n,) due by now, in millivolts; NaN where the signal has a hole."""
        due = int((now_s - self._first_s) * self.real_hz + 1e-6) + 1 - self.made if self.running else 0
        if due <= 0 or now_s < self._first_s:
            return np.zeros(0)
        ecg_mv = self._source.take(due)
        if len(ecg_mv) < due and self._loop:
            self._source = Reservoir(self._signal(self.real_hz))
            ecg_mv = np.concatenate([ecg_mv, self._source.take(due - len(ecg_mv))])
        if len(ecg_mv) < due:
            self.running = False
            self.over = True
        self.made += len(ecg_mv)
        return ecg_mv
