"""MIT-BIH Arrhythmia Database: half-hour ambulatory ECG, 360 Hz, for pretraining."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from edge_ecg.samples import FloatArray

from .arrays import array_length, keys_of, read_array
from .base import Dataset, Form, Recording

_SAMPLES = "ecg_360hz_int16.npz"
_FS_HZ = 360.0
_GAIN_LSB_PER_MV = 200.0


class Mitdb(Dataset):
    """Lead 0 of each record; the arrays hold integers of 1/200 mV without the converter's baseline."""

    name = "mitdb"
    title = "MIT-BIH Arrhythmia Database"
    people = 47
    hours = 24.0
    licence = "ODC-BY-1.0"
    citation = (
        "Moody GB, Mark RG. The impact of the MIT-BIH Arrhythmia Database. IEEE Engineering in Medicine and Biology "
        "20(3):45-50, 2001."
    )
    url = "https://physionet.org/content/mitdb/1.0.0/"
    forms = (Form("arrays", (_SAMPLES,), ("mitdb", "mitdb-subset")),)

    def _missing(self, folder: Path, form: Form) -> list[str]:
        return [file for file in form.files if not (folder / file).is_file()]

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        samples = folder / _SAMPLES
        for key in keys_of(samples):
            if not re.fullmatch(r"r\d+", key):
                continue
            yield Recording(
                dataset=self.name,
                subject=f"mitdb/{key[1:]}",
                session=key[1:],
                lead="MLII",
                fs_hz=_FS_HZ,
                n_samples=array_length(samples, key),
                load=partial(_load, samples, key),
            )


def _load(path: Path, key: str) -> FloatArray:
    return read_array(path, key).astype(np.float64) / _GAIN_LSB_PER_MV
