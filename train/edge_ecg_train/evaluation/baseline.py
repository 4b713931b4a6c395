"""The personal baseline: a person's first seconds at rest, which all later windows are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_ecg.errors import DataError

from .data import TaskData

FloatArray = NDArray[np.float64]

WINDOW_S = 10.0
REST = 0
REST_NAMES = ("rest", "resting", "baseline", "neutral", "calm", "relaxed", "relaxation")
"""What a class is called in which people are at rest."""


def rest_class(names: Sequence[str]) -> int | None:
    """Return the number of the class at rest among a task's classes; None where none is.

    Who rated a film low was not at rest: a baseline out of such windows would be chosen by the answers.
    """
    found = [number for number, name in enumerate(names) if name.casefold() in REST_NAMES]
    return found[0] if found else None


@dataclass(frozen=True, slots=True, eq=False)
class PersonalBaseline:
    """Which windows are a person's baseline, and which remain to be scored.

    Attributes
    ----------
    seconds:
        How long the baseline is.
    subject:
        (n,) who each window is of.
    baseline:
        (n,) True for a person's windows at rest that end within the first ``seconds`` of the
        recording.
    scored:
        (n,) True for the windows of people who have a baseline, without the baseline itself.
    people:
        Those people.

    """

    seconds: float
    subject: NDArray[np.str_]
    baseline: NDArray[np.bool_]
    scored: NDArray[np.bool_]
    people: tuple[str, ...]

    @classmethod
    def of(cls, data: TaskData, seconds: float, *, spared_s: float = 0.0) -> PersonalBaseline:
        """Find the baselines in the windows of a task; see :func:`find_baseline`."""
        return find_baseline(
            data.subject,
            data.labels,
            data.start_s,
            seconds,
            spared_s=spared_s,
            rest=rest_class(data.names),
        )

    def apply(self, values: ArrayLike) -> FloatArray:
        """Values (n, d) minus the median over the person's own baseline.

        Missing values (NaN) are left out of the median. Baseline windows themselves, and people without a
        baseline, become NaN.
        """
        given = np.asarray(values, dtype=np.float64)
        return self.compare(given, lambda theirs, rest: theirs - rest, given.shape[1])

    def compare(
        self, values: ArrayLike, how: Callable[[FloatArray, FloatArray], FloatArray], width: int
    ) -> FloatArray:
        """Compare values (n, d) with the median over the person's own baseline, in any way.

        Parameters
        ----------
        values:
            (n, d); missing ones (NaN) are left out of the median.
        how:
            Makes (m, width) of a person's m scored rows (m, d) and the median (d,).
        width:
            How many values that makes.

        Returns
        -------
        (n, width); NaN for baseline windows themselves, and for people without a baseline.

        """
        given = np.asarray(values, dtype=np.float64)
        out = np.full((len(given), width), np.nan)
        for person in self.people:
            theirs = self.subject == person
            rows = theirs & self.scored
            out[rows] = how(given[rows], known_median(given[theirs & self.baseline]))
        return out


def known_median(values: FloatArray) -> FloatArray:
    """Return the medians of the columns of (m, d), missing values (NaN) left out; NaN where all are."""
    known = np.isfinite(values).any(axis=0)
    median = np.full(values.shape[1], np.nan)
    median[known] = np.nanmedian(values[:, known], axis=0)
    return median


def find_baseline(
    subject: NDArray[np.str_],
    labels: NDArray[np.int64],
    start_s: FloatArray,
    seconds: float,
    *,
    spared_s: float = 0.0,
    window_s: float = WINDOW_S,
    rest: int | None = REST,
) -> PersonalBaseline:
    """Find each person's first seconds at rest.

    Parameters
    ----------
    subject, labels, start_s:
        (n,) of the windows; ``start_s`` counts from the recording's first sample.
    seconds:
        How long the baseline is.
    spared_s:
        Windows at rest that end within the first ``spared_s`` are never scored, though the baseline be
        shorter: so baselines of several lengths are compared on the same windows.
    window_s:
        How long a window is.
    rest:
        The class at rest (:func:`rest_class`).

    Raises
    ------
    DataError
        When there is no such class, or fewer than two people have a baseline.

    """
    if rest is None:
        raise DataError(
            "There is no personal baseline: none of the task's classes is rest.",
            why=f"Such a class is called {', '.join(REST_NAMES[:-1])} or {REST_NAMES[-1]}.",
            remedy="Do without (baselines_s: [0]), or give it that name.",
        )
    rest_until_s = np.where(labels == rest, start_s + window_s, np.inf)
    baseline = rest_until_s <= seconds
    spared = rest_until_s <= max(seconds, spared_s)
    people = np.unique(subject[baseline])
    if len(people) < 2:
        raise DataError(
            f"Only {len(people)} people have good windows in the first {seconds:g} s at rest.",
            why="A personal baseline needs them, counted from where a recording begins.",
            remedy="Prepare the store with a smaller --hop, or recordings that begin at rest; or do without "
            "(baselines_s: [0]; of a hybrid head baseline_s = 0).",
        )
    scored = np.isin(subject, people) & ~spared
    return PersonalBaseline(seconds, subject, baseline, scored, tuple(str(one) for one in people))
