"""Protocols: who is trained on, who is tested on, and whose labels may be used.

A protocol is named by the text that stands in a recipe and is printed:

    leave-one-subject-out       one fold a person
    grouped-7                   seven parts of the people
    random-windows              ten parts of the windows, whoever they are of: leaks, for comparison only
    transfer eegmat -> nilspod  fitted on one data set (or several: ``eegmat + wesad``), tested on another
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import numpy as np

from edge_ecg.errors import DataError, UsageError

from ..splits import Fold, grouped, leave_one_subject_out, random_windows
from .data import Rows, TaskData

LEAVE_ONE_OUT = "leave-one-subject-out"
RANDOM_WINDOWS = "random-windows"
_RANDOM_PARTS = 10
# One assignment for all seeds and systems: they are compared on the same folds.
_FOLD_SEED = 0


@dataclass(frozen=True, slots=True)
class Protocol:
    """A way to split, as :func:`parse_protocol` reads it.

    Attributes
    ----------
    name:
        As printed.
    parts:
        How many folds, where the protocol has a number of them; 0 elsewhere.
    train, test:
        Data sets of a transfer; empty elsewhere.

    """

    name: str
    parts: int = 0
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    @property
    def leaks(self) -> bool:
        """True where the same person is on both sides."""
        return self.name == RANDOM_WINDOWS

    @property
    def datasets(self) -> tuple[str, ...]:
        """Data sets that a transfer names."""
        return self.train + self.test


def parse_protocol(text: str) -> Protocol:
    """Read the name of a protocol.

    Raises
    ------
    UsageError
        When there is none of that name.

    """
    words = " ".join(text.split())
    if words in (LEAVE_ONE_OUT, "loso"):
        return Protocol(LEAVE_ONE_OUT)
    if found := re.fullmatch(r"grouped-(\d+)", words):
        return Protocol(words, parts=int(found[1]))
    if found := re.fullmatch(rf"{RANDOM_WINDOWS}(?:-(\d+))?", words):
        return Protocol(RANDOM_WINDOWS, parts=int(found[1] or _RANDOM_PARTS))
    if found := re.fullmatch(r"transfer ([^>]+) -> ([^>]+)", words):
        train, test = (tuple(name.strip() for name in side.split("+")) for side in found.groups())
        if set(train) & set(test):
            raise UsageError(
                f"The protocol {text!r} tests on a data set that it trains on.",
                remedy=f"Use {LEAVE_ONE_OUT} within one data set.",
            )
        return Protocol(f"transfer {' + '.join(train)} -> {' + '.join(test)}", train=train, test=test)
    raise UsageError(
        f"There is no protocol {text!r}.",
        remedy=f"Use {LEAVE_ONE_OUT}, grouped-7, {RANDOM_WINDOWS}, or 'transfer eegmat -> nilspod'.",
    )


def folds_of(data: TaskData, protocol: Protocol) -> list[Fold]:
    """Return the folds of a protocol; they do not depend on system, baseline or seed.

    Raises
    ------
    DataError
        When there are too few people or windows, or a transfer's data set has no windows of the task.

    """
    if protocol.datasets:
        return [_transfer(data, protocol)]
    if protocol.name == LEAVE_ONE_OUT:
        return list(leave_one_subject_out(data.subject))
    if protocol.leaks:
        return list(random_windows(len(data), folds=protocol.parts, seed=_FOLD_SEED))
    return list(grouped(data.subject, folds=protocol.parts, seed=_FOLD_SEED))


def _transfer(data: TaskData, protocol: Protocol) -> Fold:
    tested = np.isin(data.dataset, protocol.test)
    # Two data sets may hold recordings of one person (QTDB has excerpts of MIT-BIH).
    trained = np.isin(data.dataset, protocol.train) & ~np.isin(data.subject, data.subject[tested])
    for rows, names in ((trained, protocol.train), (tested, protocol.test)):
        if not rows.any():
            raise DataError(
                f"{' + '.join(names)} has no windows with a label for the task {data.task!r}.",
                why=f"There are windows of {', '.join(np.unique(data.dataset))}.",
                remedy="Name it among the recipe's data sets, or take another protocol.",
            )
    return Fold(" + ".join(protocol.test), np.flatnonzero(trained), np.flatnonzero(tested))


def draw_labels(data: TaskData, train: Rows, fraction: float, seed: int, fold: str) -> Rows:
    """Draw the training windows whose labels are used.

    A fraction of the windows of each class, spread evenly over people (each gives the same share of its own
    windows, as far as whole windows go), at least one window a class. With one seed, a larger draw holds
    every smaller one.

    Parameters
    ----------
    data, train:
        The windows, and those of the training fold, (m,).
    fraction:
        Above 0, at most 1 (all of them).
    seed, fold:
        Of the draw.

    Returns
    -------
    The rows drawn, sorted.

    """
    if fraction >= 1.0:
        return train
    rng = np.random.default_rng([seed, zlib.crc32(fold.encode())])
    kept: list[Rows] = []
    for label in np.unique(data.labels[train]):
        rows = train[data.labels[train] == label]
        people, person = np.unique(data.subject[rows], return_inverse=True)
        place = np.empty(len(rows))
        for number in range(len(people)):
            theirs = np.flatnonzero(person == number)
            # The i-th of a person's m shuffled windows stands at (i + u) / m; whoever stands first is drawn.
            place[rng.permutation(theirs)] = (np.arange(len(theirs)) + rng.random()) / len(theirs)
        count = max(1, round(fraction * len(rows)))
        kept.append(rows[np.argsort(place, kind="stable")[:count]])
    return np.sort(np.concatenate(kept))
