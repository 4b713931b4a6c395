"""The heart rate and its variability, by logistic regression: what every network has to beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_ecg.heads.personal import PERSONAL_FEATURES, SOURCES

from ..baselines import LogisticModel
from ..evaluation.baseline import PersonalBaseline
from ..evaluation.data import TaskData
from ..recipe import make
from .base import FeatureSystem, FloatArray, Groups, Labels, Model, personal
from .intervals import check_intervals, intervals_of, personal_intervals_of

_SPOKEN = {"heart_rate_bpm": "heart rate", "sdnn_ms": "SDNN", "rmssd_ms": "RMSSD"}


@dataclass(frozen=True, slots=True)
class HeartRate(FeatureSystem):
    """Logistic regression on interval features.

    Attributes
    ----------
    intervals:
        Which; heart rate, SDNN and RMSSD unless others are named.
    personal:
        With a personal baseline, see changes in the person's own measure (:mod:`edge_ecg.heads.personal`)
        instead of differences of ``intervals``.

    """

    intervals: tuple[str, ...] = SOURCES
    personal: bool = False

    @property
    def name(self) -> str:
        """As printed."""
        spoken = ", ".join(_SPOKEN.get(one, one.replace("_", " ")) for one in self.intervals)
        measure = " in the person's measure" if self.personal else ""
        return f"{spoken}{measure} + logistic regression"

    def config(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": "heart", "intervals": list(self.intervals), "personal": self.personal}

    def inputs(self, data: TaskData, baseline: PersonalBaseline | None) -> FloatArray:
        """Interval features (n, k)."""
        if self.personal and baseline is not None:
            return personal_intervals_of(data, baseline, PERSONAL_FEATURES)
        return personal(intervals_of(data, self.intervals), baseline)

    def fit(
        self, features: FloatArray, labels: Labels, groups: Groups, classes: int, seed: int, personal: bool
    ) -> Model:
        """Fit; nothing is drawn, so the seed is not used."""
        return LogisticModel(features, labels, classes)


def from_table(table: Mapping[str, Any]) -> HeartRate:
    """Make one from ``intervals``, a list of names, and ``personal``."""
    system = make(HeartRate, table, "heart")
    check_intervals(system.intervals)
    return system
