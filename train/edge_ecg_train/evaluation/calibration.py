"""Whether a system's confidence can be believed, before and after one temperature.

Confidence is the probability of the predicted class (Guo et al., On Calibration of Modern Neural Networks,
ICML 2017). The temperature that is applied to a person is fitted on the other people's out-of-fold
predictions alone, as it would be for somebody new.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from ..metrics import DRAWS, FloatArray, Interval, interval_of, two_sided_p
from .arms import Arm
from .comparison import weights_for
from .predictions import Predictions

BINS = 10
_LOWEST = 1e-7  # the same as where logits are averaged over a context
_LOG_TEMPERATURE = (np.log(0.05), np.log(20.0))


@dataclass(frozen=True, slots=True)
class ReliabilityPoint:
    """One bin: the mean confidence, how often the prediction was right, and over how many windows."""

    confidence: float
    accuracy: Interval
    windows: int


@dataclass(frozen=True)
class CalibrationResult:
    """Calibration of one arm.

    Attributes
    ----------
    before, after:
        Expected calibration error of the probabilities as they are, and with temperatures.
    change, p:
        After minus before, paired by people, and its two-sided bootstrap p.
    temperature:
        Median over people and seeds of the temperatures applied, and the smallest and largest.
    points_before, points_after:
        The reliability diagram.

    """

    before: Interval
    after: Interval
    change: Interval
    p: float
    temperature: tuple[float, float, float]
    points_before: tuple[ReliabilityPoint, ...]
    points_after: tuple[ReliabilityPoint, ...]


def logits(probabilities: FloatArray) -> FloatArray:
    """Logarithms of (n, k) probabilities, kept finite."""
    return np.log(np.maximum(probabilities, _LOWEST))


def with_temperature(probabilities: FloatArray, temperature: FloatArray | float) -> FloatArray:
    """Probabilities (n, k) whose logits are divided by one temperature, or by (n,) of them."""
    scaled = logits(probabilities) / np.reshape(temperature, (-1, 1))
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    out: FloatArray = powers / powers.sum(axis=1, keepdims=True)
    return out


def fit_temperature(probabilities: FloatArray, labels: NDArray[np.int64]) -> float:
    """The temperature, between 0.05 and 20, of the smallest cross-entropy on these windows."""
    of_logits = logits(probabilities)
    of_logits = of_logits - of_logits.max(axis=1, keepdims=True)
    true = of_logits[np.arange(len(labels)), labels]

    def cross_entropy(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        return float(np.mean(np.log(np.exp(of_logits * inverse).sum(axis=1)) - true * inverse))

    found = minimize_scalar(cross_entropy, bounds=_LOG_TEMPERATURE, method="bounded")
    return float(np.exp(found.x))


def temperatures_of_others(run: Predictions) -> FloatArray:
    """(n,) for each row the temperature fitted on all people but the row's own.

    The models behind the others' predictions did train on this person, as in every cross-fit; the person's
    own out-of-fold predictions and labels do not enter.
    """
    out = np.ones(len(run.labels))
    for person in np.unique(run.subject):
        own = run.subject == person
        if not own.all():
            out[own] = fit_temperature(run.probabilities[~own], run.labels[~own])
    return out


def equal_mass_bins(confidence: FloatArray, bins: int = BINS) -> NDArray[np.intp]:
    """(n,) bin numbers with as equal numbers of windows as ties allow; equal confidences share a bin."""
    edges = np.quantile(confidence, np.linspace(0.0, 1.0, bins + 1)[1:-1])
    return np.searchsorted(np.unique(edges), confidence, side="left")


@dataclass(frozen=True)
class _Bins:
    """Sums by person and bin, (people, bins): what ECE needs, additive over people."""

    windows: FloatArray
    confidence: FloatArray
    hits: FloatArray

    @classmethod
    def of(cls, run: Predictions, person: NDArray[np.intp], people: int) -> _Bins:
        confidence = run.probabilities.max(axis=1)
        number = equal_mass_bins(confidence)
        count = int(number.max()) + 1

        def total(values: FloatArray) -> FloatArray:
            flat = np.bincount(person * count + number, weights=values, minlength=people * count)
            table: FloatArray = flat.reshape(people, count).astype(np.float64)
            return table

        right = (run.probabilities.argmax(axis=1) == run.labels).astype(np.float64)
        return cls(total(np.ones(len(right))), total(confidence), total(right))

    def ece(self, weights: FloatArray) -> FloatArray:
        """Expected calibration error for (..., people) weights."""
        gap = np.abs(weights @ self.confidence - weights @ self.hits)
        error: FloatArray = gap.sum(axis=-1) / (weights @ self.windows).sum(axis=-1)
        return error

    def points(self, weights: FloatArray) -> tuple[ReliabilityPoint, ...]:
        windows, hits = self.windows.sum(axis=0), self.hits.sum(axis=0)
        with np.errstate(invalid="ignore"):
            drawn = (weights @ self.hits) / (weights @ self.windows)
        return tuple(
            ReliabilityPoint(
                float(self.confidence[:, b].sum() / windows[b]),
                interval_of(float(hits[b] / windows[b]), drawn[:, b]),
                int(windows[b]),
            )
            for b in np.flatnonzero(windows)
        )


def _centred(value: float, drawn: FloatArray) -> FloatArray:
    moved: FloatArray = drawn - drawn.mean() + value
    return moved


def _not_negative(one: Interval) -> Interval:
    return Interval(one.value, max(one.low, 0.0), one.high)


def calibration_of(arm: Arm, *, draws: int = DRAWS, seed: int = 0) -> CalibrationResult:
    """Calibration error with equal-mass bins, before and after a temperature from the other people.

    Bins are found once on all windows and kept in the bootstrap. The error is a sum of absolute values, which
    resampling can only blow up: its draws are moved so that their mean is the value. Errors are means over
    seeds; the reliability diagram is that of the first seed.
    """
    weights = weights_for(arm, draws=draws, seed=seed)
    temperatures = [temperatures_of_others(run) for run in arm.runs]
    scaled = [
        with_temperature(run.probabilities, temperature)
        for run, temperature in zip(arm.runs, temperatures, strict=True)
    ]
    others = iter(scaled)
    after_arm = arm.map(lambda _: next(others))
    before, after = (
        [_Bins.of(run, one.person, len(one.people)) for run in one.runs] for one in (arm, after_arm)
    )
    once = np.ones(len(arm.people))
    value_before, value_after = (float(np.mean([b.ece(once) for b in bins])) for bins in (before, after))
    drawn_before, drawn_after = (
        _centred(value, np.mean([b.ece(weights) for b in bins], axis=0))
        for value, bins in ((value_before, before), (value_after, after))
    )
    pooled = np.concatenate(temperatures)
    return CalibrationResult(
        _not_negative(interval_of(value_before, drawn_before)),
        _not_negative(interval_of(value_after, drawn_after)),
        interval_of(value_after - value_before, drawn_after - drawn_before),
        two_sided_p(drawn_after - drawn_before),
        (float(np.median(pooled)), float(pooled.min()), float(pooled.max())),
        before[0].points(weights),
        after[0].points(weights),
    )
