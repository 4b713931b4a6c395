"""A column of time stamps: what it says about the rate and about lost samples."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...samples import FloatArray
from ...signal.resample import MAX_FS_HZ, MIN_FS_HZ

SECONDS_PER = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_SPELLINGS = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "ms": "ms", "msec": "ms", "millis": "ms", "millisecond": "ms", "milliseconds": "ms",
    "us": "us", "µs": "us", "μs": "us", "usec": "us", "micros": "us", "microsecond": "us",
    "microseconds": "us",
    "ns": "ns", "nsec": "ns", "nanos": "ns", "nanosecond": "ns", "nanoseconds": "ns",
}  # fmt: skip
_TIME_NAME = re.compile(r"\b(times?|timestamps?|datetime|t|seconds|millis|micros)\b")
_WORDS = re.compile(r"[^\W_]+")
# Stamps rounded to whole milliseconds count samples rightly up to 512 Hz, beyond that no longer.
_COARSEST = 0.52


def is_time_name(name: str) -> bool:
    """Whether a column's name says that it holds time."""
    return _TIME_NAME.search(" ".join(_WORDS.findall(name.lower()))) is not None


def unit_of(name: str, unit: str = "") -> str | None:
    """The unit of time that a column's name or its unit row carries: s, ms, us or ns."""
    for word in (unit.strip().lower(), *reversed(_WORDS.findall(name.lower()))):
        if word in _SPELLINGS:
            return _SPELLINGS[word]
    return None


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """A column whose stamps are good enough to count samples by.

    Attributes
    ----------
    seconds_per_unit:
        What one of its units is.
    fs_hz:
        The sampling rate.

    """

    seconds_per_unit: float
    fs_hz: float

    def steps(self, stamps: FloatArray) -> NDArray[np.int64]:
        """How many samples each stamp is after the one before (1 without a loss), from (n,) to (n - 1,).

        Counted step by step, so that a rate that is slightly off never adds up to a loss.
        """
        steps = np.round(np.diff(stamps) * self.seconds_per_unit * self.fs_hz)
        return np.asarray(np.clip(steps, -(2.0**53), 2.0**53), dtype=np.int64)


def guess_unit(stamps: FloatArray) -> str | None:
    """The unit in which the usual step is a rate that edge-ecg takes; None when there is none.

    The ranges of seconds, milli-, micro- and nanoseconds do not overlap. A step of exactly one is left out:
    that would be the number of a row.
    """
    usual = _usual_step(stamps)
    if usual == 1.0:
        return None
    for unit, seconds in SECONDS_PER.items():
        if 1.0 / MAX_FS_HZ <= usual * seconds <= 1.0 / MIN_FS_HZ:
            return unit
    return None


def measure_rate(stamps: FloatArray, seconds_per_unit: float) -> float | None:
    """The sampling rate in Hz, or None when the stamps do not tell it.

    The mean over all steps that are no gap; rounded to a whole number where the resolution of the stamps
    allows no finer statement.
    """
    regular = _regular_steps(stamps) * seconds_per_unit
    if len(regular) < 2 or not regular.sum() > 0:
        return None
    fs_hz = len(regular) / float(regular.sum())
    doubt = max(2.0 * _resolution(stamps) * seconds_per_unit / float(regular.sum()), 1e-6)
    return float(round(fs_hz)) if abs(round(fs_hz) - fs_hz) <= doubt * fs_hz else fs_hz


def is_even(stamps: FloatArray, seconds_per_unit: float, fs_hz: float) -> bool:
    """Whether the stamps tell a loss from jitter: fine enough, no step nearer to none than to one sample."""
    samples_per_unit = seconds_per_unit * fs_hz
    steps = np.diff(stamps) * samples_per_unit
    steps = steps[np.isfinite(steps)]
    fine = _resolution(stamps) * samples_per_unit <= _COARSEST
    return fine and bool(np.all(steps >= 0.5) and np.mean(steps < 1.5) > 0.5)


def _regular_steps(stamps: FloatArray) -> FloatArray:
    """The steps that are one sample long, by the look of the usual one."""
    steps = np.diff(stamps)
    usual = _usual_step(stamps)
    return steps[np.abs(steps - usual) <= 0.501 * usual]


def _usual_step(stamps: FloatArray) -> float:
    steps = np.diff(stamps)
    steps = steps[np.isfinite(steps)]
    return float(np.median(steps)) if len(steps) else 0.0


def _resolution(stamps: FloatArray) -> float:
    """The smallest difference between two steps' lengths: 1 for whole milliseconds, 0 for exact seconds."""
    apart = np.diff(np.unique(_regular_steps(stamps)))
    apart = apart[apart > 1e-6 * _usual_step(stamps)]
    return float(apart.min()) if len(apart) else 0.0
