"""Drives as PhysioNet passes them on: WFDB records whose signals have several samples a frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

ECG_PER_FRAME = 32
_SIGNALS = (("EMG", 1), ("foot GSR", 2), ("hand GSR", 2), ("RESP", 2))


def write_drives(
    folder: Path, ecg_mv: Mapping[str, NDArray[np.float64]], *, frame_hz: float = 15.5
) -> dict[str, NDArray[np.int64]]:
    """Write a record a drive; gives the converter's values of the ECG (1000 steps a millivolt)."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for number, (name, x) in enumerate(ecg_mv.items()):
        frames = len(x) // ECG_PER_FRAME
        rng = np.random.default_rng(number)
        digital = [np.round(1000.0 * x[: frames * ECG_PER_FRAME]).astype(np.int64)]
        digital += [rng.integers(-900, 900, frames * per_frame) for _, per_frame in _SIGNALS]
        names = ["ECG", *(signal for signal, _ in _SIGNALS)]
        wfdb.wrsamp(
            name,
            fs=frame_hz,
            units=["mV"] * len(names),
            sig_name=names,
            e_d_signal=digital,
            samps_per_frame=[ECG_PER_FRAME, *(per_frame for _, per_frame in _SIGNALS)],
            fmt=["16"] * len(names),
            adc_gain=[1000.0] * len(names),
            baseline=[0] * len(names),
            write_dir=str(folder),
        )
        written[name] = digital[0]
    return written
