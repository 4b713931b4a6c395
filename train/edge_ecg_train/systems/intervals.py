"""Interval features of a task's windows, computed once, by the code that runs on a device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import UsageError
from edge_ecg.heads.intervals import INTERVAL_FEATURES, interval_features_of
from edge_ecg.heads.personal import PERSONAL_FEATURES, SOURCES, personal_features

from ..evaluation.baseline import PersonalBaseline
from ..evaluation.data import TaskData

FloatArray = NDArray[np.float64]

_VERSION = 1
"""Of the code behind the cached values: it rises when that code changes a number."""


def intervals_of(data: TaskData, names: Sequence[str]) -> FloatArray:
    """Return the interval features of all rows, (n, len(names)); NaN where not determined.

    Raises
    ------
    UsageError
        When a name is not one of ``INTERVAL_FEATURES``.

    """
    check_intervals(names)
    key = f"interval features {_VERSION}: {', '.join(INTERVAL_FEATURES)}"
    found = data.cached(key, lambda: interval_features_of(data.windows, INTERVAL_FEATURES))
    return np.asarray(found[:, [INTERVAL_FEATURES.index(name) for name in names]], np.float64)


def check_intervals(names: Sequence[str]) -> None:
    """Raise a UsageError when a name is not one of ``INTERVAL_FEATURES``."""
    unknown = [name for name in names if name not in INTERVAL_FEATURES]
    if unknown or not names:
        raise UsageError(
            f"There is no interval feature {', '.join(map(repr, unknown)) or '(none was given)'}.",
            remedy=f"Take some of {', '.join(INTERVAL_FEATURES)}.",
        )


def personal_intervals_of(data: TaskData, baseline: PersonalBaseline, names: Sequence[str]) -> FloatArray:
    """Return interval features in the person's own measure, (n, len(names)).

    NaN where not determined, and in rows that cannot be compared with the baseline.
    """
    return baseline.compare(
        intervals_of(data, SOURCES), lambda values, rest: personal_features(values, rest, names), len(names)
    )


def check_personal(names: Sequence[str]) -> None:
    """Raise a UsageError when a name is not one of ``PERSONAL_FEATURES``."""
    unknown = [name for name in names if name not in PERSONAL_FEATURES]
    if unknown:
        raise UsageError(
            f"There is no personal feature {', '.join(map(repr, unknown))}.",
            remedy=f"Take some of {', '.join(PERSONAL_FEATURES)}.",
        )
