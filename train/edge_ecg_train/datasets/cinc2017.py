"""CinC Challenge 2017: short recordings with a handheld's dry electrodes, 300 Hz, for pretraining."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import numpy as np

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray
from edge_ecg.sources.files.wfdb_header import read_header

from .arrays import keys_of, number, read_array, read_table
from .base import Dataset, Form, Recording

_TABLE, _SAMPLES = "labels.csv", "ecg_300hz_int16.npz"
_RECORDS = "A[0-9][0-9][0-9][0-9][0-9].hea"
_INT16 = 30  # MATLAB level 4: little-endian, 16-bit signed integers, a full matrix


class Cinc2017(Dataset):
    """One recording a case; who recorded several is not published, so each case counts as a person."""

    name = "cinc2017"
    title = "AF Classification from a Short Single Lead ECG Recording (CinC Challenge 2017, validation set)"
    people = 300
    hours = 2.6
    caution = "Rhythm disorders and much motion; no affect labels; people are not named."
    licence = "ODC-BY-1.0"
    citation = (
        "Clifford GD, Liu C, Moody B, et al. AF Classification from a Short Single Lead ECG Recording: the "
        "PhysioNet/Computing in Cardiology Challenge 2017. Computing in Cardiology 44, 2017."
    )
    url = "https://physionet.org/content/challenge-2017/1.0.0/"
    forms = (
        Form("arrays", (_SAMPLES, _TABLE), ("cinc2017", "cinc2017-val")),
        Form("WFDB + MATLAB", (_RECORDS,), ("validation", "cinc2017", "cinc2017/validation")),
    )

    def _expected(self, form: Form) -> Iterable[str]:
        return form.files if form.name == "arrays" else ()

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        return self._from_arrays(folder) if form.name == "arrays" else self._from_records(folder)

    def _from_arrays(self, folder: Path) -> Iterator[Recording]:
        table, samples = folder / _TABLE, folder / _SAMPLES
        rows = read_table(table, ("record", "fs_hz", "n_samples", "gain_lsb_per_mv"))
        keys_of(samples)
        for row in rows:
            yield Recording(
                dataset=self.name,
                subject=f"cinc2017/{row['record']}",
                session=row["record"],
                lead="ECG",
                fs_hz=number(row, "fs_hz", table),
                n_samples=int(number(row, "n_samples", table)),
                load=partial(_load, samples, row["record"], number(row, "gain_lsb_per_mv", table)),
            )

    def _from_records(self, folder: Path) -> Iterator[Recording]:
        for header in sorted(folder.glob(_RECORDS)):
            yield _from_record(header)


def _load(path: Path, record: str, gain_lsb_per_mv: float) -> FloatArray:
    ecg_mv: FloatArray = read_array(path, record).astype(np.float64) / gain_lsb_per_mv
    return ecg_mv


def _from_record(path: Path) -> Recording:
    """A .hea file and the .mat beside it.

    The general WFDB reader refuses these records: their headers give 0 for every checksum.
    """
    make = partial(Recording, dataset=Cinc2017.name, subject=f"cinc2017/{path.stem}", session=path.stem)
    try:
        header = read_header(path)
    except (DataError, OSError) as error:
        return make(lead="ECG", fs_hz=1.0, n_samples=0, load=partial(_fail, path, str(error)))
    signal = header.signals[0]
    samples = header.frames or 0
    load = partial(_load_mat, path.with_suffix(".mat"), samples, signal.gain or 1.0)
    return make(lead=signal.description, fs_hz=header.frame_hz, n_samples=samples, load=load)


def _load_mat(path: Path, samples: int, gain_lsb_per_mv: float) -> FloatArray:
    """Read a MATLAB level 4 file of one row of int16 named "val"."""
    try:
        data = path.read_bytes()
    except OSError as error:
        _fail(path, f"{error.strerror}.")
    if data[:24] != struct.pack("<5i4s", _INT16, 1, samples, 0, 4, b"val\0") or len(data) != 24 + 2 * samples:
        _fail(path, f"It is not {samples} samples of 16 bits as its header says.")
    return np.frombuffer(data, "<i2", offset=24).astype(np.float64) / gain_lsb_per_mv


def _fail(path: Path, why: str) -> NoReturn:
    raise DataError(f"{path.name} is damaged or missing.", why=why, remedy="Get the file again.")
