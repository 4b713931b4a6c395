"""The personal baseline: which windows it is made of, what is compared with it, and what is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.errors import DataError
from edge_ecg_train.evaluation.baseline import PersonalBaseline, find_baseline, known_median, rest_class
from edge_ecg_train.evaluation.data import TaskData

SUBJECT = np.array(["a"] * 5 + ["b"] * 3 + ["c"] * 2)
LABELS = np.array([0, 0, 0, 0, 1, 0, 0, 1, 1, 1])
START_S = np.array([0.0, 5.0, 20.0, 21.0, 0.0, 4.9, 50.1, 3.0, 1.0, 6.0])


@pytest.mark.parametrize(
    ("seconds", "spared_s", "baseline", "scored"),
    [
        (15.0, 0.0, [0, 1, 5], [2, 3, 4, 6, 7]),
        (30.0, 0.0, [0, 1, 2, 5], [3, 4, 6, 7]),
        # Baselines of 15 s and of 30 s on the same windows.
        (15.0, 30.0, [0, 1, 5], [3, 4, 6, 7]),
        (60.0, 30.0, [0, 1, 2, 3, 5], [4, 6, 7]),
    ],
)
def test_who_is_baseline_and_who_is_scored(
    seconds: float, spared_s: float, baseline: list[int], scored: list[int]
) -> None:
    found = find_baseline(SUBJECT, LABELS, START_S, seconds, spared_s=spared_s)
    assert np.flatnonzero(found.baseline).tolist() == baseline
    assert np.flatnonzero(found.scored).tolist() == scored
    assert found.people == ("a", "b")  # c was never at rest


def test_values_in_any_measure() -> None:
    found = find_baseline(SUBJECT, LABELS, START_S, 30.0)
    values = np.stack([np.arange(1.0, 11.0), np.arange(10.0)], axis=1)
    ratio = found.compare(values, lambda theirs, rest: theirs[:, :1] / rest[:1], 1)
    # a's median of 1, 2, 3 is 2; b's only value is 6.
    np.testing.assert_allclose(ratio[[3, 4, 6, 7], 0], [4 / 2, 5 / 2, 7 / 6, 8 / 6])
    assert np.isnan(ratio[[0, 1, 2, 5, 8, 9]]).all()


@given(st.integers(0, 10**6))
def test_apply_is_the_difference_from_the_own_median(seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(10, 3))
    found = find_baseline(SUBJECT, LABELS, START_S, 30.0)
    for row in np.flatnonzero(found.scored):
        own = values[found.baseline & (SUBJECT[row] == SUBJECT)]
        np.testing.assert_allclose(found.apply(values)[row], values[row] - np.median(own, axis=0))


def test_a_median_of_what_is_known() -> None:
    values = np.array([[1.0, np.nan, np.nan], [3.0, 7.0, np.nan]])
    np.testing.assert_array_equal(known_median(values), [2.0, 7.0, np.nan])
    assert np.isnan(known_median(np.zeros((0, 2)))).all()


def test_of_a_task(stress_data: TaskData) -> None:
    found = PersonalBaseline.of(stress_data, 30.0)
    # Windows at rest that start at 0, 5, 10, 15 and 20 s, of eight people.
    assert found.baseline.sum() == 8 * 5
    assert found.scored.sum() == len(stress_data) - 8 * 5
    assert set(stress_data.start_s[found.baseline]) == {0.0, 5.0, 10.0, 15.0, 20.0}
    assert set(stress_data.session[found.baseline]) == {"rest"}


def test_nobody_rests_that_early(stress_data: TaskData) -> None:
    with pytest.raises(DataError, match="first 9 s"):
        PersonalBaseline.of(stress_data, 9.0)


@pytest.mark.parametrize(
    ("names", "number"),
    [
        (("rest", "stress"), 0),
        (("baseline", "stress", "amusement"), 0),
        (("anger", "Neutral", "sadness"), 1),
        (("low", "high"), None),
        (("1", "2", "3"), None),
    ],
)
def test_which_class_is_rest(names: tuple[str, ...], number: int | None) -> None:
    assert rest_class(names) == number


def test_a_rest_that_is_not_the_first_class() -> None:
    found = find_baseline(SUBJECT, 1 - LABELS, START_S, 30.0, rest=1)
    np.testing.assert_array_equal(found.baseline, find_baseline(SUBJECT, LABELS, START_S, 30.0).baseline)


def test_windows_that_were_rated_low_are_no_baseline(stress_data: TaskData) -> None:
    # Whoever takes them for one has chosen it by the labels of the people that are tested.
    with pytest.raises(DataError, match="none of the task's classes is rest"):
        PersonalBaseline.of(replace(stress_data, names=("low", "high")), 30.0)
