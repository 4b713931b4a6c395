"""Marked windows of one recording become examples, and the personal heads are fitted to them.

A window counts when it is good and lies wholly between a mark that names a label (``rest``, ``stress``) and
the next mark. It opens nothing and knows no clock, as :mod:`edge_ecg.enrolment`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from .deciding import personal_inputs
from .errors import DataError, UsageError
from .good_windows import GoodWindows, SeenWindow
from .heads import MlpHead
from .heads.refit import refit
from .marks import Mark, label_at
from .model import Model
from .profile import Profile, RefittedHead
from .records import utc_text
from .samples import SampleBlock

LEAST_EXAMPLES = 3
"""Good windows that each label needs; three a hop apart are 20 s of signal."""

MOST_EXAMPLES = 200
"""Of all labels together, 17 minutes of marked signal. Of more, evenly spaced ones: a Pi is done sooner."""


@dataclass(frozen=True, slots=True)
class RefitReport:
    """One task: examples by label, and how many of them the head that came with the model got right."""

    task: str
    examples: dict[str, int]
    right_before: int


class MarkedWindows:
    """Collect the good windows and the marks of one stream, then refit.

    Parameters
    ----------
    model, profile:
        The profile must be of this model.
    fs_hz:
        The device's sampling rate.
    notch_hz:
        As when the baseline was taken.

    Raises
    ------
    BundleError, UsageError
        When the profile does not fit, or the model has no personal head.

    """

    def __init__(
        self, model: Model, profile: Profile, fs_hz: float, *, notch_hz: float | None = None
    ) -> None:
        notch_hz = notch_hz or model.manifest.input.preprocessing.notch_hz
        profile.require_fit(model, notch_hz)
        if not model.personal_heads:
            raise UsageError(
                f"The model {model.name_at_sha} has no personal head, so there is nothing to refit.",
                remedy="Take a model whose tasks have one (edge-ecg inspect shows them).",
            )
        self._model = model
        self._profile = profile
        self._good = GoodWindows(fs_hz, notch_hz=notch_hz)
        self._kept: list[SeenWindow] = []
        self._marks: list[Mark] = []

    def mark(self, at_s: float, text: str) -> None:
        """Take one mark."""
        self._marks.append(Mark(at_s, text.strip()))

    def push(self, block: SampleBlock) -> None:
        """Take the next block."""
        self._keep(self._good.push(block))

    def flush(self) -> None:
        """Take the windows that only waited for more samples; the stream has ended."""
        self._keep(self._good.flush())

    def refit(self, moment: datetime) -> tuple[Profile, list[RefitReport]]:
        """Return the profile with refitted heads, and what they are made of; the baseline stays as it is.

        Each head starts from the one that came with the model, whatever was fitted before.

        Raises
        ------
        DataError
            When no task has enough examples of two labels.

        """
        marks = sorted(self._marks, key=lambda mark: mark.at_s)
        names = [label_at(marks, seen.start_s, seen.end_s) for seen in self._kept]
        heads = dict(self._profile.heads)
        reports = []
        for task, head in self._model.personal_heads.items():
            labels = _thinned(_numbers(names, self._model.manifest.tasks[task].labels))
            counts = _counts(labels, self._model.manifest.tasks[task].labels)
            if len(counts) >= 2 and min(counts.values()) >= LEAST_EXAMPLES:
                chosen = np.flatnonzero(labels >= 0)
                inputs = self._inputs(task, chosen)
                fitted = refit(head, inputs, labels[chosen])
                heads[task] = RefittedHead(fitted, counts, utc_text(moment))
                reports.append(RefitReport(task, counts, _right(head, inputs, labels[chosen])))
        if not reports:
            raise self._too_few(marks, names)
        return replace(self._profile, heads=heads), reports

    def _keep(self, windows: list[SeenWindow]) -> None:
        self._kept += [seen for seen in windows if seen.samples is not None]

    def _inputs(self, task: str, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        windows = np.array([self._kept[index].samples for index in chosen])
        # One window a pass, as on the way to a decision: a pass over all would hold them all at once.
        embeddings = np.concatenate([self._model.embed(window[np.newaxis]) for window in windows])
        return personal_inputs(self._model, self._profile, task, embeddings, windows)

    def _too_few(self, marks: Sequence[Mark], names: Sequence[str | None]) -> DataError:
        tasks = self._model.manifest.tasks
        known = {task: " / ".join(tasks[task].labels) for task in self._model.personal_heads}
        wanted = "; ".join(f"{task}: {labels}" for task, labels in known.items())
        what = "The recording holds no marks." if not marks else "The marks are no ground for a refit."
        found = Counter(name for name in names if name is not None)
        shown = ", ".join(f"{count} of {name!r}" for name, count in found.most_common(8)) or "none"
        return DataError(
            what,
            why=f"Good windows between marks: {shown}. Two labels of a task ({wanted}) are needed, "
            f"{LEAST_EXAMPLES} windows of each.",
            remedy="Mark when each begins, in an EDF+ annotation or in NAME.marks.csv beside the recording "
            "(docs/records.md), half a minute of each or more.",
        )


def _numbers(names: Sequence[str | None], labels: Sequence[str]) -> NDArray[np.int64]:
    """(n,) the label's number where a name is one, whatever its case; -1 elsewhere."""
    numbers = {label.casefold(): number for number, label in enumerate(labels)}
    return np.array([-1 if name is None else numbers.get(name.casefold(), -1) for name in names], np.int64)


def _thinned(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same, with -1 where a label has more windows than its share of ``MOST_EXAMPLES``."""
    kept = np.full_like(numbers, -1)
    present = np.unique(numbers[numbers >= 0])
    for number in present:
        found = np.flatnonzero(numbers == number)
        most = min(len(found), MOST_EXAMPLES // len(present))
        kept[found[np.linspace(0, len(found) - 1, most).round().astype(np.int64)]] = number
    return kept


def _counts(numbers: NDArray[np.int64], labels: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(numbers[numbers >= 0], minlength=len(labels))
    return {label: int(count) for label, count in zip(labels, counts, strict=True) if count}


def _right(head: MlpHead, inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> int:
    return int((head.probabilities(inputs).argmax(axis=1) == labels).sum())
