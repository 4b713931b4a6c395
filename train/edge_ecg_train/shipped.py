"""The heads that a bundle takes along: one for anybody, and one for people whose baseline is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_ecg.heads.intervals import interval_features_of
from edge_ecg.heads.mlp import MlpHead
from edge_ecg.heads.personal import SOURCES, personal_features

from .evaluation.baseline import REST, find_baseline
from .fusion import fit_hybrid
from .heads import HeadConfig, fit_head


@dataclass(frozen=True)
class ShippedHeads:
    """What :func:`fit_shipped_heads` gives.

    Attributes
    ----------
    plain:
        On [embedding, interval features].
    training_accuracy:
        Of that head, on its training windows.
    personal:
        On [embedding minus that at rest, personal features]; None where there is none.
    people:
        How many people the personal head was fitted on.

    """

    plain: MlpHead
    training_accuracy: float
    personal: MlpHead | None = None
    people: int = 0


def fit_shipped_heads(
    embeddings: NDArray[np.float32],
    windows: NDArray[np.float32],
    labels: NDArray[np.int64],
    subject: NDArray[np.str_],
    start_s: NDArray[np.float64],
    classes: int,
    config: HeadConfig,
    rounding: NDArray[np.float64] | None = None,
    *,
    rest: int | None = REST,
) -> ShippedHeads:
    """Fit the heads of a task on all its labelled windows.

    Parameters
    ----------
    embeddings, windows:
        (n, d) and (n, 2560), of the same windows.
    labels, subject, start_s:
        (n,) class numbers, who each window is of, and seconds from the recording's first sample.
    classes:
        How many there are.
    config:
        Of any kind; only "hybrid" has a second head.
    rounding:
        (d, d) covariance of the encoder's rounding error, for a ``rounding_penalty``.
    rest:
        The class at rest; None where none is, and then there is no second head.

    Raises
    ------
    DataError
        When there are fewer than two classes; or, of a hybrid, fewer than two people who have a baseline.
    UsageError
        When a setting makes no sense.

    """
    if config.kind != "hybrid":
        head = fit_head(embeddings, labels, config, classes=classes, groups=subject, rounding=rounding)
        return ShippedHeads(head, _accuracy(head, embeddings, labels))
    width = embeddings.shape[1]
    inputs = np.hstack([embeddings.astype(np.float64), interval_features_of(windows, config.intervals)])
    plain = fit_hybrid(inputs, labels, subject, width, classes, config.plain(), rounding)
    accuracy = _accuracy(plain, inputs, labels)
    if not config.baseline_s or rest is None:
        return ShippedHeads(plain, accuracy)
    baseline = find_baseline(subject, labels, start_s, config.baseline_s, rest=rest)
    rows = baseline.scored
    changes = baseline.compare(
        interval_features_of(windows, SOURCES),
        lambda values, rest: personal_features(values, rest, config.personal),
        len(config.personal),
    )
    inputs = np.hstack([baseline.apply(embeddings), changes])[rows]
    personal = fit_hybrid(inputs, labels[rows], subject[rows], width, classes, config, rounding)
    return ShippedHeads(plain, accuracy, personal, len(baseline.people))


def _accuracy(head: MlpHead, inputs: ArrayLike, labels: NDArray[np.int64]) -> float:
    return float((head.probabilities(inputs).argmax(1) == labels).mean())
