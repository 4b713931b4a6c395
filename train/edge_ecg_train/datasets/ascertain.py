"""ASCERTAIN: two leads of a Shimmer while 58 people watched 36 film clips, 256 Hz, a MATLAB file a clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray

from .base import Form, Recording, Span
from .matlab import damaged, matrix, read_mat
from .shimmer import at_their_times, millivolts
from .two_leads import TwoLeadDataset
from .whole_files import unreadable, version_of

_PEOPLE, _CLIPS = 58, 36
_FS_HZ = 256.0
_ECG = ("ASCERTAIN_Raw/ECGData", "ECGData")
_RATINGS = ("ASCERTAIN_Features/Dt_SelfReports.mat", "Dt_SelfReports.mat")
# Rows of Ratings. Arousal runs from 0 to 6, valence from -3 to 3.
_FIELDS = ("arousal", "valence", "engagement", "liking", "familiarity")
# From person 9 on, the columns hold three more channels between time and ECG.
_WIDE_FROM, _NARROW_COLUMNS, _WIDE_COLUMNS = 9, (1, 2), (4, 5)


class Ascertain(TwoLeadDataset):
    """Sessions ``clip01`` ...: a film clip each, with the person's ratings of it.

    Annotations: ``arousal`` (0 to 6), ``valence`` (-3 to 3), ``engagement``, ``liking``, ``familiarity``.
    """

    name = "ascertain"
    title = "ASCERTAIN: implicit personality and affect recognition (its ECG)"
    people = 58
    hours = 46.4
    caution = (
        "One self-rating a clip of 51 to 127 s. Which columns hold the ECG follows others' code, not the "
        "owners' words; the unit is not documented. Some clips and ratings are known to be missing or noisy."
    )
    licence = "on signed agreement, non-commercial research (owners' terms)"
    citation = (
        "Subramanian R, Wache J, Abadi MK, Vieriu RL, Winkler S, Sebe N. ASCERTAIN: Emotion and Personality "
        "Recognition Using Commercial Sensors. IEEE Trans Affective Computing 9(2):147-160, 2018."
    )
    url = "https://ascertain-dataset.github.io/"
    lead_names = ("ECG right", "ECG left")
    forms = (
        Form("MATLAB", tuple(f"{one}/Movie_P*/ECG_Clip*.mat" for one in _ECG), ("ASCERTAIN", "ascertain")),
    )

    def _expected(self, form: Form) -> Iterable[str]:
        return [f"Movie_P{p:02}/ECG_Clip{c}.mat" for p in range(1, _PEOPLE + 1) for c in range(1, _CLIPS + 1)]

    def _missing(self, folder: Path, form: Form) -> list[str]:
        """Folders that are not there at all are named once, not clip by clip."""
        ecg, ratings = _parts(folder)
        absent = [] if ratings.is_file() else [_RATINGS[0]]
        where = ecg.relative_to(folder).as_posix()
        for person in range(1, _PEOPLE + 1):
            of_person = ecg / f"Movie_P{person:02}"
            if not of_person.is_dir():
                absent.append(f"{where}/{of_person.name}/")
                continue
            clips = [of_person / f"ECG_Clip{clip}.mat" for clip in range(1, _CLIPS + 1)]
            absent += [f"{where}/{of_person.name}/{one.name}" for one in clips if not one.is_file()]
        return absent

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        ecg, path = _parts(folder)
        ratings = _read_ratings(path)
        for person in range(1, _PEOPLE + 1):
            for clip in range(1, _CLIPS + 1):
                file = ecg / f"Movie_P{person:02}" / f"ECG_Clip{clip}.mat"
                if file.is_file():
                    yield from self._of_clip(file, person, clip, _values(ratings, person, clip))

    def _of_clip(
        self, path: Path, person: int, clip: int, values: dict[str, float | str]
    ) -> Iterator[Recording]:
        subject, session = f"{self.name}/P{person:02}", f"clip{clip:02}"
        try:
            ecg_mv = _read(path, version_of(path), person >= _WIDE_FROM)
        except DataError as error:
            yield unreadable(self.name, subject, session, _FS_HZ, error)
            return
        spans = (Span(0.0, len(ecg_mv) / _FS_HZ, values),) if values else ()
        load = partial(_load, path, person >= _WIDE_FROM)
        yield from self._of_leads(subject, session, _FS_HZ, ecg_mv, load, spans)


def _parts(folder: Path) -> tuple[Path, Path]:
    """Folder of the ECG and file of the ratings, in the owners' two folders or without them."""
    ecg = next((folder / one for one in _ECG if (folder / one).is_dir()), folder / _ECG[0])
    return ecg, next((folder / one for one in _RATINGS if (folder / one).is_file()), folder / _RATINGS[0])


def _load(path: Path, wide: bool, lead: int) -> FloatArray:
    return np.ascontiguousarray(_read(path, version_of(path), wide)[:, lead])


@lru_cache(maxsize=1)
def _read(path: Path, version: tuple[int, int], wide: bool) -> FloatArray:
    """(n, 2) millivolts, NaN where the timestamps show a loss."""
    columns = _WIDE_COLUMNS if wide else _NARROW_COLUMNS
    data = matrix(read_mat(path, ["Data_ECG"])["Data_ECG"], columns[-1] + 1, "Data_ECG", path)
    ecg = np.stack([millivolts(data[:, column], _FS_HZ) for column in columns], axis=1)
    return at_their_times(ecg, data[:, 0], _FS_HZ)


def _read_ratings(path: Path) -> NDArray[Any]:
    ratings = read_mat(path, ["Ratings"])["Ratings"]
    expected = (len(_FIELDS), _PEOPLE, _CLIPS)
    if ratings.dtype.kind not in "fiu" or ratings.shape != expected:
        raise damaged(
            path, f"Ratings are {ratings.shape} of {ratings.dtype}; {expected} numbers are expected."
        )
    return ratings


def _values(ratings: NDArray[Any], person: int, clip: int) -> dict[str, float | str]:
    """A person's ratings of a clip, as far as they are there."""
    column = ratings[:, person - 1, clip - 1].astype(np.float64)
    named = zip(_FIELDS, column.tolist(), strict=True)
    return {field: value for field, value in named if np.isfinite(value)}
