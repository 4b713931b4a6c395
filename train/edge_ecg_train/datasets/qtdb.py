"""QT Database: 15 minutes of two-lead ambulatory ECG of 95 people, 250 Hz, for pretraining."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from edge_ecg.samples import FloatArray

from .arrays import keys_of, number, read_array, read_table
from .base import Dataset, Form, Recording

_TABLE, _SAMPLES = "records.csv", "ecg_250hz_int16.npz"
_COLUMNS = (
    *("record", "source_db", "fs_hz", "n_samples", "lead0", "lead1"),
    *("gain0_lsb_per_mv", "gain1_lsb_per_mv", "baseline0", "baseline1"),
)


class Qtdb(Dataset):
    """Both leads of a record are separate recordings (session ``sel100.0`` and ``sel100.1``) of one person."""

    name = "qtdb"
    title = "QT Database"
    people = 105
    hours = 26.25
    licence = "ODC-BY-1.0"
    citation = (
        "Laguna P, Mark RG, Goldberger AL, Moody GB. A Database for Evaluation of Algorithms for Measurement of QT "
        "and Other Waveform Intervals in the ECG. Computers in Cardiology 24:673-676, 1997."
    )
    url = "https://physionet.org/content/qtdb/1.0.0/"
    forms = (Form("arrays", (_SAMPLES, _TABLE), ("qtdb",)),)

    def _missing(self, folder: Path, form: Form) -> list[str]:
        return [file for file in form.files if not (folder / file).is_file()]

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        table, samples = folder / _TABLE, folder / _SAMPLES
        rows = read_table(table, _COLUMNS)
        keys_of(samples)
        for row in rows:
            record = row["record"]
            for lead in (0, 1):
                gain = number(row, f"gain{lead}_lsb_per_mv", table)
                baseline = number(row, f"baseline{lead}", table)
                yield Recording(
                    dataset=self.name,
                    subject=_person(record, row["source_db"]),
                    session=f"{record}.{lead}",
                    lead=row[f"lead{lead}"],
                    fs_hz=number(row, "fs_hz", table),
                    n_samples=int(number(row, "n_samples", table)),
                    load=partial(_load, samples, record, lead, gain, baseline),
                )


def _load(path: Path, record: str, lead: int, gain_lsb_per_mv: float, baseline: float) -> FloatArray:
    adc = read_array(path, record)
    return (np.atleast_2d(adc)[lead].astype(np.float64) - baseline) / gain_lsb_per_mv


def _person(record: str, source_db: str) -> str:
    """QTDB's sel100 is an excerpt of MIT-BIH Arrhythmia record 100: the same person, whatever the folder."""
    if source_db == "MIT-BIH Arrhythmia":
        return f"mitdb/{record.removeprefix('sel')}"
    return f"qtdb/{record}"
