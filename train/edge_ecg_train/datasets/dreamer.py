"""DREAMER: two leads of a Shimmer while 23 people watched 18 film clips, 256 Hz, one large MATLAB file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray

from .base import Form, Recording, Span
from .matlab import cells, damaged, matrix, read_mat, struct_field
from .shimmer import millivolts
from .two_leads import TwoLeadDataset
from .whole_files import unreadable, version_of

_FILE = "DREAMER.mat"
_FS_HZ = 256.0
_SCORES = {"valence": "ScoreValence", "arousal": "ScoreArousal", "dominance": "ScoreDominance"}


class Dreamer(TwoLeadDataset):
    """Sessions ``clip01`` ... with ratings, and before each ``baseline01`` ... (a neutral clip of a minute).

    Annotations: ``condition`` (baseline, clip), and of clips ``arousal``, ``valence``, ``dominance``, 1 to 5.
    """

    name = "dreamer"
    title = "DREAMER: emotion recognition from EEG and ECG of low-cost devices (its ECG)"
    people = 23
    hours = 29.9
    caution = (
        "One self-rating a clip, given after it, for all of its 65 to 393 s; from ECG alone no result "
        "clearly above chance is known across people. The unit and the leads' places are not documented."
    )
    licence = "on request, academic research (owners' terms)"
    citation = (
        "Katsigiannis S, Ramzan N. DREAMER: A Database for Emotion Recognition Through EEG and ECG Signals "
        "From Wireless Low-cost Off-the-Shelf Devices. IEEE J Biomed Health Inform 22(1):98-107, 2018."
    )
    url = "https://zenodo.org/records/546113"
    lead_names = ("ECG 1", "ECG 2")
    forms = (Form("MATLAB", (_FILE,), ("DREAMER", "dreamer")),)

    def _expected(self, form: Form) -> Iterable[str]:
        return (_FILE,)

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        path = folder / _FILE
        for number, person in enumerate(_read(path, version_of(path))):
            subject = f"{self.name}/S{number + 1:02}"
            if isinstance(person, DataError):
                yield unreadable(self.name, subject, "all", _FS_HZ, person)
                continue
            for place, film in enumerate(person):
                spans = (Span(0.0, len(film.ecg_mv) / _FS_HZ, film.values),)
                load = partial(_load, path, number, place)
                yield from self._of_leads(subject, film.session, _FS_HZ, film.ecg_mv, load, spans)


@dataclass(frozen=True, slots=True)
class _Film:
    session: str
    values: dict[str, float | str]
    ecg_mv: FloatArray  # (n, 2)


_People = tuple[tuple[_Film, ...] | DataError, ...]


def _load(path: Path, person: int, place: int, lead: int) -> FloatArray:
    films = _read(path, version_of(path))[person]
    if isinstance(films, DataError):
        raise films
    return np.ascontiguousarray(films[place].ecg_mv[:, lead])


# All is one variable: there is no reading a part of it. The EEG, three quarters of it, is let go at once.
@lru_cache(maxsize=1)
def _read(path: Path, version: tuple[int, int]) -> _People:
    top = read_mat(path, ["DREAMER"])["DREAMER"]
    data = cells(struct_field(top, "Data", path), "Data", path)
    promised = _number(struct_field(top, "noOfSubjects", path), path)
    if len(data) != promised:
        raise damaged(path, f"It holds {len(data)} people and says {promised:g}.")
    rate = _number(struct_field(top, "ECG_SamplingRate", path), path)
    if rate != _FS_HZ:
        raise damaged(path, f"It says that its ECG has {rate:g} Hz; {_FS_HZ:g} are documented.")
    clips = int(_number(struct_field(top, "noOfVideoSequences", path), path))
    return tuple(_person(one, clips, path) for one in data)


def _person(struct: NDArray[Any], clips: int, path: Path) -> tuple[_Film, ...] | DataError:
    try:
        ecg = struct_field(struct, "ECG", path)
        baselines = cells(struct_field(ecg, "baseline", path), "ECG.baseline", path)
        stimuli = cells(struct_field(ecg, "stimuli", path), "ECG.stimuli", path)
        scores = {field: struct_field(struct, name, path).reshape(-1) for field, name in _SCORES.items()}
        if {len(baselines), len(stimuli), *map(len, scores.values())} != {clips}:
            raise damaged(path, f"A person has not {clips} baselines, clips and scores each.")
        films = []
        for number, (baseline, stimulus) in enumerate(zip(baselines, stimuli, strict=True)):
            values: dict[str, float | str] = {"condition": "clip"}
            rated = {field: float(of_field[number]) for field, of_field in scores.items()}
            values |= {field: score for field, score in rated.items() if np.isfinite(score)}
            condition: dict[str, float | str] = {"condition": "baseline"}
            films.append(_Film(f"baseline{number + 1:02}", condition, _leads(baseline, path)))
            films.append(_Film(f"clip{number + 1:02}", values, _leads(stimulus, path)))
    except DataError as error:
        return error
    except (TypeError, ValueError):
        return damaged(path, "A score is no number.")
    return tuple(films)


def _leads(value: NDArray[Any], path: Path) -> FloatArray:
    ecg = matrix(value, 2, "An ECG", path)
    return np.stack([millivolts(ecg[:, lead], _FS_HZ) for lead in (0, 1)], axis=1)


def _number(value: NDArray[Any], path: Path) -> float:
    if value.size != 1 or value.dtype.kind not in "fiu":
        raise damaged(path, "A number is expected where there is none.")
    return float(value.flat[0])
