"""Calibration against naive loops, and a temperature that was planted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg_train.evaluation.arms import group
from edge_ecg_train.evaluation.calibration import (
    calibration_of,
    equal_mass_bins,
    fit_temperature,
    temperatures_of_others,
    with_temperature,
)
from edge_ecg_train.metrics import draw_people


def _naive_ece(confidence: Any, right: Any, bins: Any) -> float:
    total = 0.0
    for number in sorted(set(bins)):
        here = [i for i, b in enumerate(bins) if b == number]
        gap = sum(right[i] for i in here) / len(here) - sum(confidence[i] for i in here) / len(here)
        total += abs(gap) * len(here) / len(confidence)
    return total


def _parts(run: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return run.probabilities.max(axis=1), run.probabilities.argmax(axis=1) == run.labels


def test_ece_equals_a_naive_one(sampled: Any) -> None:
    run = sampled(1.0, classes=3)
    confidence, right = _parts(run)
    order = np.argsort(confidence)
    bins = np.empty(len(order), dtype=int)
    bins[order] = np.arange(len(order)) * 10 // len(order)  # 12 windows each of the 120
    found = calibration_of(*group([run]), draws=20)
    assert found.before.value == pytest.approx(_naive_ece(confidence, right, bins), abs=1e-12)
    assert [point.windows for point in found.points_before] == [12] * 10


def test_ece_interval_equals_a_loop_over_people_drawn(sampled: Any) -> None:
    run = sampled(1.0)
    confidence, right = _parts(run)
    bins = equal_mass_bins(confidence)
    drawn = []
    for weights in draw_people(6, draws=30, seed=4).astype(int):
        rows = np.repeat(np.arange(len(bins)), weights[np.unique(run.subject, return_inverse=True)[1]])
        drawn.append(_naive_ece(confidence[rows], right[rows], bins[rows]))
    value = _naive_ece(confidence, right, bins)
    low, high = np.quantile(np.array(drawn) - np.mean(drawn) + value, [0.025, 0.975])
    found = calibration_of(*group([run]), draws=30, seed=4).before
    assert (found.value, found.low, found.high) == pytest.approx((value, max(low, 0.0), high))
    assert found == calibration_of(*group([run]), draws=30, seed=4).before
    assert found != calibration_of(*group([run]), draws=30, seed=5).before


def test_a_planted_temperature_is_found() -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(0.05, 0.95, 20_000)
    labels = (rng.uniform(size=len(true)) < true).astype(np.int64)
    overconfident = with_temperature(np.stack([1 - true, true], axis=1), 1 / 3)
    assert fit_temperature(overconfident, labels) == pytest.approx(3.0, rel=0.03)


def test_temperature_divides_the_logits() -> None:
    # Odds 9 to 1 become 3 to 1.
    assert with_temperature(np.array([[0.9, 0.1]]), 2.0) == pytest.approx(np.array([[0.75, 0.25]]))
    assert with_temperature(np.array([[0.9, 0.1]]), 1.0) == pytest.approx(np.array([[0.9, 0.1]]))
    assert np.isfinite(with_temperature(np.array([[1.0, 0.0]]), 0.05)).all()


def test_a_persons_own_windows_do_not_set_their_temperature(sampled: Any) -> None:
    run = sampled(1.0)
    own = run.subject == "set/02"
    changed = replace(run, labels=np.where(own, 1 - run.labels, run.labels))
    before, after = temperatures_of_others(run), temperatures_of_others(changed)
    assert (before[own] == after[own]).all()
    assert (before[~own] != after[~own]).all()
    expected = fit_temperature(run.probabilities[~own], run.labels[~own])
    assert set(before[own]) == {expected}


def test_a_temperature_mends_overconfidence(sampled: Any) -> None:
    run = sampled(1.0, people=12, windows=60)
    loud = replace(run, probabilities=with_temperature(run.probabilities, 0.2))
    found = calibration_of(*group([loud]), draws=200)
    assert found.change.high < 0.0
    assert found.p < 0.05
    assert found.temperature[1] > 2.0
    assert found.change.value == pytest.approx(found.after.value - found.before.value)


def test_one_person_keeps_the_probabilities(sampled: Any) -> None:
    found = calibration_of(*group([sampled(1.0, people=1)]), draws=5)
    assert found.temperature == (1.0, 1.0, 1.0)
    assert found.after.value == pytest.approx(found.before.value)


def test_equal_confidences_share_a_bin() -> None:
    assert set(equal_mass_bins(np.full(50, 0.8))) == {0}
    bins = equal_mass_bins(np.repeat([0.6, 0.9], [30, 70]))
    assert len(set(bins[:30])) == 1
    assert len(set(bins[30:])) == 1
    assert bins[0] != bins[-1]
