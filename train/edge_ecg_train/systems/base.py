"""What a system is: a function from training rows to the probabilities of test rows.

A system sees labels of the training rows, and of the test people's windows nothing but the test rows and the
personal baseline. Nothing else that it says may depend on test rows, so everything it standardises by,
chooses or fits comes from the training rows; ``evaluation.leaks`` checks that from the outside.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge_ecg.errors import DataError, UsageError

from ..evaluation.baseline import PersonalBaseline
from ..evaluation.data import Rows, TaskData

FloatArray = NDArray[np.float64]
Labels = NDArray[np.int64]
Groups = NDArray[np.str_]


class System(Protocol):
    """One way to tell states apart, fitted anew in every fold."""

    @property
    def name(self) -> str:
        """As printed."""

    def config(self) -> dict[str, Any]:
        """Plain values that all predictions depend on; their hash files the results."""

    def predict(
        self, data: TaskData, train: Rows, test: Rows, baseline: PersonalBaseline | None, seed: int
    ) -> FloatArray:
        """Fit on the training rows; return the probabilities (len(test), classes) of the test rows.

        Raises
        ------
        DataError
            When the training rows hold fewer than two classes.
        ValueError
            When a row that has no personal baseline is to be compared with one.

        """


class Model(Protocol):
    """What a fit gives: probabilities (n, classes) of (n, d) features."""

    def probabilities(self, features: FloatArray, /) -> ArrayLike:
        """Probabilities, one row a window."""


class FeatureSystem(ABC):
    """A system that is a model on features of single windows, or on what differs from the baseline."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As printed."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """See :meth:`System.config`."""

    @abstractmethod
    def inputs(self, data: TaskData, baseline: PersonalBaseline | None) -> FloatArray:
        """Features (n, d) of all rows, each of its own window and the person's baseline alone.

        NaN where one is not determined, and in rows that cannot be compared with a baseline.
        """

    @abstractmethod
    def fit(
        self, features: FloatArray, labels: Labels, groups: Groups, classes: int, seed: int, personal: bool
    ) -> Model:
        """Fit on (n, d) features, (n,) labels and (n,) names of the people that they are of.

        ``personal`` says whether features are relative to a baseline.
        """

    def predict(
        self, data: TaskData, train: Rows, test: Rows, baseline: PersonalBaseline | None, seed: int
    ) -> FloatArray:
        """See :meth:`System.predict`."""
        features = self.inputs(data, baseline)
        rows, tested = training_rows(data, train, baseline), scored_rows(test, baseline)
        model = self.fit(
            features[rows],
            data.labels[rows],
            data.subject[rows],
            len(data.names),
            seed,
            baseline is not None,
        )
        return np.asarray(model.probabilities(features[tested]), np.float64)


def personal(values: ArrayLike, baseline: PersonalBaseline | None) -> FloatArray:
    """Return values (n, d), or what differs from each person's baseline if there is one."""
    return np.asarray(values, np.float64) if baseline is None else baseline.apply(values)


def training_rows(data: TaskData, train: Rows, baseline: PersonalBaseline | None) -> Rows:
    """Return the rows to fit on: those that can be compared with a baseline, if there is one.

    Raises
    ------
    DataError
        When they hold fewer than two classes.

    """
    rows = train if baseline is None else train[baseline.scored[train]]
    found = np.unique(data.labels[rows])
    if len(found) < 2:
        raise DataError(
            f"There are windows of {len(found)} class(es) to train on; two are needed.",
            why=f"The task {data.task!r} has the classes {', '.join(data.names)}.",
            remedy="Prepare more people, take more labels, or another task.",
        )
    return rows


def scored_rows(test: Rows, baseline: PersonalBaseline | None) -> Rows:
    """Return the test rows.

    Raises
    ------
    ValueError
        When one of them cannot be compared with a baseline.

    """
    if baseline is not None and not baseline.scored[test].all():
        raise ValueError("test rows that are baseline, or of people without one, cannot be scored")
    return test


_MODULES = {
    "heart": "heart",
    "classical": "classical",
    "encoder": "encoder",
    "hybrid": "hybrid",
    "nested": "nested",
    "end-to-end": "endtoend",
    "transformer": "transformer",
}
"""Kind of system to the module whose ``from_table`` makes it; loaded when asked for."""


def make_system(table: Mapping[str, Any]) -> System:
    """Make a system from a recipe's table: its ``kind``, and what that kind takes.

    Raises
    ------
    UsageError
        When the kind is unknown, or the table holds something that the kind does not take.

    """
    values = dict(table)
    kind = values.pop("kind", None)
    if kind not in _MODULES:
        raise UsageError(
            f"There is no system of kind {kind!r}.", remedy=f"Take one of {', '.join(_MODULES)}."
        )
    module = importlib.import_module(f".{_MODULES[kind]}", __package__)
    make: Callable[[Mapping[str, Any]], System] = module.from_table
    return make(values)
