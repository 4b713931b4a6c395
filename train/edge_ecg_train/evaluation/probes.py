"""Trying a system out: its predictions must not change when that changes which it must not look at.

A system is fitted on a few windows of a few people and predicts others. Then the same again with the labels
of the test windows changed, with half of the test windows replaced by something quite different, and with
that half left out. What it says of the other half must stay as it was, whatever is inside the system.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError

from .baseline import PersonalBaseline
from .data import Rows, TaskData
from .leaks import LeakFinding

if TYPE_CHECKING:
    from ..systems.base import System

PEOPLE = 6
TESTED_PEOPLE = 2
WINDOWS, NETWORK_WINDOWS = 12, 4
"""Windows of a person, beside those of the baseline; fewer where a network is trained."""

BLIND_TO_LABELS = "predictions do not depend on labels of the tested"
BLIND_TO_OTHERS = "predictions of a window do not depend on other windows of the tested"
BLIND_TO_COMPANY = "predictions of a window do not depend on which others are tested"

_BLIND_TO_WINDOWS = (BLIND_TO_OTHERS, BLIND_TO_COMPANY)
_TOLERANCE = 1e-4


def probe(
    system: System,
    data: TaskData,
    *,
    baseline_s: float = 0.0,
    seed: int = 0,
    people: int = PEOPLE,
    windows: int | None = None,
) -> list[LeakFinding]:
    """Try a system out on a small part of the data.

    Parameters
    ----------
    system, seed:
        What is tried.
    data:
        Of these windows a few are taken.
    baseline_s:
        Length of the personal baseline; 0 for none.
    people, windows:
        How many people, two of them tested, and how many windows of each.

    Returns
    -------
    Three findings; none when the data has too few people of two classes to try anything.

    """
    if windows is None:
        windows = WINDOWS if getattr(system, "folds_together", True) else NETWORK_WINDOWS
    try:
        trial = _Trial.of(data, baseline_s, seed, people, windows)
    except DataError:
        return []
    setting = f"{system.name}, {f'baseline {baseline_s:g} s' if baseline_s else 'no baseline'}"
    reference = trial.predict(system, trial.data, trial.test)
    kept = np.isin(trial.test, trial.kept)
    # All changes at once; only if that tells, one after another.
    at_once = trial.relabelled(trial.replaced())
    if _equal(trial.predict(system, at_once, trial.kept), reference[kept]):
        return [LeakFinding(check, True, setting) for check in (BLIND_TO_LABELS, *_BLIND_TO_WINDOWS)]
    repeated = trial.predict(system, trial.data, trial.test)
    if not _equal(repeated, reference):
        setting = f"{setting}: not even the same call gives the same answer"
    changes = {
        BLIND_TO_LABELS: (trial.predict(system, trial.relabelled(trial.data), trial.test), reference),
        BLIND_TO_OTHERS: (trial.predict(system, trial.replaced(), trial.test)[kept], reference[kept]),
        BLIND_TO_COMPANY: (trial.predict(system, trial.data, trial.kept), reference[kept]),
    }
    return [
        LeakFinding(check, True, setting)
        if _equal(after, before)
        else LeakFinding(check, False, f"{setting}: probabilities change by {_change(after, before):.2g}")
        for check, (after, before) in changes.items()
    ]


def _change(after: NDArray[np.float64], before: NDArray[np.float64]) -> float:
    return float(np.abs(after - before).max())


def _equal(after: NDArray[np.float64], before: NDArray[np.float64]) -> bool:
    return _change(after, before) <= _TOLERANCE


@dataclass(frozen=True)
class _Trial:
    """A few windows; ``kept`` are the test rows whose predictions must stay, among others in ``test``."""

    data: TaskData
    baseline: PersonalBaseline | None
    train: Rows
    test: Rows
    kept: Rows
    seed: int

    @classmethod
    def of(cls, data: TaskData, baseline_s: float, seed: int, people: int, windows: int) -> _Trial:
        whole = PersonalBaseline.of(data, baseline_s) if baseline_s else None
        scored = np.ones(len(data), np.bool_) if whole is None else whole.scored
        able = [
            person
            for person in np.unique(data.subject)
            if len(np.unique(data.labels[scored & (data.subject == person)])) > 1
        ]
        if len(able) < TESTED_PEOPLE + 2:
            raise DataError(f"Only {len(able)} people have windows of two classes.")
        # Spread over the list, because people of one data set stand together in it.
        chosen = [able[i] for i in np.unique(np.linspace(0, len(able) - 1, people).round().astype(np.int64))]
        rows = [
            _evenly(np.flatnonzero(scored & (data.subject == person)), data.labels, windows)
            for person in chosen
        ]
        if whole is not None:
            rows += [np.flatnonzero(whole.baseline & np.isin(data.subject, chosen))]
        part = _part(data, np.sort(np.concatenate(rows)))
        baseline = PersonalBaseline.of(part, baseline_s) if baseline_s else None
        usable = np.arange(len(part)) if baseline is None else np.flatnonzero(baseline.scored)
        tested = np.isin(part.subject[usable], chosen[-TESTED_PEOPLE:])
        test = usable[tested]
        return cls(part, baseline, usable[~tested], test, test[::2], seed)

    def predict(self, system: System, data: TaskData, test: Rows) -> NDArray[np.float64]:
        """Fit and predict anew."""
        return np.asarray(system.predict(data, self.train, test, self.baseline, self.seed), np.float64)

    def relabelled(self, data: TaskData) -> TaskData:
        """The test rows with labels of other classes."""
        labels = data.labels.copy()
        labels[self.test] = (labels[self.test] + 1) % len(data.names)
        return _changed(data, "relabelled", labels=labels)

    def replaced(self) -> TaskData:
        """The test rows that are not kept, as ECG of three times the size, backwards and twice as fast."""
        windows = np.array(self.data.windows)
        others = np.setdiff1d(self.test, self.kept)
        fast = windows[others, ::-2]
        windows[others] = 3.0 * np.concatenate([fast, fast], axis=1)[:, : windows.shape[1]] + 1.0
        return _changed(self.data, "replaced", windows=windows)


def _evenly(rows: Rows, labels: NDArray[np.int64], count: int) -> Rows:
    """Take up to ``count`` rows, as many of each class as can be, spread over each."""
    classes = np.unique(labels[rows])
    share = -(-count // len(classes))
    taken = []
    for label in classes:
        theirs = rows[labels[rows] == label]
        taken.append(theirs[np.unique(np.linspace(0, len(theirs) - 1, min(share, len(theirs))).astype(int))])
    return np.concatenate(taken)


def _part(data: TaskData, rows: Rows) -> TaskData:
    columns = {
        name: getattr(data, name)[rows] for name in ("labels", "subject", "session", "dataset", "start_s")
    }
    key = f"{data.key} rows {','.join(map(str, rows))}"
    return _changed(replace(data, key=key), "part", windows=np.array(data.windows[rows]), **columns)


def _changed(data: TaskData, how: str, **columns: NDArray[np.generic]) -> TaskData:
    """Return data with some columns replaced, and nothing kept of what was computed from the old ones."""
    return replace(data, key=f"{data.key} {how}", _kept={}, **columns)  # type: ignore[arg-type]
