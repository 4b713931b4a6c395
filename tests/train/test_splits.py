"""No fold may train on whom it tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.errors import DataError
from edge_ecg_train.splits import leave_one_subject_out, random_windows


@given(
    st.lists(st.sampled_from(["a", "b", "c", "dd"]), min_size=2, max_size=40).filter(
        lambda s: len(set(s)) > 1
    )
)
def test_leaving_a_person_out_never_shares_one(names: list[str]) -> None:
    subject = np.array(names)
    folds = list(leave_one_subject_out(subject))
    assert [fold.name for fold in folds] == sorted(set(names))
    for fold in folds:
        assert set(subject[fold.test]) == {fold.name}
        assert fold.name not in set(subject[fold.train])
    np.testing.assert_array_equal(np.sort(np.concatenate([f.test for f in folds])), np.arange(len(names)))
    for fold in folds:
        assert len(fold.train) + len(fold.test) == len(names)


def test_one_person_cannot_be_left_out() -> None:
    with pytest.raises(DataError, match="at least two people"):
        list(leave_one_subject_out(np.array(["a", "a"])))


@given(n=st.integers(10, 200), seed=st.integers(0, 1000))
def test_random_windows_test_every_window_once(n: int, seed: int) -> None:
    folds = list(random_windows(n, folds=10, seed=seed))
    np.testing.assert_array_equal(np.sort(np.concatenate([fold.test for fold in folds])), np.arange(n))
    for fold in folds:
        np.testing.assert_array_equal(np.union1d(fold.train, fold.test), np.arange(n))
        assert len(fold.train) + len(fold.test) == n


def test_random_windows_follow_the_seed() -> None:
    first = [fold.test.tolist() for fold in random_windows(50, seed=1)]
    assert first == [fold.test.tolist() for fold in random_windows(50, seed=1)]
    assert first != [fold.test.tolist() for fold in random_windows(50, seed=2)]


def test_random_windows_need_enough_windows() -> None:
    with pytest.raises(DataError, match="cannot be split"):
        list(random_windows(9, folds=10))
