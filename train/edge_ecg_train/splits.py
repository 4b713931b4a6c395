"""Who is trained on and who is tested on.

Leaving a person out is the protocol; the random window split stands here because published numbers come from
it, and only so that the card can show by how much it flatters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError

IndexArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fold:
    """Indices of the windows to train and to test on, and who or what is tested."""

    name: str
    train: IndexArray
    test: IndexArray


def leave_one_subject_out(subject: NDArray[np.str_]) -> Iterator[Fold]:
    """Yield one fold a person: tested on all of that person's windows, trained on everybody else's.

    Raises
    ------
    DataError
        With fewer than two people.

    """
    people = np.unique(subject)
    if len(people) < 2:
        raise DataError(
            f"Leaving a person out needs at least two people; there are {len(people)}.",
            remedy="Prepare a data set of more people.",
        )
    for person in people:
        tested = subject == person
        yield Fold(str(person), np.flatnonzero(~tested), np.flatnonzero(tested))


def grouped(subject: NDArray[np.str_], *, folds: int, seed: int = 0) -> Iterator[Fold]:
    """Yield ``folds`` parts of the shuffled people, as equal in people as can be; nobody is in two of them.

    Raises
    ------
    DataError
        With fewer people than folds, or fewer than two folds.

    """
    people = np.unique(subject)
    if not 2 <= folds <= len(people):
        raise DataError(
            f"{len(people)} people cannot be split into {folds} parts.",
            remedy="Take 2 parts or more, and no more than there are people.",
        )
    order = np.random.default_rng(seed).permutation(people)
    for number, part in enumerate(np.array_split(order, folds), start=1):
        tested = np.isin(subject, part)
        yield Fold(f"part {number}", np.flatnonzero(~tested), np.flatnonzero(tested))


def random_windows(n: int, *, folds: int = 10, seed: int = 0) -> Iterator[Fold]:
    """Yield ``folds`` parts of ``n`` shuffled windows, whoever they are from: the split that leaks.

    Raises
    ------
    DataError
        With fewer windows than folds.

    """
    if n < folds:
        raise DataError(f"{n} windows cannot be split into {folds} parts.")
    order = np.random.default_rng(seed).permutation(n)
    for number, test in enumerate(np.array_split(order, folds), start=1):
        train = np.setdiff1d(order, test)
        yield Fold(f"part {number}", train.astype(np.int64), np.sort(test).astype(np.int64))
