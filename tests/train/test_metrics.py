"""Metrics against scikit-learn, and the bootstrap against a loop that resamples windows for real."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from edge_ecg_train.metrics import (
    Interval,
    PeopleSummary,
    confusion_metrics,
    draw_people,
    interval_of,
    metrics,
    summarise,
)


def _predictions(
    seed: int, *, n: int = 120, classes: int = 2, people: int = 7, ties: bool = False
) -> tuple[NDArray[np.str_], NDArray[np.int64], NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    subject = np.array([f"p{i}" for i in rng.integers(0, people, n)])
    label = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    logits = rng.standard_normal((n, classes)) + 0.8 * np.eye(classes)[label]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if ties:
        probabilities = np.round(probabilities, 1)
        probabilities[:, 0] = 1.0 - probabilities[:, 1:].sum(axis=1)
    return subject, label, probabilities


@given(seed=st.integers(0, 10_000), classes=st.integers(2, 4), ties=st.booleans())
@settings(max_examples=40, deadline=None)
def test_metrics_equal_scikit_learn(seed: int, classes: int, ties: bool) -> None:
    subject, label, probabilities = _predictions(seed, classes=classes, ties=ties and classes == 2)
    predicted = probabilities.argmax(axis=1)
    ours = metrics(summarise(subject, label, probabilities))
    assert ours["accuracy"] == pytest.approx(accuracy_score(label, predicted), abs=1e-12)
    assert ours["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(label, predicted), abs=1e-12)
    assert ours["macro_f1"] == pytest.approx(f1_score(label, predicted, average="macro"), abs=1e-12)
    if classes == 2:
        expected = roc_auc_score(label, probabilities[:, 1])
    else:
        expected = np.mean([roc_auc_score(label == c, probabilities[:, c]) for c in range(classes)])
    assert ours["auc"] == pytest.approx(expected, abs=1e-12)
    if len(np.unique(predicted)) == classes:
        p = precision_score(label, predicted, average="macro")
        r = recall_score(label, predicted, average="macro")
        assert ours["f1_sarkar"] == pytest.approx(2 * p * r / (p + r), abs=1e-12)
    assert ours["majority_rate"] == np.bincount(label).max() / len(label)


def test_a_class_that_is_never_predicted() -> None:
    label = np.array([0, 0, 0, 1])
    probabilities = np.tile([0.9, 0.1], (4, 1))
    ours = metrics(summarise(["a"] * 4, label, probabilities))
    assert np.isnan(ours["f1_sarkar"])
    assert ours["macro_f1"] == pytest.approx(f1_score(label, np.zeros(4), average="macro", zero_division=0))
    assert ours["auc"] == 0.5


def test_f1_sarkar_is_not_the_mean_of_f1() -> None:
    # Precision 1/2 and 1, recall 1 and 3/4; mean precision 3/4, mean recall 7/8.
    ours = confusion_metrics([[1, 0], [1, 3]])
    assert ours["f1_sarkar"] == pytest.approx(2 * 0.75 * 0.875 / 1.625)
    assert ours["macro_f1"] == pytest.approx((2 / 3 + 6 / 7) / 2)


def test_bootstrap_equals_resampling_the_windows_of_the_people_drawn() -> None:
    subject, label, probabilities = _predictions(3, n=90, people=6)
    summary = summarise(subject, label, probabilities)
    draws = draw_people(6, draws=40, seed=11)
    fast = metrics(summary, draws)
    for row, weights in enumerate(draws.astype(int)):
        # A person drawn twice is there with all windows twice.
        index = np.concatenate(
            [
                np.flatnonzero(subject == person)
                for person, w in zip(summary.people, weights, strict=True)
                for _ in range(w)
            ]
        )
        y, score = label[index], probabilities[index]
        assert fast["auc"][row] == pytest.approx(roc_auc_score(y, score[:, 1]), abs=1e-12)
        assert fast["macro_f1"][row] == pytest.approx(
            f1_score(y, score.argmax(axis=1), average="macro"), abs=1e-12
        )
        assert fast["balanced_accuracy"][row] == pytest.approx(
            balanced_accuracy_score(y, score.argmax(axis=1)), abs=1e-12
        )


def intervals(summary: PeopleSummary, draws: int = 2000, seed: int = 0) -> dict[str, Interval]:
    drawn = metrics(summary, draw_people(len(summary.people), draws=draws, seed=seed))
    return {name: interval_of(float(value), drawn[name]) for name, value in metrics(summary).items()}


def test_intervals_are_the_percentiles_of_the_draws() -> None:
    summary = summarise(*_predictions(6))
    drawn = metrics(summary, draw_people(len(summary.people), draws=500, seed=2))["auc"]
    interval = intervals(summary, draws=500, seed=2)["auc"]
    assert (interval.low, interval.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
    assert interval.low < interval.value < interval.high


def test_more_windows_of_the_same_people_do_not_narrow_the_interval() -> None:
    subject, label, probabilities = _predictions(8)
    once = intervals(summarise(subject, label, probabilities))["auc"]
    tenfold = intervals(summarise(np.tile(subject, 10), np.tile(label, 10), np.tile(probabilities, (10, 1))))[
        "auc"
    ]
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high))


def test_draws_in_which_a_class_is_missing_are_left_out() -> None:
    # Only person a has class 1: a draw without a has no AUC.
    subject, label = np.array(["a", "a", "b", "b"]), np.array([0, 1, 0, 0])
    probabilities = np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.9, 0.1]])
    interval = intervals(summarise(subject, label, probabilities), draws=200)["auc"]
    assert interval == Interval(1.0, 1.0, 1.0)


def test_per_person() -> None:
    subject = np.array(["a", "a", "b", "b", "c"])
    label = np.array([0, 1, 0, 1, 0])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3], [0.8, 0.2]])
    summary = summarise(subject, label, probabilities)
    alone = metrics(summary, np.eye(3))
    np.testing.assert_array_equal(alone["auc"], [1.0, 0.0, np.nan])
    np.testing.assert_array_equal(alone["balanced_accuracy"], [1.0, 0.0, 1.0])


@pytest.mark.parametrize("label", [[0, 2], [-1, 0]])
def test_labels_must_be_class_numbers(label: list[int]) -> None:
    with pytest.raises(ValueError, match="labels lie outside"):
        summarise(["a", "b"], label, [[0.5, 0.5], [0.5, 0.5]])


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        summarise(["a", "b"], [0], [[0.5, 0.5]])


def test_interval_as_text_and_json() -> None:
    assert str(Interval(0.5, 0.25, 0.75)) == "0.500 [0.250, 0.750]"
    assert Interval(0.5, np.nan, 0.75).to_json() == {"value": 0.5, "low": None, "high": 0.75}
