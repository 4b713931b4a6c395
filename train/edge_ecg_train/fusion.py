"""A hybrid head: a frozen encoder's embedding and the intervals between beats, in one linear head.

The trunk sees 0.78 s and cannot see a slow heart's intervals; the intervals say nothing of the beats' shape.
Put side by side into one model, hundreds of embedding values outvote a handful of intervals. So:

late fusion
    One model on each; their logits are weighed by two numbers (not below zero: Breiman, Stacked regressions,
    Machine Learning 24:49-64, 1996) and a bias a class. The weights are fitted on logits of people left out
    of the training people, so that neither model is weighed by what it remembers.
early fusion
    One model on both, with a penalty of its own for each part.

Either way the outcome is one linear head on [embedding, intervals], as a device runs it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from edge_ecg.heads.mlp import MlpHead

from .heads import HeadConfig, fit_head, left_out_temperature, standardisation
from .inner_folds import inner_folds

FloatArray = NDArray[np.float64]
Labels = NDArray[np.int64]
Groups = NDArray[np.str_]

_LARGEST_WEIGHT = 100.0


@dataclass(frozen=True)
class LateFusion:
    """Two linear heads, and how much each counts.

    Attributes
    ----------
    embedding, intervals:
        The heads on the first columns and on the others.
    weights:
        Of the two heads' logits.
    bias:
        (1,) or (classes,), added to the weighted logits.

    """

    embedding: MlpHead
    intervals: MlpHead
    weights: tuple[float, float]
    bias: FloatArray

    def probabilities(self, features: FloatArray, /) -> FloatArray:
        """Probabilities (n, classes) of (n, d + k) embeddings and intervals."""
        width = self.embedding.inputs
        parts = (self.embedding.logits(features[:, :width]), self.intervals.logits(features[:, width:]))
        scores = self.weights[0] * parts[0] + self.weights[1] * parts[1] + self.bias
        return np.asarray(softmax(with_zero(scores), axis=1), np.float64)

    def as_head(self) -> MlpHead:
        """Return one linear head that says the same."""
        parts = (self.embedding, self.intervals)
        weighed = [
            weight / part.temperature * part.weights[0].astype(np.float64)
            for weight, part in zip(self.weights, parts, strict=True)
        ]
        bias = self.bias + sum(
            weight / part.temperature * part.biases[0]
            for weight, part in zip(self.weights, parts, strict=True)
        )
        return MlpHead(
            np.concatenate([part.mean for part in parts]),
            np.concatenate([part.scale for part in parts]),
            [np.concatenate(weighed)],
            [bias],
        )


def with_zero(logits: FloatArray) -> FloatArray:
    """Return (n, classes) logits; the one logit of two classes stands beside 0."""
    return np.hstack([np.zeros_like(logits), logits]) if logits.shape[1] == 1 else logits


def fit_late(
    features: FloatArray,
    labels: Labels,
    groups: Groups,
    width: int,
    classes: int,
    config: HeadConfig,
    rounding: FloatArray | None = None,
) -> LateFusion:
    """Fit both heads and weigh them.

    Parameters
    ----------
    features:
        (n, d + k): embeddings, then interval features (NaN where not known).
    labels, groups:
        (n,) class numbers, and who each window is of.
    width:
        d.
    classes:
        How many there are.
    config:
        The head on embeddings; its ``c_intervals`` is the inverse penalty of that on intervals.
    rounding:
        (d, d) covariance of the encoder's rounding error, for a ``rounding_penalty`` on embeddings.

    Raises
    ------
    DataError
        When there are fewer than two classes.

    """
    plain = replace(config, kind="linear", temperature=False)
    configs = (plain, replace(plain, c=config.c_intervals, rounding_penalty=0.0))
    columns = (slice(0, width), slice(width, None))

    def fit(rows: Any) -> list[MlpHead]:
        return [
            fit_head(features[rows, part], labels[rows], one, classes=classes, rounding=rounding)
            for part, one in zip(columns, configs, strict=True)
        ]

    logits: list[list[FloatArray]] = [[], []]
    truth: list[Labels] = []
    for fitted, held_out in inner_folds(labels, groups):
        for kept, one, part in zip(logits, fit(fitted), columns, strict=True):
            kept.append(one.logits(features[held_out, part]).astype(np.float64))
        truth.append(labels[held_out])
    ours, theirs = fit(slice(None))
    if truth and len(np.unique(np.concatenate(truth))) == len(np.unique(labels)):
        weights, bias = weigh([np.concatenate(one) for one in logits], np.concatenate(truth))
    else:  # too few people to leave some out: both count the same
        weights, bias = (0.5, 0.5), np.zeros(ours.weights[-1].shape[1])
    return LateFusion(ours, theirs, weights, bias)


def weigh(logits: list[FloatArray], labels: Labels) -> tuple[tuple[float, float], FloatArray]:
    """Weigh two models' logits by logistic regression in which classes count equally.

    Parameters
    ----------
    logits:
        Of each model, (n, 1) for two classes, or (n, classes).
    labels:
        (n,) class numbers.

    Returns
    -------
    The two weights, at least 0, and the bias (1,) or (classes,).

    """
    outputs = logits[0].shape[1]
    counts = np.bincount(labels, minlength=max(outputs, 2))
    weight = (1.0 / np.maximum(counts, 1))[labels] / np.count_nonzero(counts)
    rows = np.arange(len(labels))

    def loss(values: FloatArray) -> tuple[float, FloatArray]:
        scores = values[0] * logits[0] + values[1] * logits[1] + values[2:]
        log_p = log_softmax(with_zero(scores), axis=1)
        wrong = np.exp(log_p)
        wrong[rows, labels] -= 1.0
        wrong = (wrong * weight[:, None])[:, -outputs:]
        slope = [float((wrong * one).sum()) for one in logits]
        return -float((weight * log_p[rows, labels]).sum()), np.array([*slope, *wrong.sum(axis=0)])

    bounds = [(0.0, _LARGEST_WEIGHT)] * 2 + [(None, None)] * outputs
    start = np.array([0.5, 0.5] + [0.0] * outputs)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12})
    return (float(found.x[0]), float(found.x[1])), np.asarray(found.x[2:], np.float64)


def fit_early(features: FloatArray, labels: Labels, width: int, classes: int, config: HeadConfig) -> MlpHead:
    """Fit one linear head on both parts; ``c`` and ``c_intervals`` are their inverse penalties.

    Parameters and errors as of :func:`fit_late`; a rounding penalty is not known here.
    """
    mean, scale = standardisation(features)
    # A value made g times as large costs 1/g² of the penalty for the same effect.
    scale = scale / np.sqrt(np.where(np.arange(features.shape[1]) < width, config.c, config.c_intervals))
    plain = replace(config, kind="linear", c=1.0, standardise=False, rounding_penalty=0.0, temperature=False)
    fitted = fit_head(np.nan_to_num((features - mean) / scale), labels, plain, classes=classes)
    return MlpHead(mean, scale, fitted.weights, fitted.biases)


def fit_hybrid(
    features: FloatArray,
    labels: Labels,
    groups: Groups,
    width: int,
    classes: int,
    config: HeadConfig,
    rounding: FloatArray | None = None,
) -> MlpHead:
    """Fit a hybrid by late or early fusion, as ``config.fusion`` says, as one head to ship.

    With ``config.temperature`` it has one that was fitted on people left out of everything else.
    Parameters and errors as of :func:`fit_late`.
    """

    def fit(rows: Any) -> MlpHead:
        if config.fusion == "early":
            return fit_early(features[rows], labels[rows], width, classes, config)
        return fit_late(
            features[rows], labels[rows], groups[rows], width, classes, config, rounding
        ).as_head()

    head = fit(slice(None))
    if config.temperature:
        head.temperature = left_out_temperature(features, labels, groups, fit)
    return head
