"""A laboratory's own recordings: EDF, WFDB and CSV files beside a labels.csv."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import edfio
import numpy as np
import wfdb
from numpy.typing import NDArray


def write_edf(path: Path, ecg_mv: NDArray[np.float64], fs_hz: int = 500) -> None:
    """Whole seconds, with another signal before the ECG; half a step is 0.00006 mV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    other = np.random.default_rng(0).standard_normal(len(ecg_mv))
    edfio.Edf(
        [
            edfio.EdfSignal(x, fs_hz, label=label, physical_dimension="uV", physical_range=(-4000, 4000))
            for label, x in (("EEG Fp1", other), ("ECG", 1000.0 * ecg_mv))
        ]
    ).write(path)


def write_wfdb(path: Path, ecg_mv: NDArray[np.float64], fs_hz: int = 250) -> NDArray[np.float64]:
    """Write PATH.hea and PATH.dat; gives the millivolts that they hold."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digital = np.round(1000.0 * ecg_mv).astype(np.int64)
    wfdb.wrsamp(
        path.name,
        fs=fs_hz,
        units=["mV"],
        sig_name=["ECG"],
        d_signal=digital[:, None],
        fmt=["16"],
        adc_gain=[1000.0],
        baseline=[0],
        write_dir=str(path.parent),
    )
    return digital / 1000.0


def write_csv(path: Path, ecg_mv: NDArray[np.float64], heading: str = "ecg_mv") -> None:
    """One column without times."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([heading, *(repr(float(value)) for value in ecg_mv)]) + "\n")


def write_labels(
    folder: Path,
    rows: Sequence[Mapping[str, object]],
    *,
    separator: str = ",",
    encoding: str = "utf-8",
    columns: Sequence[str] | None = None,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "labels.csv"
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), delimiter=separator, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path
