"""Curves: common rows, paired gains, two systems at the same share of labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from edge_ecg_train.evaluation.arms import group
from edge_ecg_train.evaluation.curves import by_label_fraction, curves_along


def _without_start(run: Any, until_s: float) -> Any:
    """The run without the first windows of the first person, as a longer baseline leaves it."""
    keep = (run.start_s >= until_s) | (run.subject != run.subject[0])
    names = ("subject", "session", "start_s", "labels", "probabilities", "fold")
    return replace(run, **{name: getattr(run, name)[keep] for name in names})


def test_a_longer_baseline_is_compared_on_the_same_windows(sampled: Any) -> None:
    none = sampled(0.5, noise=1)
    half = _without_start(sampled(1.0, noise=2, baseline_s=30.0), 30.0)
    whole = _without_start(sampled(2.0, noise=3, baseline_s=60.0), 60.0)
    (curve,) = curves_along("baseline_s", group([whole, none, half]), draws=50)
    assert curve.at == (0.0, 30.0, 60.0)
    assert curve.windows == len(whole.labels) == len(none.labels) - 12
    cut = _without_start(none, 60.0)
    expected = [
        roc_auc_score(run.labels, run.probabilities[:, 1]) for run in (cut, _without_start(half, 60.0), whole)
    ]
    assert [one["auc"].value for one in curve.values] == pytest.approx(expected)
    assert [gain.metrics["auc"].value for gain in curve.gains] == pytest.approx(
        [one - expected[0] for one in expected]
    )


def test_one_curve_a_system_and_setting(sampled: Any) -> None:
    runs = [
        sampled(1.0, noise=number, system=system, context_s=context_s, baseline_s=baseline_s)
        for number, (system, context_s, baseline_s) in enumerate(
            [("a", 0.0, 0.0), ("a", 30.0, 0.0), ("a", 0.0, 60.0), ("a", 30.0, 60.0), ("b", 0.0, 0.0)]
        )
    ]
    along_context = curves_along("context_s", group(runs), draws=5)
    assert [(curve.system, curve.setting.baseline_s, curve.at) for curve in along_context] == [
        ("a", 0.0, (0.0, 30.0)),
        ("a", 60.0, (0.0, 30.0)),
    ]
    assert len(curves_along("baseline_s", group(runs), draws=5)) == 2
    assert curves_along("label_fraction", group(runs), draws=5) == []


def test_fewer_labels_are_measured_against_all(sampled: Any) -> None:
    runs = [
        sampled(skill, noise=seed, label_fraction=fraction, seed=seed)
        for fraction, skill in ((0.1, 0.3), (1.0, 1.5))
        for seed in (0, 1)
    ]
    (curve,) = curves_along("label_fraction", group(runs), draws=50)
    assert curve.at == (0.1, 1.0)
    assert curve.gains[0].metrics["auc"].value < 0.0
    assert curve.gains[1].metrics["auc"].value == 0.0
    # Few labels and a baseline are two axes; the curve along the baseline is that of all labels.
    assert curves_along("baseline_s", group([*runs, *(replace(r, baseline_s=60.0) for r in runs[:2])])) == []


def test_two_systems_at_each_share_of_labels(sampled: Any) -> None:
    runs = [
        sampled(skill, noise=number, system=system, label_fraction=fraction)
        for number, (system, fraction, skill) in enumerate(
            [("ssl", 0.1, 1.5), ("ssl", 1.0, 2.0), ("supervised", 0.1, 0.1), ("supervised", 1.0, 1.5)]
        )
    ]
    found = by_label_fraction("ssl", "supervised", group(runs), draws=100)
    assert [one.label_fraction for one in found] == [0.1, 1.0]
    for one, (ours, theirs) in zip(found, ((0, 2), (1, 3)), strict=True):
        a, b = (roc_auc_score(runs[i].labels, runs[i].probabilities[:, 1]) for i in (ours, theirs))
        assert one.comparison.metrics["auc"].value == pytest.approx(a - b)
    assert found[0].comparison.metrics["auc"].low > 0.0
    assert by_label_fraction("ssl", "supervised", group([runs[1], runs[3]]), draws=5) == []
    assert by_label_fraction("ssl", "nobody", group(runs), draws=5) == []


def test_curves_are_reproducible(sampled: Any) -> None:
    arms = group([sampled(0.5), sampled(1.0, noise=1, context_s=30.0)])
    first, again, other = (
        [value["auc"] for value in curves_along("context_s", arms, draws=40, seed=seed)[0].values]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other
    assert np.isfinite([one.low for one in first]).all()
