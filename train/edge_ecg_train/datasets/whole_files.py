"""For data sets that keep many recordings in one large file: read it once, and go on past a damaged one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray

from .base import Recording
from .files import failing


def version_of(path: Path) -> tuple[int, int]:
    """Size and time of change: the key under which what was read of a file may be kept.

    Raises
    ------
    DataError
        When the file is not there.

    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise DataError(f"{path} is missing.", remedy="Get the file again.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read.", why=f"{error.strerror}.") from None
    return stat.st_size, stat.st_mtime_ns


def unreadable(dataset: str, subject: str, session: str, fs_hz: float, error: DataError) -> Recording:
    """A recording that says what is wrong when it is loaded, so that a check can go on to the next one."""
    load = partial(failing, error)
    return Recording(dataset, subject, session, lead="ECG", fs_hz=fs_hz, n_samples=0, load=load)


def has_signal(ecg: FloatArray) -> bool:
    """Whether samples are there and move at all; what is lost throughout or stands still holds no ECG."""
    finite = ecg[np.isfinite(ecg)]
    return len(finite) > 0 and float(np.ptp(finite)) > 0.0
