"""EEG During Mental Arithmetic Tasks: ECG of students at rest and while subtracting serially, 500 Hz."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray

from .arrays import keys_of, number, read_array, read_table
from .base import Dataset, Form, Recording
from .files import file_recording

_TABLE, _SAMPLES = "recordings.csv", "ecg_500hz_int16.npz"
_COLUMNS = (
    *("key", "subject", "condition", "stress", "fs_hz", "n_samples"),
    *("scale_mv_per_lsb", "offset_mv", "ecg_usable"),
)
_EDF = "Subject[0-3][0-9]_[12].edf"
_EDF_CHANNEL = "ECG ECG"
_CONDITIONS = ("rest", "arithmetic")
# The electrode was off in these: no QRS complex can be seen. The owners' own table does not say so.
_ELECTRODE_OFF = {("S02", "rest"), ("S13", "rest"), ("S20", "arithmetic"), ("S35", "arithmetic")}


class Eegmat(Dataset):
    """The labelled set: task ``stress``, 0 at rest (3 minutes, always first), 1 arithmetic (1 minute)."""

    name = "eegmat"
    title = "EEG During Mental Arithmetic Tasks (its ECG channel)"
    people = 36
    hours = 2.4
    labels = MappingProxyType({"stress": ("rest", "stress")})
    caution = (
        "Cognitive stress from one stressor (a minute of serial subtraction, always after rest) in healthy "
        "students of 16 to 26 years, seated in a laboratory."
    )
    licence = "ODC-BY-1.0"
    citation = (
        "Zyma I, Tukaev S, Seleznov I, Kiyono K, Popov A, Chernykh M, Shpenkov O. Electroencephalograms "
        "during Mental Arithmetic Task Performance. Data 4(1):14, 2019."
    )
    url = "https://physionet.org/content/eegmat/1.0.0/"
    forms = (
        Form("arrays", (_SAMPLES, _TABLE), ("eegmat", "eegmat-ecg")),
        Form("EDF", (_EDF,), ("eegmat", "eeg-during-mental-arithmetic-tasks-1.0.0")),
    )

    def _expected(self, form: Form) -> Iterable[str]:
        if form.name == "arrays":
            return form.files
        return [f"Subject{person:02}_{part}.edf" for person in range(self.people) for part in (1, 2)]

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        return self._from_arrays(folder) if form.name == "arrays" else self._from_edf(folder)

    def _from_arrays(self, folder: Path) -> Iterator[Recording]:
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

    def _from_edf(self, folder: Path) -> Iterator[Recording]:
        for path in sorted(folder.glob(_EDF)):
            found = re.fullmatch(r"Subject(\d\d)_([12])", path.stem)
            assert found is not None
            person, stress = f"S{found[1]}", int(found[2]) - 1
            yield file_recording(
                path,
                _EDF_CHANNEL,
                dataset=self.name,
                subject=f"eegmat/{person}",
                session=_CONDITIONS[stress],
                labels={"stress": stress},
                usable=(person, _CONDITIONS[stress]) not in _ELECTRODE_OFF,
            )


def _load(path: Path, key: str, scale_mv_per_lsb: float, offset_mv: float) -> FloatArray:
    ecg_mv: FloatArray = read_array(path, key).astype(np.float64) * scale_mv_per_lsb + offset_mv
    return ecg_mv
