"""Predictions made by rule, for everything that is computed from predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg_train.evaluation.predictions import Predictions

MakePredictions = Callable[..., Predictions]


def predictions_of(
    probabilities: Any,
    labels: Any,
    subject: Any,
    *,
    system: str = "ours",
    protocol: str = "leave-one-subject-out",
    **options: Any,
) -> Predictions:
    """Predictions of windows 5 s apart; (n,) ``probabilities`` are those of the second of two classes."""
    scores: NDArray[np.float64] = np.asarray(probabilities, dtype=np.float64)
    if scores.ndim == 1:
        scores = np.stack([1.0 - scores, scores], axis=1)
    who = np.asarray(subject, dtype=np.str_)
    n = len(who)
    settings: dict[str, Any] = {
        "baseline_s": 0.0,
        "context_s": 0.0,
        "label_fraction": 1.0,
        "seed": 0,
        "task": "stress",
        "names": ("rest", "stress", "amusement", "meditation")[: scores.shape[1]],
        "session": np.full(n, "one"),
        "start_s": 5.0 * np.arange(n),
        "fold": who,
        "config": {},
    }
    return Predictions(
        system=system,
        protocol=protocol,
        subject=who,
        labels=np.asarray(labels, dtype=np.int64),
        probabilities=scores,
        **{**settings, **options},
    )


def sampled_predictions(
    skill: float, *, people: int = 6, windows: int = 20, classes: int = 2, noise: int = 0, **options: Any
) -> Predictions:
    """Random logits that lean towards the truth by ``skill``; the noise leaves people and labels alone."""
    subject = np.repeat([f"set/{number:02d}" for number in range(people)], windows)
    labels = np.random.default_rng(7).integers(0, classes, len(subject))
    labels[:classes] = np.arange(classes)
    rng = np.random.default_rng(100 + noise)
    logits = rng.standard_normal((len(labels), classes)) + skill * np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return predictions_of(probabilities, labels, subject, **options)


@pytest.fixture(scope="session")
def predicted() -> MakePredictions:
    """:func:`predictions_of`."""
    return predictions_of


@pytest.fixture(scope="session")
def sampled() -> MakePredictions:
    """:func:`sampled_predictions`."""
    return sampled_predictions
