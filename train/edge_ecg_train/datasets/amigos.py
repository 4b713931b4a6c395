"""AMIGOS: two leads of a Shimmer while 40 people watched 16 short and 4 long videos, 256 Hz or 128 Hz."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray

from .amigos_ratings import FIELDS, Ratings, Values, read_ratings, video_name
from .base import Form, Recording, Span
from .matlab import cells, damaged, matrix, read_mat
from .shimmer import at_their_times, millivolts
from .two_leads import TwoLeadDataset
from .whole_files import unreadable, version_of

_PEOPLE = 40
_WORKBOOKS = ("SelfAsessment.xlsx", "Metadata_xlsx/SelfAsessment.xlsx", "../SelfAsessment.xlsx")


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a form keeps what: file names, the cell array of trials, and the columns of a trial."""

    stem: str
    trials: str
    fs_hz: float
    columns: int
    ecg_columns: tuple[int, int]
    time_column: int | None
    begin_s: float  # when the video begins

    @property
    def patterns(self) -> tuple[str, ...]:
        file = f"{self.stem}[0-9][0-9].mat"
        kind = "data_" + self.stem.split("_")[1].lower()
        places = (f"{kind}/{self.stem}*/", f"{kind}/", f"{self.stem}*/", "")
        return tuple(place + file for place in places)


_LAYOUTS = {
    "original, 256 Hz": _Layout("Data_Original_P", "ECG_DATA", 256.0, 3, (1, 2), 0, 0.0),
    "preprocessed, 128 Hz": _Layout("Data_Preprocessed_P", "joined_data", 128.0, 17, (14, 15), None, 5.0),
}


class Amigos(TwoLeadDataset):
    """Sessions ``video10`` ..., ``videoN1`` ...: a video each, with the person's ratings of it.

    Annotations: ``arousal``, ``valence``, ``dominance``, ``liking``, ``familiarity`` from 1 to 9, and
    ``neutral``, ``disgust``, ``happiness``, ``surprise``, ``anger``, ``fear``, ``sadness``, 0 or 1. In the
    preprocessed form the five seconds before a video carry none.
    """

    name = "amigos"
    title = "AMIGOS: affect, personality and mood of individuals and groups (its ECG)"
    people = _PEOPLE
    hours = 65.0
    caution = (
        "One self-rating a video, up to 24 minutes long; from ECG alone no result clearly above chance is "
        "known across people. Sources differ on which column is which arm; the first is taken. The unit is "
        "not documented. The preprocessed form has 128 Hz and ends at 60 Hz: prefer the original."
    )
    licence = "on signed agreement (EULA), academic research (owners' terms)"
    citation = (
        "Miranda-Correa JA, Abadi MK, Sebe N, Patras I. AMIGOS: A Dataset for Affect, Personality and Mood "
        "Research on Individuals and Groups. IEEE Trans Affective Computing 12(2):479-493, 2021."
    )
    url = "https://www.eecs.qmul.ac.uk/mmv/datasets/amigos/"
    lead_names = ("ECG 1", "ECG 2")
    forms = tuple(Form(name, one.patterns, ("AMIGOS", "amigos")) for name, one in _LAYOUTS.items())

    def _expected(self, form: Form) -> Iterable[str]:
        return [f"{_LAYOUTS[form.name].stem}{person:02}.mat" for person in range(1, _PEOPLE + 1)]

    def _missing(self, folder: Path, form: Form) -> list[str]:
        """Files that stand in none of the places where the owners' archives put them."""
        found = {path.name for path in _files(folder, form)}
        absent = [name for name in self._expected(form) if name not in found]
        if form.name.startswith("original") and not _workbook(folder).is_file():
            absent.append(_WORKBOOKS[0])
        return absent

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        ratings = None
        if form.name.startswith("original"):
            book = _workbook(folder)
            ratings = _read_ratings(book, version_of(book))
        for path in _files(folder, form):
            yield from self._of_person(path, form.name, ratings)

    def _of_person(self, path: Path, form: str, ratings: Ratings | None) -> Iterator[Recording]:
        layout = _LAYOUTS[form]
        number = int(path.stem[-2:])
        subject = f"{self.name}/P{number:02}"
        try:
            trials = _read(path, version_of(path), form)
        except DataError as error:
            yield unreadable(self.name, subject, "all", layout.fs_hz, error)
            return
        for place, trial in enumerate(trials):
            session = f"video{trial.video}" if trial.video else f"trial{place + 1:02}"
            if isinstance(trial.ecg_mv, DataError):
                yield unreadable(self.name, subject, session, layout.fs_hz, trial.ecg_mv)
                continue
            if not len(trial.ecg_mv):
                continue  # This person did not see the video.
            values = trial.values if ratings is None else ratings.of(number, trial.video, place + 1)
            end_s = len(trial.ecg_mv) / layout.fs_hz
            spans = (Span(layout.begin_s, end_s, values),) if values and end_s > layout.begin_s else ()
            load = partial(_load, path, form, place)
            yield from self._of_leads(subject, session, layout.fs_hz, trial.ecg_mv, load, spans)


@dataclass(frozen=True, slots=True)
class _Trial:
    video: str | None
    values: Values
    ecg_mv: FloatArray | DataError  # (n, 2)


def _files(folder: Path, form: Form) -> list[Path]:
    """A file a person, by number."""
    found: dict[str, Path] = {}
    for pattern in form.files:
        for path in folder.glob(pattern):
            found.setdefault(path.name, path)
    return [found[name] for name in sorted(found)]


def _workbook(folder: Path) -> Path:
    return next((folder / one for one in _WORKBOOKS if (folder / one).is_file()), folder / _WORKBOOKS[0])


@lru_cache(maxsize=1)
def _read_ratings(path: Path, version: tuple[int, int]) -> Ratings:
    return read_ratings(path)


def _load(path: Path, form: str, place: int, lead: int) -> FloatArray:
    ecg_mv = _read(path, version_of(path), form)[place].ecg_mv
    if isinstance(ecg_mv, DataError):
        raise ecg_mv
    return np.ascontiguousarray(ecg_mv[:, lead])


@lru_cache(maxsize=1)
def _read(path: Path, version: tuple[int, int], form: str) -> tuple[_Trial, ...]:
    layout = _LAYOUTS[form]
    rated = "labels_selfassessment" if layout.time_column is None else ""
    found = read_mat(path, [layout.trials, *filter(None, [rated])], ["VideoIDs"])
    trials = cells(found[layout.trials], layout.trials, path)
    videos = _videos(found.get("VideoIDs"), len(trials), path)
    ratings = cells(found[rated], rated, path) if rated else [np.zeros((0, 0))] * len(trials)
    if len(ratings) != len(trials):
        raise damaged(path, f"It has {len(trials)} trials and ratings of {len(ratings)}.")
    return tuple(
        _Trial(video, _own_ratings(rating), _leads(trial, layout, f"Trial {place}", path))
        for place, (video, rating, trial) in enumerate(zip(videos, ratings, trials, strict=True), start=1)
    )


def _videos(names: NDArray[Any] | None, trials: int, path: Path) -> list[str | None]:
    """Names of the videos; None where the file names none."""
    if names is None:
        return [None] * trials
    videos = [video_name(one.flat[0]) if one.size == 1 else "" for one in cells(names, "VideoIDs", path)]
    whole = all(re.fullmatch(r"[0-9A-Z]+", one) for one in videos)
    if not whole or len(videos) != trials or len(set(videos)) != trials:
        raise damaged(path, f"VideoIDs do not name {trials} videos: {', '.join(videos)}.")
    return [*videos]


def _own_ratings(rating: NDArray[Any]) -> Values:
    """Ratings that stand beside the samples; empty where a person gave none."""
    if rating.dtype.kind not in "fiu" or rating.size != len(FIELDS):
        return {}
    named = zip(FIELDS, rating.astype(np.float64).reshape(-1).tolist(), strict=True)
    return {name: value for name, value in named if np.isfinite(value)}


def _leads(trial: NDArray[Any], layout: _Layout, what: str, path: Path) -> FloatArray | DataError:
    if trial.size == 0:
        return np.zeros((0, len(layout.ecg_columns)))
    try:
        data = matrix(trial, layout.columns, what, path)
    except DataError as error:
        return error
    ecg = np.stack([millivolts(data[:, one], layout.fs_hz) for one in layout.ecg_columns], axis=1)
    if layout.time_column is None:
        return ecg
    return at_their_times(ecg, data[:, layout.time_column], layout.fs_hz)
