"""MIT-BIH Arrhythmia Database: half-hour ambulatory ECG of 47 people, 360 Hz, for pretraining."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray

from .arrays import array_length, keys_of, read_array
from .base import Dataset, Form, Recording
from .files import file_recording

_SAMPLES = "ecg_360hz_int16.npz"
_RECORDS = "[12][0-9][0-9].hea"
_FS_HZ = 360.0
_GAIN_LSB_PER_MV = 200.0


class Mitdb(Dataset):
    """The first lead of each record; the arrays hold steps of 1/200 mV, the converter's baseline removed."""

    name = "mitdb"
    title = "MIT-BIH Arrhythmia Database"
    people = 47
    hours = 24.0
    caution = (
        "Patients, chosen for their arrhythmias; no affect labels; QTDB holds excerpts of the same records."
    )
    licence = "ODC-BY-1.0"
    citation = (
        "Moody GB, Mark RG. The impact of the MIT-BIH Arrhythmia Database. IEEE Engineering in Medicine and "
        "Biology 20(3):45-50, 2001."
    )
    url = "https://physionet.org/content/mitdb/1.0.0/"
    forms = (
        Form("arrays", (_SAMPLES,), ("mitdb", "mitdb-subset")),
        Form("WFDB", (_RECORDS,), ("mitdb", "mit-bih-arrhythmia-database-1.0.0")),
    )

    def _expected(self, form: Form) -> Iterable[str]:
        return form.files if form.name == "arrays" else ()

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        return self._from_arrays(folder / _SAMPLES) if form.name == "arrays" else self._from_records(folder)

    def _from_arrays(self, samples: Path) -> Iterator[Recording]:
        for key in keys_of(samples):
            if re.fullmatch(r"r\d+", key):
                try:
                    n_samples = array_length(samples, key)
                except DataError:
                    # Loading it is going to say the same, and a check goes on to the next record.
                    n_samples = 0
                yield Recording(
                    dataset=self.name,
                    subject=_person(key[1:]),
                    session=key[1:],
                    lead="first",
                    fs_hz=_FS_HZ,
                    n_samples=n_samples,
                    load=partial(_load, samples, key),
                )

    def _from_records(self, folder: Path) -> Iterator[Recording]:
        for header in sorted(folder.glob(_RECORDS)):
            yield file_recording(
                header, "0", dataset=self.name, subject=_person(header.stem), session=header.stem
            )


def _load(path: Path, key: str) -> FloatArray:
    ecg_mv: FloatArray = read_array(path, key).astype(np.float64) / _GAIN_LSB_PER_MV
    return ecg_mv


def _person(record: str) -> str:
    """Records 201 and 202 are of one man (MIT-BIH Arrhythmia Database Directory)."""
    return "mitdb/201" if record == "202" else f"mitdb/{record}"
