"""Logistic regression on features, and the personal baseline of the first minute at rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edge_ecg.errors import DataError

FloatArray = NDArray[np.float64]

BASELINE_S = 60.0
REST = 0


class LogisticModel:
    """Logistic regression on standardised features, classes weighted to equal shares.

    Missing values (NaN) take the training people's median; mean and scale are the training people's, too.
    """

    def __init__(self, features: ArrayLike, labels: ArrayLike, classes: int) -> None:
        self.classes = classes
        self._pipeline: Any = make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(class_weight="balanced", max_iter=1000),
        )
        self._pipeline.fit(features, labels)

    def probabilities(self, features: ArrayLike) -> FloatArray:
        """Probabilities (n, classes) of (n, d) features; 0 for classes that training did not see."""
        seen = self._pipeline.predict_proba(np.asarray(features))
        out = np.zeros((len(seen), self.classes))
        out[:, self._pipeline.classes_] = seen
        return out


@dataclass(frozen=True, slots=True)
class Calibration:
    """Which windows are a person's baseline, and which remain to be scored.

    Attributes
    ----------
    baseline:
        (n,) True for a person's windows at rest that end within the first minute of the recording.
    scored:
        (n,) True for the windows of people who have a baseline, without the baseline itself.
    people:
        Those people.

    """

    subject: NDArray[np.str_]
    baseline: NDArray[np.bool_]
    scored: NDArray[np.bool_]
    people: tuple[str, ...]

    def apply(self, features: FloatArray) -> FloatArray:
        """Features (n, d) minus the median over the person's own baseline; rows not scored are NaN."""
        out = np.full(features.shape, np.nan)
        for person in self.people:
            theirs = self.subject == person
            rest = features[theirs & self.baseline]
            known = np.isfinite(rest).any(axis=0)
            median = np.full(features.shape[1], np.nan)
            median[known] = np.nanmedian(rest[:, known], axis=0)
            rows = theirs & self.scored
            out[rows] = features[rows] - median
        return out


def calibrate(
    subject: NDArray[np.str_],
    label: NDArray[np.int64],
    start_s: FloatArray,
    *,
    window_s: float = 10.0,
    rest: int = REST,
) -> Calibration:
    """Find each person's first minute at rest.

    Raises
    ------
    DataError
        When fewer than two people have one.

    """
    baseline = (label == rest) & (start_s + window_s <= BASELINE_S)
    people = np.unique(subject[baseline])
    scored = np.isin(subject, people) & ~baseline
    if len(people) < 2:
        raise DataError(
            f"Only {len(people)} people have good windows in the first {BASELINE_S:g} s at rest.",
            why="A personal baseline needs them.",
            remedy="Prepare the store with a smaller --hop.",
        )
    return Calibration(subject, baseline, scored, tuple(str(one) for one in people))
