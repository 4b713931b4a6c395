"""EEG During Mental Arithmetic Tasks: ECG of students at rest and while subtracting serially, 500 Hz."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray

from .arrays import keys_of, number, read_array, read_table
from .base import Dataset, Form, Recording

_TABLE, _SAMPLES = "recordings.csv", "ecg_500hz_int16.npz"
_COLUMNS = (
    "key",
    "subject",
    "condition",
    "stress",
    "fs_hz",
    "n_samples",
    "scale_mv_per_lsb",
    "offset_mv",
    "ecg_usable",
)


class Eegmat(Dataset):
    """The labelled set: task ``stress``, 0 at rest (three minutes, always first), 1 arithmetic (one minute)."""

    name = "eegmat"
    title = "EEG During Mental Arithmetic Tasks (its ECG channel)"
    people = 36
    hours = 2.4
    labels = {"stress": ("rest", "stress")}  # noqa: RUF012
    licence = "ODC-BY-1.0"
    citation = (
        "Zyma I, Tukaev S, Seleznov I, Kiyono K, Popov A, Chernykh M, Shpenkov O. Electroencephalograms during "
        "Mental Arithmetic Task Performance. Data 4(1):14, 2019."
    )
    url = "https://physionet.org/content/eegmat/1.0.0/"
    forms = (Form("arrays", (_SAMPLES, _TABLE), ("eegmat", "eegmat-ecg")),)

    def _missing(self, folder: Path, form: Form) -> list[str]:
        return [file for file in form.files if not (folder / file).is_file()]

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        table, samples = folder / _TABLE, folder / _SAMPLES
        rows = read_table(table, _COLUMNS)
        keys_of(samples)
        for row in rows:
            stress = row["stress"]
            if stress not in ("0", "1"):
                raise DataError(f"{table} has stress={stress!r} in row {row['key']}; 0 or 1 is expected.")
            scale, offset = number(row, "scale_mv_per_lsb", table), number(row, "offset_mv", table)
            yield Recording(
                dataset=self.name,
                subject=f"eegmat/{row['subject']}",
                session=row["condition"],
                lead="ECG",
                fs_hz=number(row, "fs_hz", table),
                n_samples=int(number(row, "n_samples", table)),
                load=partial(_load, samples, row["key"], scale, offset),
                labels={"stress": int(stress)},
                usable=row["ecg_usable"] == "1",
            )


def _load(path: Path, key: str, scale_mv_per_lsb: float, offset_mv: float) -> FloatArray:
    return read_array(path, key).astype(np.float64) * scale_mv_per_lsb + offset_mv
