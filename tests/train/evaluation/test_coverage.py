"""Risk against coverage, compared with a loop over thresholds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_ecg_train.evaluation import coverage
from edge_ecg_train.evaluation.arms import group
from edge_ecg_train.evaluation.coverage import coverage_of
from edge_ecg_train.metrics import draw_people


def _naive(confidence: Any, wrong: Any) -> tuple[float, dict[float, float]]:
    """AURC, and the risk at half and at full coverage, window by window or tie by tie."""
    n = len(confidence)
    area, risk_at = 0.0, {}
    for threshold in sorted(set(confidence), reverse=True):
        accepted = [i for i in range(n) if confidence[i] >= threshold]
        risk = sum(wrong[i] for i in accepted) / len(accepted)
        area += risk * sum(confidence[i] == threshold for i in range(n)) / n
        for at in (0.5, 1.0):
            if at not in risk_at and len(accepted) >= at * n:
                risk_at[at] = risk
    return area, risk_at


@pytest.mark.parametrize("digits", [9, 1])
def test_equals_a_naive_curve(sampled: Any, digits: int) -> None:
    run = sampled(1.0)
    run.probabilities[:] = np.round(run.probabilities, digits)
    confidence = run.probabilities.max(axis=1).tolist()
    wrong = (run.probabilities.argmax(axis=1) != run.labels).tolist()
    area, risk_at = _naive(confidence, wrong)
    found = coverage_of(*group([run]), draws=10)
    assert found.aurc.value == pytest.approx(area)
    for at, risk in risk_at.items():
        assert found.risk[at].value == pytest.approx(risk)
    assert found.risk[1.0].value == pytest.approx(np.mean(wrong))


def test_by_hand(predicted: Any) -> None:
    # Most confident first: right, wrong, right, right. Risks 0, 1/2, 1/3, 1/4.
    run = predicted([0.95, 0.1, 0.8, 0.7], [1, 1, 1, 1], ["a", "a", "b", "b"])
    assert coverage_of(*group([run]), draws=5).aurc.value == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_intervals_equal_a_loop_over_people_drawn(sampled: Any) -> None:
    run = sampled(0.7)
    person = np.unique(run.subject, return_inverse=True)[1]
    areas = []
    for weights in draw_people(6, draws=25, seed=9).astype(int):
        rows = np.repeat(np.arange(len(person)), weights[person])
        confidence = run.probabilities[rows].max(axis=1).tolist()
        wrong = (run.probabilities[rows].argmax(axis=1) != run.labels[rows]).tolist()
        areas.append(_naive(confidence, wrong)[0])
    found = coverage_of(*group([run]), draws=25, seed=9).aurc
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(areas, [0.025, 0.975])))


def test_blocks_of_draws_change_nothing(sampled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (arm,) = group([sampled(1.0)])
    whole = coverage_of(arm, draws=30)
    monkeypatch.setattr(coverage, "_VALUES_AT_ONCE", 700)
    assert coverage_of(arm, draws=30) == whole


def test_seeds_are_averaged(sampled: Any) -> None:
    runs = [sampled(1.0, noise=number, seed=number) for number in range(2)]
    each = [coverage_of(*group([run]), draws=5).aurc.value for run in runs]
    assert coverage_of(*group(runs), draws=5).aurc.value == pytest.approx(np.mean(each))
