"""QT Database: 15 minutes of two-lead ambulatory ECG of 105 people, 250 Hz, for pretraining."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from edge_ecg.samples import FloatArray

from .arrays import keys_of, number, read_array, read_table
from .base import Dataset, Form, Recording
from .files import file_recording

_TABLE, _SAMPLES = "records.csv", "ecg_250hz_int16.npz"
_COLUMNS = (
    *("record", "fs_hz", "n_samples", "lead0", "lead1"),
    *("gain0_lsb_per_mv", "gain1_lsb_per_mv", "baseline0", "baseline1"),
)
_LEADS = (0, 1)


class Qtdb(Dataset):
    """Both leads of a record are recordings of one person, in sessions ``sel100.0`` and ``sel100.1``."""

    name = "qtdb"
    title = "QT Database"
    people = 105
    hours = 26.25
    caution = "Mostly patients, many with arrhythmias; no affect labels."
    licence = "ODC-BY-1.0"
    citation = (
        "Laguna P, Mark RG, Goldberger AL, Moody GB. A Database for Evaluation of Algorithms for Measurement "
        "of QT and Other Waveform Intervals in the ECG. Computers in Cardiology 24:673-676, 1997."
    )
    url = "https://physionet.org/content/qtdb/1.0.0/"
    forms = (
        Form("arrays", (_SAMPLES, _TABLE), ("qtdb",)),
        Form("WFDB", ("sel*.hea",), ("qtdb", "qt-database-1.0.0")),
    )

    def _expected(self, form: Form) -> Iterable[str]:
        return form.files if form.name == "arrays" else ()

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        return self._from_arrays(folder) if form.name == "arrays" else self._from_records(folder)

    def _from_arrays(self, folder: Path) -> Iterator[Recording]:
        table, samples = folder / _TABLE, folder / _SAMPLES
        rows = read_table(table, _COLUMNS)
        keys_of(samples)
        for row in rows:
            record = row["record"]
            for lead in _LEADS:
                gain = number(row, f"gain{lead}_lsb_per_mv", table)
                baseline = number(row, f"baseline{lead}", table)
                yield Recording(
                    dataset=self.name,
                    subject=_person(record),
                    session=f"{record}.{lead}",
                    lead=row[f"lead{lead}"],
                    fs_hz=number(row, "fs_hz", table),
                    n_samples=int(number(row, "n_samples", table)),
                    load=partial(_load, samples, record, lead, gain, baseline),
                )

    def _from_records(self, folder: Path) -> Iterator[Recording]:
        for header in sorted(folder.glob("sel*.hea")):
            for lead in _LEADS:
                yield file_recording(
                    header,
                    str(lead),
                    dataset=self.name,
                    subject=_person(header.stem),
                    session=f"{header.stem}.{lead}",
                )


def _load(path: Path, record: str, lead: int, gain_lsb_per_mv: float, baseline: float) -> FloatArray:
    adc = np.atleast_2d(read_array(path, record))[lead].astype(np.float64)
    ecg_mv: FloatArray = (adc - baseline) / gain_lsb_per_mv
    return ecg_mv


def _person(record: str) -> str:
    """QTDB's sel100 to sel234 are excerpts of MIT-BIH Arrhythmia records 100 to 234: the same people."""
    number = record.removeprefix("sel")
    return f"mitdb/{number}" if re.fullmatch(r"[12]\d\d", number) else f"qtdb/{record}"
