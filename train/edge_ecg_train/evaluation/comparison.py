"""How good each system is, whether it is better than another, and for whom it is not.

Intervals and p values come from a bootstrap over people: windows of one person are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import wilcoxon

from ..metrics import DRAWS, FloatArray, Interval, draw_people, interval_of, two_sided_p
from .arms import Arm, align

METRICS = ("auc", "balanced_accuracy", "macro_f1", "f1_sarkar")
"""Metrics that are compared; the majority rate is the same for all."""


@dataclass(frozen=True, slots=True)
class PeopleTest:
    """A second look at a difference: Wilcoxon's signed ranks over people, each person one value.

    Attributes
    ----------
    metric:
        What each person's value is.
    p:
        Two-sided; NaN with nobody to compare, 1 when nobody differs.
    better, worse, equal:
        People.

    """

    metric: str
    p: float
    better: int
    worse: int
    equal: int


@dataclass(frozen=True)
class Comparison:
    """One system minus another on the rows that both have.

    Attributes
    ----------
    ours, theirs:
        The arms, cut to the common rows.
    metrics:
        Differences with intervals.
    p:
        Two-sided bootstrap p of each.
    test:
        The second look.
    by_person:
        Person to the difference of ``test.metric``, largest loss first; people for whom it cannot be told
        are left out.

    """

    ours: Arm
    theirs: Arm
    metrics: dict[str, Interval]
    p: dict[str, float]
    test: PeopleTest
    by_person: dict[str, float]


@dataclass(frozen=True, slots=True)
class Person:
    """One person's own numbers, averaged over seeds; NaN where the windows do not determine one."""

    name: str
    windows: int
    auc: float
    accuracy: float
    balanced_accuracy: float
    majority_rate: float


def weights_for(arm: Arm, *, draws: int, seed: int) -> FloatArray:
    """Bootstrap weights (draws, people) of an arm; the same for all arms of the same people."""
    return _weights(len(arm.people), draws, seed)


@lru_cache(maxsize=8)
def _weights(people: int, draws: int, seed: int) -> FloatArray:
    weights = draw_people(people, draws=draws, seed=seed)
    weights.flags.writeable = False
    return weights


def measure(arm: Arm, *, draws: int = DRAWS, seed: int = 0) -> dict[str, Interval]:
    """All metrics with 95 % intervals over people, the mean over seeds."""
    values = arm.metrics()
    drawn = arm.metrics(weights_for(arm, draws=draws, seed=seed))
    return {name: interval_of(float(values[name]), drawn[name]) for name in values}


def compare(ours: Arm, theirs: Arm, *, draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Paired differences, ``ours`` minus ``theirs``, from the same draws of people for both.

    Raises
    ------
    DataError
        When they share no row.

    """
    a, b = align([ours, theirs])
    weights = weights_for(a, draws=draws, seed=seed)
    at_a, at_b, drawn_a, drawn_b = a.metrics(), b.metrics(), a.metrics(weights), b.metrics(weights)
    differences = {name: drawn_a[name] - drawn_b[name] for name in METRICS}
    metric, by_person = _by_person(a, b)
    return Comparison(
        a,
        b,
        {name: interval_of(float(at_a[name] - at_b[name]), differences[name]) for name in METRICS},
        {name: two_sided_p(differences[name]) for name in METRICS},
        people_test(metric, list(by_person.values())),
        by_person,
    )


def _by_person(ours: Arm, theirs: Arm) -> tuple[str, dict[str, float]]:
    """Each person's difference: of the AUC, or of the accuracy where few people have all classes."""
    alone = np.eye(len(ours.people))
    a, b = ours.metrics(alone), theirs.metrics(alone)
    metric = "auc" if np.isfinite(a["auc"]).sum() * 2 > len(ours.people) else "accuracy"
    # Rounded, so that equal predictions are ties and not rounding errors of different sign.
    difference = np.round(a[metric] - b[metric], 12)
    told = np.flatnonzero(np.isfinite(difference))
    order = told[np.argsort(difference[told], kind="stable")]
    return metric, {ours.people[i]: float(difference[i]) for i in order}


def people_test(metric: str, differences: Sequence[float]) -> PeopleTest:
    """Wilcoxon's signed-rank test of people's differences; those of exactly zero are left out (Wilcoxon)."""
    values = np.asarray(differences, dtype=np.float64)
    moved = values[values != 0.0]
    if len(values) == 0:
        p = float("nan")
    elif len(moved) == 0:
        p = 1.0
    else:
        # Exact where it is tabulated; scipy's own choice would run a permutation test over ties.
        tied = len(np.unique(np.abs(moved))) < len(moved)
        p = float(wilcoxon(moved, method="approx" if tied or len(moved) > 50 else "exact").pvalue)
    return PeopleTest(metric, p, int((values > 0).sum()), int((values < 0).sum()), int((values == 0).sum()))


def people_of(arm: Arm) -> list[Person]:
    """Each person's own numbers.

    The majority rate is what always naming the class that is most frequent over all people would score on
    this person's windows.
    """
    of_person = arm.metrics(np.eye(len(arm.people)))
    per_class = arm.summaries[0].positives
    usual = int(per_class.sum(axis=1).argmax())
    windows = per_class.sum(axis=0)
    return [
        Person(
            name,
            int(windows[i]),
            float(of_person["auc"][i]),
            float(of_person["accuracy"][i]),
            float(of_person["balanced_accuracy"][i]),
            float(per_class[usual, i] / windows[i]),
        )
        for i, name in enumerate(arm.people)
    ]


def holm(p: Sequence[float]) -> list[float]:
    """P values corrected for their number (Holm, Scand. J. Statist. 6:65-70, 1979); NaN stays NaN."""
    values = np.asarray(p, dtype=np.float64)
    out = np.full(len(values), np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    steps = values[order] * np.arange(len(order), 0, -1)
    out[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else steps
    return [float(one) for one in out]
