"""DREAMER as its owners distribute it: one structure in DREAMER.mat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

FS_HZ = 256
CLIPS = 18


@dataclass
class Written:
    """What was written: (n, 2) ECG by person and session, scores (valence, arousal, dominance) by clip."""

    path: Path
    ecg: dict[tuple[int, str], NDArray[np.float64]] = field(default_factory=dict)
    scores: dict[tuple[int, int], tuple[float, float, float]] = field(default_factory=dict)


def write_dreamer(
    root: Path,
    make_ecg: Callable[..., NDArray[np.float64]],
    people: int = 2,
    clip_s: float = 2.0,
    baseline_s: float = 1.5,
    change: Callable[[dict[str, Any]], None] | None = None,
) -> Written:
    """Write the file; ``change`` may spoil the structure before it is written."""
    written = Written(root / "DREAMER" / "DREAMER.mat")
    data = np.empty((1, people), dtype=object)
    for person in range(1, people + 1):
        rng = np.random.default_rng(person)
        ecg: dict[str, NDArray[np.object_]] = {}
        for kind, name, seconds in (("baseline", "baseline", baseline_s), ("stimuli", "clip", clip_s)):
            ecg[kind] = np.empty((CLIPS, 1), dtype=object)
            for clip in range(1, CLIPS + 1):
                bpm, seed = 60.0 + 5.0 * person + (10.0 if kind == "stimuli" else 0.0), 100 * person + clip
                leads = [make_ecg(seconds, FS_HZ, bpm, seed=2 * seed + lead) for lead in (0, 1)]
                # Steps of the sensor's 12-bit converter: zero at 2060, 3 V over 4095 steps, gain 175.
                ecg[kind][clip - 1, 0] = np.round(2060.0 + np.stack(leads, 1) / (3000.0 / 4095.0 / 175.0))
                written.ecg[person, f"{name}{clip:02}"] = ecg[kind][clip - 1, 0]
        eeg = {kind: np.empty((CLIPS, 1), dtype=object) for kind in ecg}
        for of_kind in eeg.values():
            of_kind[:, 0] = [rng.standard_normal((8, 14)) for _ in range(CLIPS)]
        scores = rng.integers(1, 6, (CLIPS, 3)).astype(float)
        written.scores |= {(person, clip + 1): tuple(scores[clip].tolist()) for clip in range(CLIPS)}
        data[0, person - 1] = {
            "Age": str(20 + person),
            "Gender": "female",
            "EEG": eeg,
            "ECG": ecg,
            "ScoreValence": scores[:, :1],
            "ScoreArousal": scores[:, 1:2],
            "ScoreDominance": scores[:, 2:],
        }
    content: dict[str, Any] = {
        "Data": data,
        "EEG_SamplingRate": 128.0,
        "ECG_SamplingRate": float(FS_HZ),
        "EEG_Electrodes": np.array([["AF3", "F7"]], dtype=object),
        "noOfSubjects": float(people),
        "noOfVideoSequences": float(CLIPS),
        "Disclaimer": "none",
        "Provider": "a generator",
        "Version": "1.0.0",
        "Acknowledgement": "none",
    }
    if change is not None:
        change(content)
    written.path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(written.path, {"DREAMER": content}, do_compression=True)
    return written
