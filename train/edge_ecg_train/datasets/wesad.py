"""WESAD: chest ECG of 15 people at rest, under social stress, amused and meditating, 700 Hz."""

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

from .base import Dataset, Form, Recording, Span
from .plain_pickle import PickledArray, read_plain_pickle
from .whole_files import has_signal, unreadable, version_of

_PEOPLE = (*range(2, 12), *range(13, 18))
_FS_HZ = 700.0
# What the codes 0 to 7 of the owners' label array mean; of 5, 6 and 7 the readme says: to be ignored.
_CONDITIONS = ("transient", "baseline", "stress", "amusement", "meditation", "ignore", "ignore", "ignore")
_SESSION = "protocol"


class Wesad(Dataset):
    """One recording a person, the whole protocol; annotations: ``condition``.

    ``condition`` is transient, baseline, stress, amusement, meditation or ignore. The files are pickles; they
    are read without running anything in them (:mod:`~edge_ecg_train.datasets.plain_pickle`).
    """

    name = "wesad"
    title = "WESAD: Wearable Stress and Affect Detection (its chest ECG)"
    people = 15
    hours = 24.1
    caution = (
        "One stressor (the Trier Social Stress Test: standing, speaking) in 15 people, mostly students; the "
        "order of conditions has two versions only, and posture differs between them. Most time has no label."
    )
    licence = "non-commercial research (owners' terms)"
    citation = (
        "Schmidt P, Reiss A, Duerichen R, Marberger C, Van Laerhoven K. Introducing WESAD, a Multimodal "
        "Dataset for Wearable Stress and Affect Detection. ICMI 2018:400-408."
    )
    url = "https://ubicomp.eti.uni-siegen.de/home/datasets/icmi18/"
    forms = (Form("pickle", ("S*/S*.pkl",), ("WESAD", "wesad")),)

    def _expected(self, form: Form) -> Iterable[str]:
        return [f"S{person}/S{person}.pkl" for person in _PEOPLE]

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        for name in self._expected(form):
            path = folder / name
            if path.is_file():
                yield self._recording(path)

    def _recording(self, path: Path) -> Recording:
        subject = f"{self.name}/{path.stem}"
        try:
            person = _read(path, version_of(path))
        except DataError as error:
            return unreadable(self.name, subject, _SESSION, _FS_HZ, error)
        return Recording(
            dataset=self.name,
            subject=subject,
            session=_SESSION,
            lead="chest",
            fs_hz=_FS_HZ,
            n_samples=len(person.ecg_mv),
            load=partial(_load, path),
            usable=has_signal(person.ecg_mv),
            spans=person.spans,
        )


@dataclass(frozen=True, slots=True)
class _Person:
    ecg_mv: FloatArray
    spans: tuple[Span, ...]


def _load(path: Path) -> FloatArray:
    return _read(path, version_of(path)).ecg_mv


# A file is up to 1 GB of text, of which 40 MB are kept: list and load one person after the other.
@lru_cache(maxsize=1)
def _read(path: Path, version: tuple[int, int]) -> _Person:
    content = read_plain_pickle(path)
    try:
        written_for: Any = content["subject"]  # type: ignore[index]
        ecg = _numbers(content["signal"]["chest"]["ECG"])  # type: ignore[index]
        codes = _numbers(content["label"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError) as error:
        why = f"It is not laid out as its owners' files are: {error}."
        raise DataError(f"{path.name} is damaged.", why=why, remedy="Get the file again.") from None
    if written_for != path.stem:
        raise DataError(f"{path.name} holds the data of {written_for!r}.", remedy="Get the file again.")
    ecg_mv = ecg.astype(np.float64).reshape(-1) if ecg.ndim == 1 or ecg.shape[1:] == (1,) else None
    if ecg_mv is None or codes.shape != ecg_mv.shape:
        raise DataError(
            f"{path.name} is damaged.",
            why=f"Its ECG is {ecg.shape} and its label {codes.shape}; one label a sample is expected.",
            remedy="Get the file again.",
        )
    return _Person(ecg_mv, _spans(codes, path))


def _numbers(value: object) -> NDArray[np.generic]:
    if not isinstance(value, PickledArray):
        raise ValueError("an array is expected")
    return value.array()


def _spans(codes: NDArray[np.generic], path: Path) -> tuple[Span, ...]:
    """Stretches of one code, without a gap between them."""
    if not len(codes):
        return ()
    edges = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    starts = np.concatenate([[0], edges]).astype(np.int64)
    ends = np.concatenate([edges, [len(codes)]]).astype(np.int64)
    spans = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        code: Any = codes[start].item()
        if code not in range(len(_CONDITIONS)):
            raise DataError(
                f"{path.name} is damaged.",
                why=f"Its label is {code} at sample {start}; 0 to {len(_CONDITIONS) - 1} are known.",
                remedy="Get the file again.",
            )
        spans.append(Span(start / _FS_HZ, end / _FS_HZ, {"condition": _CONDITIONS[int(code)]}))
    return tuple(spans)
