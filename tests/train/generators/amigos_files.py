"""AMIGOS as its owners distribute it: MATLAB files of both forms, and the workbook of ratings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import openpyxl
import scipy.io
from numpy.typing import NDArray

SHORT = ("10", "13", "138", "18", "19", "20", "23", "30", "31", "34", "36", "4", "5", "58", "80", "9")
LONG = ("N1", "P1", "B1", "U1")
VIDEOS = SHORT + LONG
NAMES = (
    *("arousal", "valence", "dominance", "liking", "familiarity"),
    *("neutral", "disgust", "happiness", "surprise", "anger", "fear", "sadness"),
)
ORIGINAL_FS_HZ, PREPROCESSED_FS_HZ = 256, 128


@dataclass
class Written:
    """What was written: (n, 2) ECG and the ratings after the video, by person and video."""

    ecg: dict[tuple[int, str], NDArray[np.float64]] = field(default_factory=dict)
    ratings: dict[tuple[int, str], NDArray[np.float64]] = field(default_factory=dict)
    paths: dict[int, Path] = field(default_factory=dict)


def write_amigos(
    root: Path,
    make_ecg: Callable[..., NDArray[np.float64]],
    form: str = "original",
    people: Iterable[int] = (1, 2),
    seconds: float = 2.0,
    without_long: Iterable[int] = (8, 24, 28),
    video_ids: bool = True,
) -> Written:
    """Write ``data_original`` with SelfAsessment.xlsx, or ``data_preprocessed``, for some people.

    ``without_long`` did not see the long videos: their cells are empty.
    """
    written, folder = Written(), root / "AMIGOS"
    fs_hz = ORIGINAL_FS_HZ if form == "original" else PREPROCESSED_FS_HZ
    order = np.random.default_rng(0)
    places = {person: order.permutation(len(SHORT)).tolist() for person in people}
    for person in people:
        rng = np.random.default_rng(person)
        trials, ratings = cell(len(VIDEOS)), cell(len(VIDEOS))
        for place, video in enumerate(VIDEOS):
            seen = video in SHORT or person not in without_long
            n = round(seconds * fs_hz) if seen else 0
            bpm, seed = 60.0 + 3.0 * person + place, 100 * person + place
            ecg = np.stack([make_ecg(seconds, fs_hz, bpm, seed=2 * seed + lead)[:n] for lead in (0, 1)], 1)
            values = np.concatenate([rng.uniform(1, 9, 5).round(3), rng.integers(0, 2, 7)])
            other = np.tile(np.arange(15.0), (n, 1))  # told apart from ECG, and quick to compress
            if form == "original":
                t_ms = 1.4e12 + np.arange(n) * 1000.0 / fs_hz
                trials[0, place] = np.column_stack([t_ms, ecg, other[:, :3]]) if seen else np.zeros((0, 0))
            else:
                trials[0, place] = np.column_stack([other[:, :14], ecg, other[:, 14]])
            ratings[0, place] = values[None] if seen else np.zeros((0, 0))
            if seen:
                written.ecg[person, video] = ecg
                written.ratings[person, video] = values
        # What is read comes last, so that a file that ends between two variables lacks some of it.
        if form == "original":
            content = {"GSR_DATA": trials[:, :1], "EEG_DATA": trials[:, :1]}
        else:
            content = {"labels_ext_annotation": cell(len(VIDEOS), *[np.zeros((1, 3))] * len(VIDEOS))}
        if video_ids:
            content["VideoIDs"] = cell(len(VIDEOS), *VIDEOS)
        if form == "original":
            content["ECG_DATA"] = trials
        else:
            content |= {"labels_selfassessment": ratings, "joined_data": trials}
        stem = f"Data_{form.capitalize()}_P{person:02}"
        path = folder / f"data_{form}" / stem / f"{stem}.mat"
        path.parent.mkdir(parents=True)
        scipy.io.savemat(path, content, do_compression=True)
        written.paths[person] = path
    if form == "original":
        write_ratings(folder / "SelfAsessment.xlsx", written, places)
    return written


def write_ratings(path: Path, written: Written, places: dict[int, list[int]]) -> None:
    """Two sheets; a heading over the names; ratings before the first video, then those after each.

    Rep_Index is a video's place in the arrays, as other readers use it; rows stand in the order of showing.
    """
    book = openpyxl.Workbook()
    book.remove(book.active)
    for sheet_name, videos in (("Experiment_1", SHORT), ("Experiment_2", LONG)):
        sheet = book.create_sheet(sheet_name)
        blanks = [None] * (len(NAMES) - 1)
        sheet.append(["UserID", "VideoID", "Rep_Index", "Before", *blanks, "After the video", *blanks])
        sheet.append([None, None, None, *NAMES, *NAMES])
        for person, order in places.items():
            for video in [videos[place] for place in order if place < len(videos)]:
                if (person, video) in written.ratings:
                    before, after = [1.0, 9.0, *blanks[1:]], written.ratings[person, video].tolist()
                    place = VIDEOS.index(video) + 1
                    sheet.append([person, f"'{video}'", place, *before, *after])
    book.save(path)


def cell(size: int, *values: object) -> NDArray[np.object_]:
    """A MATLAB cell array of one row."""
    made = np.empty((1, size), dtype=object)
    for place, value in enumerate(values):
        made[0, place] = value
    return made
