"""Protocols and label draws: nobody on both sides, every class there, people treated alike."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg.errors import DataError, UsageError
from edge_ecg_train.evaluation.data import TaskData
from edge_ecg_train.evaluation.folds import draw_labels, folds_of, parse_protocol
from edge_ecg_train.splits import grouped


def table(subject: list[str], labels: list[int], dataset: list[str] | None = None) -> TaskData:
    """A task's table without windows: folds look at none."""
    n = len(labels)
    return TaskData(
        windows=np.zeros((n, 0), np.float32),
        labels=np.array(labels, np.int64),
        subject=np.array(subject),
        session=np.array(["s"] * n),
        dataset=np.array(dataset or ["mine"] * n),
        start_s=np.arange(n) * 5.0,
        task="stress",
        names=("rest", "stress"),
        key="key",
        store_path=Path("store"),
        cache_path=Path("cache"),
    )


PEOPLE = [f"p{i // 6}" for i in range(60)]
LABELS = [i % 2 for i in range(60)]


@pytest.mark.parametrize("name", ["leave-one-subject-out", "grouped-4", "random-windows"])
def test_every_window_is_tested_once(name: str) -> None:
    folds = folds_of(table(PEOPLE, LABELS), parse_protocol(name))
    tested = np.concatenate([fold.test for fold in folds])
    np.testing.assert_array_equal(np.sort(tested), np.arange(60))
    assert len({fold.name for fold in folds}) == len(folds)
    for fold in folds:
        assert not set(fold.train) & set(fold.test)


@given(
    people=st.lists(st.sampled_from("abcdefgh"), min_size=8, max_size=60).filter(lambda s: len(set(s)) > 3),
    folds=st.integers(2, 4),
    seed=st.integers(0, 5),
)
def test_grouped_parts_share_nobody_and_are_even(people: list[str], folds: int, seed: int) -> None:
    subject = np.array(people)
    parts = list(grouped(subject, folds=folds, seed=seed))
    sizes = [len(set(subject[part.test])) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert sum(sizes) == len(set(people))
    for part in parts:
        assert not set(subject[part.train]) & set(subject[part.test])
        assert len(part.train) + len(part.test) == len(people)


@pytest.mark.parametrize("folds", [1, 11])
def test_too_many_or_too_few_parts(folds: int) -> None:
    with pytest.raises(DataError, match=f"cannot be split into {folds} parts"):
        list(grouped(np.array(PEOPLE), folds=folds))


def test_a_transfer_trains_on_one_set_and_tests_on_the_other() -> None:
    subject = ["a/1", "a/2", "b/1", "both", "both"]
    data = table(subject, [0, 1, 0, 1, 0], ["a", "a", "b", "a", "b"])
    protocol = parse_protocol("transfer a -> b")
    assert protocol.name == "transfer a -> b"
    (fold,) = folds_of(data, protocol)
    assert fold.test.tolist() == [2, 4]
    assert fold.train.tolist() == [0, 1]  # not the person who is in both sets
    with pytest.raises(DataError, match="c has no windows"):
        folds_of(data, parse_protocol("transfer a -> c"))


def test_names_of_protocols() -> None:
    assert parse_protocol("grouped-7").parts == 7
    assert parse_protocol("random-windows").parts == 10
    five = parse_protocol("random-windows-5")
    assert (five.parts, five.name, five.leaks) == (5, "random-windows", True)
    several = parse_protocol("transfer a + b  -> c")
    assert (several.train, several.test) == (("a", "b"), ("c",))
    for text in ("leave-one-out", "grouped", "transfer a", "transfer a -> b -> c", ""):
        with pytest.raises(UsageError, match="no protocol"):
            parse_protocol(text)
    with pytest.raises(UsageError, match="tests on a data set that it trains on"):
        parse_protocol("transfer a + b -> b")


@given(
    fraction=st.sampled_from([0.01, 0.05, 0.1, 0.3, 0.5, 1.0]),
    seed=st.integers(0, 3),
    sizes=st.lists(st.integers(1, 25), min_size=2, max_size=6),
)
def test_a_draw_has_its_size_and_every_class(fraction: float, seed: int, sizes: list[int]) -> None:
    subject = [f"p{i}" for i, size in enumerate(sizes) for _ in range(2 * size)]
    labels = [label for size in sizes for label in (0, 1) for _ in range(size)]
    data = table(subject, labels)
    train = np.arange(len(labels))
    drawn = draw_labels(data, train, fraction, seed, "fold")
    assert len(set(drawn.tolist())) == len(drawn)
    for label in (0, 1):
        rows = drawn[data.labels[drawn] == label]
        assert len(rows) == max(1, round(fraction * sum(sizes)))
        for person, size in enumerate(sizes):  # everybody gives the same share, to within a window
            theirs = int((data.subject[rows] == f"p{person}").sum())
            assert abs(theirs - fraction * size) < 1.0 + fraction + 1.0


def test_larger_draws_hold_smaller_ones_and_seeds_differ() -> None:
    data = table(PEOPLE, LABELS)
    train = np.arange(6, 60)
    draws = [set(draw_labels(data, train, f, 0, "p0").tolist()) for f in (0.05, 0.1, 0.4, 1.0)]
    for small, large in pairwise(draws):
        assert small < large
    assert draws[-1] == set(train.tolist())
    again = draw_labels(data, train, 0.4, 0, "p0")
    assert set(again.tolist()) == draws[2]
    assert set(draw_labels(data, train, 0.4, 1, "p0").tolist()) != draws[2]
    assert set(draw_labels(data, train, 0.4, 0, "p1").tolist()) != draws[2]
