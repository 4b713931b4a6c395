"""Arms and their comparison against scikit-learn, loops and cases worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import roc_auc_score

from edge_ecg.errors import DataError
from edge_ecg_train.evaluation.arms import Arm, align, group
from edge_ecg_train.evaluation.comparison import compare, holm, measure, people_of, people_test
from edge_ecg_train.metrics import draw_people, two_sided_p


def _arm(*runs: Any) -> Arm:
    (arm,) = group(runs)
    return arm


def _resampled(arm: Arm, draws: int, seed: int) -> list[list[int]]:
    """Rows of each draw of people, a person drawn twice with all windows twice."""
    rows = []
    for weights in draw_people(len(arm.people), draws=draws, seed=seed).astype(int):
        times = dict(zip(arm.people, weights, strict=True))
        rows.append(
            [row for row, person in enumerate(arm.subject.tolist()) for _ in range(times[str(person)])]
        )
    return rows


def test_differences_equal_a_loop_over_people_drawn(sampled: Any) -> None:
    ours, theirs = _arm(sampled(1.5, noise=1)), _arm(sampled(0.5, noise=2, system="theirs"))
    found = compare(ours, theirs, draws=60, seed=3)
    drawn = [
        roc_auc_score(ours.labels[rows], a.runs[0].probabilities[rows, 1])
        - roc_auc_score(ours.labels[rows], b.runs[0].probabilities[rows, 1])
        for a, b in [align([ours, theirs])]
        for rows in _resampled(a, 60, 3)
    ]
    assert (found.metrics["auc"].low, found.metrics["auc"].high) == pytest.approx(
        tuple(np.quantile(drawn, [0.025, 0.975]))
    )
    assert found.p["auc"] == pytest.approx(2 * (sum(one <= 0 for one in drawn) + 1) / 61)
    assert found.metrics["auc"].value == pytest.approx(
        measure(ours, draws=5)["auc"].value - measure(theirs, draws=5)["auc"].value
    )


def test_seeds_are_averaged_and_not_more_people(sampled: Any) -> None:
    runs = [sampled(1.0, noise=number, seed=number) for number in range(3)]
    arm = _arm(*runs)
    assert arm.seeds == (0, 1, 2)
    each = [roc_auc_score(run.labels, run.probabilities[:, 1]) for run in runs]
    assert measure(arm, draws=10)["auc"].value == pytest.approx(np.mean(each))
    assert arm.seed_sd("auc") == pytest.approx(np.std(each, ddof=1))
    same = _arm(*(replace(runs[0], seed=number) for number in range(3)))
    alone = measure(_arm(runs[0]), draws=50)
    for name, one in measure(same, draws=50).items():
        assert (one.value, one.low, one.high) == pytest.approx(
            (alone[name].value, alone[name].low, alone[name].high)
        )
    assert _arm(runs[0]).seed_sd("auc") is None


def test_several_classes_are_one_against_rest(sampled: Any) -> None:
    run = sampled(1.0, classes=3)
    expected = np.mean([roc_auc_score(run.labels == c, run.probabilities[:, c]) for c in range(3)])
    assert measure(_arm(run), draws=10)["auc"].value == pytest.approx(expected)


def test_only_common_rows_are_compared(sampled: Any) -> None:
    whole = sampled(1.0, noise=1)
    keep = np.random.default_rng(0).permutation(np.flatnonzero(whole.start_s > 60.0))
    part = replace(
        sampled(0.3, noise=2, system="theirs"),
        **{
            name: getattr(sampled(0.3, noise=2), name)[keep]
            for name in ("subject", "session", "start_s", "labels", "probabilities", "fold")
        },
    )
    found = compare(_arm(whole), _arm(part), draws=10)
    assert found.ours.windows == found.theirs.windows == len(keep)
    rows = np.sort(keep)
    expected = roc_auc_score(whole.labels[rows], whole.probabilities[rows, 1])
    assert found.ours.metrics()["auc"] == pytest.approx(expected)


def test_rows_of_several_leads_are_told_apart(predicted: Any) -> None:
    start_s = np.array([0.0, 0.0, 5.0, 0.0])
    run = predicted([0.1, 0.2, 0.7, 0.9], [0, 0, 1, 1], ["a", "a", "a", "b"], start_s=start_s)
    (arm,) = align([_arm(run)])
    assert arm.windows == 4
    assert sorted(arm.runs[0].probabilities[:, 1]) == pytest.approx([0.1, 0.2, 0.7, 0.9])


def test_other_people_or_other_labels_are_not_compared(predicted: Any) -> None:
    ours = _arm(predicted([0.2, 0.8], [0, 1], ["a", "b"]))
    with pytest.raises(DataError, match="No window was scored by all of: ours, theirs"):
        compare(ours, _arm(predicted([0.2, 0.8], [0, 1], ["c", "d"], system="theirs")))
    with pytest.raises(DataError, match="'theirs' was scored against other labels"):
        compare(ours, _arm(predicted([0.2, 0.8], [1, 0], ["a", "b"], system="theirs")))


def test_what_cannot_be_grouped(predicted: Any) -> None:
    one = predicted([0.2, 0.8], [0, 1], ["a", "b"])
    with pytest.raises(DataError, match="two results"):
        group([one, one])
    with pytest.raises(DataError, match="several tasks: stress, valence"):
        group([one, replace(one, task="valence", seed=1)])
    with pytest.raises(DataError, match="no prediction by 'ours'"):
        group([replace(one, probabilities=np.array([[0.5, 0.5], [np.nan, np.nan]]))])


def test_who_gets_worse(predicted: Any) -> None:
    people = np.repeat(["a", "b", "c"], 4)
    labels = np.tile([0, 0, 1, 1], 3)
    perfect = [0.1, 0.2, 0.8, 0.9]
    ours = predicted([*perfect, *[0.9, 0.2, 0.8, 0.1], *perfect], labels, people)
    theirs = predicted([*perfect, *perfect, *[0.1, 0.85, 0.8, 0.9]], labels, people, system="theirs")
    found = compare(_arm(ours), _arm(theirs), draws=20)
    # b: 0.9 beats both positives, 0.2 beats 0.1: 1 of 4 pairs won; c, by the other: 3 of 4.
    assert found.by_person == {"b": -0.75, "a": 0.0, "c": 0.25}
    assert list(found.by_person) == ["b", "a", "c"]
    assert (found.test.better, found.test.worse, found.test.equal) == (1, 1, 1)


def test_signed_ranks_by_hand() -> None:
    # All five differ in one direction: of 2^5 signings 2 are as extreme.
    assert people_test("auc", [0.1, 0.2, 0.3, 0.4, 0.5]).p == pytest.approx(2 / 32)
    # Ranks 1 + 2 against 3 + 4 + 5: 5 signings have a sum of 3 or less (none, 1, 2, 3, 1 + 2).
    assert people_test("auc", [-0.1, -0.2, 0.3, 0.4, 0.5]).p == pytest.approx(2 * 5 / 32)
    assert people_test("auc", [0.0, 0.0]).p == 1.0
    assert np.isnan(people_test("auc", []).p)


def test_bootstrap_p_by_hand() -> None:
    assert two_sided_p(np.array([0.1] * 97 + [-0.1] * 2)) == pytest.approx(2 * 3 / 100)
    assert two_sided_p(np.full(99, 0.1)) == pytest.approx(2 / 100)
    assert two_sided_p(np.zeros(9)) == 1.0
    assert np.isnan(two_sided_p(np.array([np.nan])))


def test_holm_by_hand() -> None:
    assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    assert_allclose(holm([0.9, np.nan, 0.02]), [0.9, np.nan, 0.04])
    assert holm([]) == []


def test_each_persons_own_numbers(predicted: Any) -> None:
    # Class 0 is the most frequent over all; b has little of it.
    run = predicted([0.1, 0.4, 0.6, 0.9, 0.3], [0, 0, 0, 1, 1], ["a", "a", "a", "b", "b"])
    a, b = people_of(_arm(run))
    assert (a.name, a.windows, a.majority_rate) == ("a", 3, 1.0)
    assert a.accuracy == pytest.approx(2 / 3)
    assert np.isnan(a.auc)
    assert (b.accuracy, b.majority_rate) == (0.5, 0.0)
