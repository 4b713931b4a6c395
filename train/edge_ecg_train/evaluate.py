"""The honest evaluation: on new people, beside simple features and beside the split that leaks.

Every system is fitted anew in every fold; whatever it standardises by comes from the training people alone.
Systems that are compared are scored on the same windows of the same people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_ecg.errors import DataError

from .baselines import BASELINE_S, Calibration, LogisticModel, calibrate
from .features import heart_features_of
from .metrics import DRAWS, Interval, PeopleSummary, paired_difference, per_person, summarise, with_intervals
from .splits import Fold, leave_one_subject_out, random_windows
from .store import WindowStore

Features = NDArray[np.float32] | NDArray[np.float64]
Labels = NDArray[np.int64]

ENCODER = "encoder + head"
HEART = "heart rate + logistic regression"
PEOPLE_SPLIT = "people"
WINDOW_SPLIT = "windows"
NO_CALIBRATION = "none"
CALIBRATED = f"{BASELINE_S:g} s at rest"
WINDOW_FOLDS = 10
SPREAD = ("auc", "balanced_accuracy")


class Model(Protocol):
    """What a fit gives: probabilities (n, classes) of (n, d) features."""

    def probabilities(self, features: Features, /) -> ArrayLike:
        """Probabilities, one row a window."""


Fit = Callable[[Features, Labels, NDArray[np.str_]], Model]
"""Fits on (n, d) features, (n,) labels and (n,) names of the people they are of."""


@dataclass(frozen=True, slots=True)
class Result:
    """One system under one protocol.

    Attributes
    ----------
    system, split, calibration:
        What was tested; ``split`` is ``people`` (leave one out) or ``windows`` (random, leaks).
    metrics:
        Pooled over windows, with 95 % intervals over people.

    """

    system: str
    split: str
    calibration: str
    summary: PeopleSummary = field(repr=False)
    metrics: Mapping[str, Interval]

    @property
    def people(self) -> int:
        """People scored."""
        return len(self.summary.people)

    @property
    def windows(self) -> int:
        """Windows scored."""
        return int(self.summary.confusion.sum())

    def spread(self, metric: str) -> dict[str, float]:
        """The metric person by person: minimum, quartiles and maximum, and of how many it can be told."""
        values = per_person(self.summary, metric)
        values = values[np.isfinite(values)]
        names = ("min", "q25", "median", "q75", "max")
        if len(values) == 0:
            return {"people": 0}
        quantiles = np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0])
        return {
            "people": len(values),
            **{n: round(float(q), 4) for n, q in zip(names, quantiles, strict=True)},
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All results for one task.

    ``differences`` maps a calibration to the encoder minus the heart-rate baseline, paired by people.
    """

    task: str
    labels: tuple[str, ...]
    results: tuple[Result, ...]
    differences: Mapping[str, Mapping[str, Interval]]
    draws: int
    seed: int

    def find(self, system: str, split: str, calibration: str = NO_CALIBRATION) -> Result:
        """The result of one system under one protocol.

        Raises
        ------
        KeyError
            When it was not computed.

        """
        for one in self.results:
            if (one.system, one.split, one.calibration) == (system, split, calibration):
                return one
        raise KeyError((system, split, calibration))


def out_of_fold(
    features: Features,
    labels: Labels,
    subject: NDArray[np.str_],
    folds: Iterable[Fold],
    fit: Fit,
    classes: int,
    on_fold: Callable[[], None] | None = None,
) -> NDArray[np.float64]:
    """Probabilities (n, classes) of every window by a model that was fitted without its fold.

    Raises
    ------
    DataError
        When the training part of a fold holds fewer than two classes.

    """
    probabilities = np.full((len(labels), classes), np.nan)
    for fold in folds:
        if len(np.unique(labels[fold.train])) < 2:
            raise DataError(
                f"Without {fold.name} there is only one class left to train on.",
                remedy="Prepare more people, or another task.",
            )
        model = fit(features[fold.train], labels[fold.train], subject[fold.train])
        probabilities[fold.test] = model.probabilities(features[fold.test])
        if on_fold is not None:
            on_fold()
    return probabilities


class Evaluator:
    """Evaluate embeddings of a store's windows for one task.

    Parameters
    ----------
    store, task:
        The windows and the labels to predict; windows without a label are left out.
    embeddings:
        (n, d), one row for each window of the store.
    fit_head:
        Fits a head on embeddings, as for the shipped model.
    draws, seed:
        Of the bootstrap over people; the seed shuffles the windows of the window split, too.

    Raises
    ------
    DataError
        When the store has no labels for the task, or only one class or one person with them.

    """

    def __init__(
        self,
        store: WindowStore,
        task: str,
        embeddings: NDArray[np.float32],
        fit_head: Fit,
        *,
        draws: int = DRAWS,
        seed: int = 0,
    ) -> None:
        labels = store.label(task)
        if len(embeddings) != len(store):
            raise ValueError(f"{len(embeddings)} embeddings for {len(store)} windows")
        rows = np.flatnonzero(labels >= 0)
        self.task, self.names = task, store.tasks[task]
        self.labels, self.subject = labels[rows], store.subject[rows]
        self.draws, self.seed = draws, seed
        if len(np.unique(self.labels)) < 2:
            raise DataError(
                f"All labelled windows of {store.path} are of one class.",
                why=f"The task {task!r} has the classes {', '.join(self.names)}.",
                remedy="Prepare all recordings of the data set.",
            )
        self._systems: dict[str, tuple[Features, Fit]] = {
            ENCODER: (embeddings[rows], fit_head),
            HEART: (heart_features_of(store.windows[rows]), self._fit_logistic),
        }
        self.calibration: Calibration | None
        try:
            self.calibration = calibrate(self.subject, self.labels, store.start_s[rows])
        except DataError:
            self.calibration = None

    def _fit_logistic(self, features: Features, labels: Labels, _: NDArray[np.str_]) -> Model:
        return LogisticModel(features, labels, len(self.names))

    @property
    def folds(self) -> int:
        """How many models :meth:`run` is going to fit, for a progress display."""
        people = len(np.unique(self.subject))
        calibrated = len(self.calibration.people) if self.calibration is not None else 0
        return len(self._systems) * (people + calibrated + WINDOW_FOLDS)

    def run(self, on_fold: Callable[[], None] | None = None) -> Evaluation:
        """Fit and score every system under every protocol."""
        protocols: list[tuple[str, Calibration | None]] = [(PEOPLE_SPLIT, None), (WINDOW_SPLIT, None)]
        if self.calibration is not None:
            protocols.insert(1, (PEOPLE_SPLIT, self.calibration))
        results: list[Result] = []
        differences = {}
        for split, calibration in protocols:
            ours, theirs = (self._score(system, split, calibration, on_fold) for system in (ENCODER, HEART))
            results += [ours, theirs]
            if split == PEOPLE_SPLIT:
                differences[ours.calibration] = paired_difference(
                    ours.summary, theirs.summary, draws=self.draws, seed=self.seed
                )
        return Evaluation(self.task, self.names, tuple(results), differences, self.draws, self.seed)

    def _score(
        self, system: str, split: str, calibration: Calibration | None, on_fold: Callable[[], None] | None
    ) -> Result:
        features, fit = self._systems[system]
        subject, labels = self.subject, self.labels
        if calibration is not None:
            rows = calibration.scored
            features = calibration.apply(features.astype(np.float64))[rows]
            subject, labels = subject[rows], labels[rows]
        folds = (
            leave_one_subject_out(subject)
            if split == PEOPLE_SPLIT
            else random_windows(len(labels), folds=WINDOW_FOLDS, seed=self.seed)
        )
        probabilities = out_of_fold(features, labels, subject, folds, fit, len(self.names), on_fold)
        summary = summarise(subject, labels, probabilities)
        return Result(
            system,
            split,
            NO_CALIBRATION if calibration is None else CALIBRATED,
            summary,
            with_intervals(summary, draws=self.draws, seed=self.seed),
        )
