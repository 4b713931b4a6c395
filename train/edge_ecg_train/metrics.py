"""Metrics of pooled window predictions, and their intervals over people.

All of them are computed from two small summaries that add up over people: confusion matrices, and counts of
won pairs for the AUC. So a bootstrap over people weights and sums these summaries and never touches a window
again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the percentile interval around it; ``low`` and ``high`` are NaN where it cannot be told."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        """Plain values; None stands for NaN."""
        rounded = (round(x, 4) if np.isfinite(x) else None for x in (self.value, self.low, self.high))
        return dict(zip(("value", "low", "high"), rounded, strict=True))

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class PeopleSummary:
    """What the metrics need of the predictions, person by person.

    Attributes
    ----------
    people:
        (p,) names, sorted.
    confusion:
        (p, k, k) windows by true (row) and predicted (column) class.
    pairs_won:
        (k, p, p): for class c, how often a window of c of person i scores above a window not of c of person
        j; ties count half.
    positives, negatives:
        (k, p) windows of class c, and not of class c.

    """

    people: NDArray[np.str_]
    confusion: FloatArray
    pairs_won: FloatArray
    positives: FloatArray
    negatives: FloatArray


def summarise(subject: ArrayLike, label: ArrayLike, probabilities: ArrayLike) -> PeopleSummary:
    """Reduce (n,) subjects, (n,) class numbers and (n, k) probabilities to one summary a person.

    The predicted class is the most probable one.

    Raises
    ------
    ValueError
        When the shapes do not fit, or a label is no class number.

    """
    people, person = np.unique(np.asarray(subject), return_inverse=True)
    truth = np.asarray(label, dtype=np.int64)
    scores = np.asarray(probabilities, dtype=np.float64)
    if scores.ndim != 2 or not len(person) == len(truth) == len(scores):
        raise ValueError("subjects, labels and probabilities differ in length")
    k, p = scores.shape[1], len(people)
    if len(truth) and not 0 <= truth.min() <= truth.max() < k:
        raise ValueError(f"labels lie outside 0 to {k - 1}")
    confusion = np.zeros((p, k, k))
    np.add.at(confusion, (person, truth, scores.argmax(axis=1)), 1.0)
    won = np.stack([_pairs_won(person, truth == c, scores[:, c], p) for c in range(k)])
    positives = confusion.sum(axis=2).T
    return PeopleSummary(people, confusion, won, positives, confusion.sum(axis=(1, 2)) - positives)


def _pairs_won(
    person: NDArray[np.intp], positive: NDArray[np.bool_], score: FloatArray, p: int
) -> FloatArray:
    """Mann-Whitney counts between every person's positives and every person's negatives, (p, p)."""
    won = np.zeros((p, p))
    ours, theirs = person[positive], person[~positive]
    rank_of_positive = score[positive]
    for j in range(p):
        rivals = np.sort(score[~positive][theirs == j])
        below = np.searchsorted(rivals, rank_of_positive, side="left")
        not_above = np.searchsorted(rivals, rank_of_positive, side="right")
        won[:, j] = np.bincount(ours, weights=(below + not_above) / 2.0, minlength=p)
    return won


def metrics(summary: PeopleSummary, weights: ArrayLike | None = None) -> dict[str, FloatArray]:
    """All metrics, for one or for many weightings of the people.

    Parameters
    ----------
    summary:
        What :func:`summarise` gave.
    weights:
        (..., p) how often each person counts; each once when None.

    Returns
    -------
    Name to (...) values:

    ``auc``
        Pooled over windows (Mann-Whitney); with more than two classes the mean over one-against-rest.
    ``accuracy``, ``balanced_accuracy``, ``macro_f1``
        As scikit-learn defines them; classes that do not occur are left out of the means.
    ``f1_sarkar``
        2PR/(P+R) of the macro averages P and R, as the founding code computes it; NaN when a class is never
        predicted.
    ``majority_rate``
        Accuracy of always naming the most frequent class.

    """
    w = np.ones(len(summary.people)) if weights is None else np.asarray(weights, dtype=np.float64)
    confusion = np.einsum("...p,pij->...ij", w, summary.confusion)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"auc": _auc(summary, w), **confusion_metrics(confusion)}


def _auc(summary: PeopleSummary, w: FloatArray) -> FloatArray:
    won = np.einsum("...i,cij,...j->...c", w, summary.pairs_won, w, optimize=True)
    pairs = np.einsum("...p,cp->...c", w, summary.positives) * np.einsum(
        "...p,cp->...c", w, summary.negatives
    )
    per_class = won / pairs
    # With two classes both directions are the same number, exactly.
    auc: FloatArray = per_class[..., 1] if per_class.shape[-1] == 2 else per_class.mean(axis=-1)
    return auc


def confusion_metrics(confusion: ArrayLike) -> dict[str, FloatArray]:
    """The metrics that a confusion matrix (..., k, k), rows true and columns predicted, determines."""
    c = np.asarray(confusion, dtype=np.float64)
    hits, true, predicted, total = (
        np.diagonal(c, axis1=-2, axis2=-1),
        c.sum(axis=-1),
        c.sum(axis=-2),
        c.sum(axis=(-2, -1)),
    )
    occurs = true > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(occurs, hits / true, 0.0)
        f1 = np.where(true + predicted > 0, 2.0 * hits / (true + predicted), 0.0)
        precision_macro = (hits / predicted).mean(axis=-1)
        recall_macro = (hits / true).mean(axis=-1)
        return {
            "accuracy": hits.sum(axis=-1) / total,
            "balanced_accuracy": recall.sum(axis=-1) / occurs.sum(axis=-1),
            "macro_f1": f1.sum(axis=-1) / (true + predicted > 0).sum(axis=-1),
            "f1_sarkar": 2.0 * precision_macro * recall_macro / (precision_macro + recall_macro),
            "majority_rate": true.max(axis=-1) / total,
        }


def draw_people(p: int, *, draws: int = DRAWS, seed: int = 0) -> FloatArray:
    """Bootstrap weights (draws, p): how often each of ``p`` people is drawn, p times with replacement."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(p, np.full(p, 1.0 / p), size=draws).astype(np.float64)


def interval_of(value: float, drawn: FloatArray) -> Interval:
    """A value with the 95 % percentile interval of its (draws,) bootstrap values.

    Draws in which it is not defined (a class is missing) are left out.
    """
    defined = drawn[np.isfinite(drawn)]
    if len(defined) == 0:
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(defined, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return Interval(value, float(low), float(high))


def two_sided_p(drawn: FloatArray) -> float:
    """How often a bootstrapped difference (draws,) falls on the rarer side of zero, doubled.

    One is added to numerator and denominator (Davison & Hinkley, Bootstrap Methods and their Application,
    1997, 4.2), so that the smallest value is 2 / (draws + 1), never 0. A draw of exactly zero counts on both
    sides. NaN when the difference is defined in no draw.
    """
    defined = drawn[np.isfinite(drawn)]
    if len(defined) == 0:
        return float("nan")
    rarer = min((defined <= 0.0).sum(), (defined >= 0.0).sum())
    return float(min(1.0, 2.0 * (rarer + 1) / (len(defined) + 1)))
