"""ASCERTAIN as its owners distribute it: a MATLAB file a person and clip, and one of ratings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.io
from numpy.typing import NDArray

FS_HZ = 256
PEOPLE, CLIPS = 58, 36
RATINGS = "ASCERTAIN_Features/Dt_SelfReports.mat"


@dataclass
class Written:
    """What was written: (n, 2) ECG by person and clip, and the ratings (5, people, clips)."""

    folder: Path
    ratings: NDArray[np.float64]
    ecg: dict[tuple[int, int], NDArray[np.float64]] = field(default_factory=dict)
    paths: dict[tuple[int, int], Path] = field(default_factory=dict)


def write_ascertain(
    root: Path,
    make_ecg: Callable[..., NDArray[np.float64]],
    people: Iterable[int] = (8, 9),
    clips: Iterable[int] = range(1, CLIPS + 1),
    seconds: float = 1.0,
    gap: slice | None = None,
) -> Written:
    """Write some people's clips and everybody's ratings; samples of ``gap`` are lost, their times too."""
    rng = np.random.default_rng(0)
    lowest = np.array([0, -3, 0, 0, 0])[:, None, None]
    written = Written(root / "ASCERTAIN", rng.integers(0, 7, (5, PEOPLE, CLIPS)) + lowest * 1.0)
    for person in people:
        for clip in clips:
            bpm, seed = 60.0 + person, 100 * person + clip
            ecg = np.stack([make_ecg(seconds, FS_HZ, bpm, seed=2 * seed + lead) for lead in (0, 1)], axis=1)
            t_ms = 4.2e11 + np.arange(len(ecg)) * 1000.0 / FS_HZ
            kept = np.ones(len(ecg), dtype=bool)
            if gap is not None:
                kept[gap] = False
            # From person 9 on, three more channels stand between time and ECG.
            between = rng.standard_normal((len(ecg), 3 if person >= 9 else 0))
            path = (
                written.folder / "ASCERTAIN_Raw" / "ECGData" / f"Movie_P{person:02}" / f"ECG_Clip{clip}.mat"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            scipy.io.savemat(
                path, {"Data_ECG": np.column_stack([t_ms, between, ecg])[kept]}, do_compression=True
            )
            written.ecg[person, clip] = np.where(kept[:, None], ecg, np.nan)
            written.paths[person, clip] = path
    (written.folder / RATINGS).parent.mkdir()
    scipy.io.savemat(written.folder / RATINGS, {"Ratings": written.ratings}, do_compression=True)
    return written
