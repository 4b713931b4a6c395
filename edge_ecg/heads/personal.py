"""What of a window's beat intervals is unusual for this person: features relative to a personal baseline.

A heart that varies by ten beats a minute at rest may do so again without any reason; one that never does may
not. So the change of the heart rate is measured in the person's own standard deviation at rest, which the
intervals of a minute tell well enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

SOURCES: tuple[str, ...] = ("heart_rate_bpm", "sdnn_ms", "rmssd_ms")
"""The interval features (:mod:`edge_ecg.heads.intervals`) that the personal ones are made of."""

# Heart rates are medians over ten beats or so: nobody's is known to better than about one beat a minute.
_RESOLUTION_BPM = 1.0
_LEAST_DEVIATION_MS = 1.0


def _heart_rate_z(window: FloatArray, rest: FloatArray) -> FloatArray:
    rate, sdnn_ms = rest[0], rest[1]
    # d(60/RR) = 60/RR² dRR: a deviation in milliseconds as one in beats a minute.
    deviation_bpm = 1e-3 * sdnn_ms * rate**2 / 60.0
    return np.asarray((window[:, 0] - rate) / np.hypot(deviation_bpm, _RESOLUTION_BPM))


def _log_change(index: int) -> Callable[[FloatArray, FloatArray], FloatArray]:
    def change(window: FloatArray, rest: FloatArray) -> FloatArray:
        return _log(window[:, index]) - _log(rest[index])

    return change


def _log(milliseconds: ArrayLike) -> FloatArray:
    return np.log(np.maximum(np.asarray(milliseconds, dtype=np.float64), _LEAST_DEVIATION_MS))


_FEATURES: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "heart_rate_z": _heart_rate_z,
    "log_sdnn_change": _log_change(1),
    "log_rmssd_change": _log_change(2),
}

PERSONAL_FEATURES: tuple[str, ...] = tuple(_FEATURES)
"""All names, each with its meaning in :func:`personal_features`."""


def personal_features(
    windows: ArrayLike, rest: ArrayLike, names: Sequence[str] = PERSONAL_FEATURES
) -> FloatArray:
    """Interval features of windows, relative to the same person's at rest.

    Parameters
    ----------
    windows:
        (n, 3) the interval features ``SOURCES`` of each window; NaN where not determined.
    rest:
        (3,) the medians of the same over the person's baseline.
    names:
        Which features, in the order wanted:

        ``heart_rate_z``
            The change of the heart rate, over the person's own standard deviation at rest: SDNN turned into
            beats a minute by the slope of 60/RR, and one beat a minute of measurement error beside it.
        ``log_sdnn_change``, ``log_rmssd_change``
            Natural logarithms minus those at rest; deviations below 1 ms count as 1 ms.

    Returns
    -------
    (n, k) float64; NaN where a value that it needs is NaN.

    Raises
    ------
    ValueError
        When a name is not one of ``PERSONAL_FEATURES``, or the shapes are others.

    """
    given, baseline = np.asarray(windows, dtype=np.float64), np.asarray(rest, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != len(SOURCES) or baseline.shape != (len(SOURCES),):
        raise ValueError(
            f"windows {given.shape} and rest {baseline.shape} do not hold {len(SOURCES)} features"
        )
    unknown = [name for name in names if name not in _FEATURES]
    if unknown:
        raise ValueError(f"there is no personal feature {unknown[0]!r}; known are {', '.join(_FEATURES)}")
    columns = [_FEATURES[name](given, baseline) for name in names]
    return np.stack(columns, axis=1) if columns else np.empty((len(given), 0))
