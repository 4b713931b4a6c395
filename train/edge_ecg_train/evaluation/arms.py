"""Out-of-fold predictions, grouped for comparison: one arm is one system in one setting, all seeds.

Seeds are not people: their metrics are averaged within every draw of people, and never counted as more data.
Whatever is compared is first cut to the rows that all of it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError

from ..metrics import FloatArray, PeopleSummary, metrics, summarise
from .predictions import Predictions

RANDOM_WINDOWS = "random-windows"

Row = tuple[str, str, float, int]


@dataclass(frozen=True, order=True, slots=True)
class Setting:
    """What an arm was tested under; arms are compared within one setting.

    Attributes
    ----------
    protocol:
        How the people were split, e.g. ``leave-one-subject-out``.
    baseline_s:
        Seconds of each person's own rest that were used; 0 for none.
    context_s:
        Seconds over which logits were averaged; 0 for single windows.
    label_fraction:
        Share of the training labels that were used.

    """

    protocol: str
    baseline_s: float = 0.0
    context_s: float = 0.0
    label_fraction: float = 1.0

    @property
    def honest(self) -> bool:
        """Whether nobody stands on both sides of the split."""
        return self.protocol != RANDOM_WINDOWS

    def moved(self, axis: str, value: float) -> Setting:
        """The same setting with another value of one attribute."""
        changes: dict[str, Any] = {axis: value}
        return replace(self, **changes)


@dataclass(frozen=True)
class Arm:
    """One system in one setting: its runs, one a seed, all with the same rows in the same order."""

    system: str
    setting: Setting
    runs: tuple[Predictions, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the runs."""
        return tuple(run.seed for run in self.runs)

    @property
    def subject(self) -> NDArray[np.str_]:
        """(n,) names of the people tested."""
        return self.runs[0].subject

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n,) true class numbers."""
        return self.runs[0].labels

    @property
    def windows(self) -> int:
        """Rows of each run."""
        return len(self.runs[0].labels)

    @cached_property
    def people(self) -> tuple[str, ...]:
        """People tested, sorted."""
        return tuple(str(one) for one in np.unique(self.subject))

    @cached_property
    def person(self) -> NDArray[np.intp]:
        """(n,) number of each row's person in :attr:`people`."""
        return np.unique(self.subject, return_inverse=True)[1]

    @cached_property
    def summaries(self) -> tuple[PeopleSummary, ...]:
        """One summary a seed."""
        return tuple(summarise(run.subject, run.labels, run.probabilities) for run in self.runs)

    def metrics(self, weights: FloatArray | None = None) -> dict[str, FloatArray]:
        """:func:`edge_ecg_train.metrics.metrics`, averaged over the seeds."""
        each = [metrics(one, weights) for one in self.summaries]
        return {name: np.mean([one[name] for one in each], axis=0) for name in each[0]}

    def seed_sd(self, name: str) -> float | None:
        """Standard deviation of a metric over the seeds; None with a single one."""
        if len(self.runs) < 2:
            return None
        return float(np.std([metrics(one)[name] for one in self.summaries], ddof=1))

    def map(self, change: Callable[[Predictions], FloatArray]) -> Arm:
        """The same arm with other probabilities, run by run."""
        return replace(self, runs=tuple(replace(run, probabilities=change(run)) for run in self.runs))


def group(predictions: Iterable[Predictions]) -> list[Arm]:
    """Put the seeds of each system in each setting together, in the order in which they first appear.

    Raises
    ------
    DataError
        When one system has two results for the same setting and seed, when the tasks differ, when a
        probability is missing, or when the seeds of one arm share no row.

    """
    runs: dict[tuple[str, Setting], list[Predictions]] = {}
    tasks = set()
    for one in predictions:
        setting = Setting(one.protocol, one.baseline_s, one.context_s, one.label_fraction)
        mates = runs.setdefault((one.system, setting), [])
        if any(mate.seed == one.seed for mate in mates):
            raise DataError(
                f"{one.system!r} has two results for {one.protocol}, seed {one.seed}.",
                why="A card cannot tell which of them is meant.",
                remedy="Give the systems of the recipe different names.",
            )
        if not np.isfinite(one.probabilities).all():
            raise DataError(
                f"Some windows have no prediction by {one.system!r} ({one.protocol}, seed {one.seed}).",
                remedy="Run the sweep again, so that every fold is there.",
            )
        tasks.add((one.task, tuple(one.names)))
        mates.append(one)
    if len(tasks) > 1:
        raise DataError(
            f"Results of several tasks: {', '.join(sorted(task for task, _ in tasks))}.",
            remedy="Make one card a task.",
        )
    return [
        align([Arm(system, setting, tuple(sorted(mates, key=lambda one: one.seed)))])[0]
        for (system, setting), mates in runs.items()
    ]


def align(arms: Sequence[Arm]) -> list[Arm]:
    """The arms with only the rows that every run of every arm has, in one order.

    A row is known by person, session and start, and by its place among rows that agree in these (leads).

    Raises
    ------
    DataError
        When no row is common, or a row's label differs.

    """
    index = [[_rows(run) for run in arm.runs] for arm in arms]
    every = [rows for of_arm in index for rows in of_arm]
    common = sorted(set(every[0]).intersection(*every[1:]))
    if not common:
        names = ", ".join(sorted({arm.system for arm in arms}))
        raise DataError(
            f"No window was scored by all of: {names}.", remedy="Compare them on the same people."
        )
    out = [
        replace(
            arm,
            runs=tuple(
                _take(run, np.array([rows[key] for key in common], dtype=np.int64))
                for run, rows in zip(arm.runs, of_arm, strict=True)
            ),
        )
        for arm, of_arm in zip(arms, index, strict=True)
    ]
    labels = out[0].labels
    for arm in out:
        if any(not np.array_equal(run.labels, labels) for run in arm.runs):
            raise DataError(
                f"{arm.system!r} was scored against other labels.", remedy="Run the whole sweep on one store."
            )
    return out


def _rows(run: Predictions) -> dict[Row, int]:
    seen: Counter[tuple[str, str, float]] = Counter()
    rows: dict[Row, int] = {}
    starts = np.round(run.start_s, 6).tolist()
    for number, key in enumerate(zip(run.subject.tolist(), run.session.tolist(), starts, strict=True)):
        rows[(*key, seen[key])] = number
        seen[key] += 1
    return rows


def _take(run: Predictions, index: NDArray[np.int64]) -> Predictions:
    return replace(
        run,
        **{
            name: getattr(run, name)[index]
            for name in ("subject", "session", "start_s", "labels", "probabilities", "fold")
        },
    )
