"""Choosing among systems inside the fold, so that the choice itself is tested on people it has not seen.

Candidates stand in the order from simple to complex. They are judged on people left out of the training
people, and the simplest is taken that is not clearly worse than the best: by no more than one standard error
of their difference over people. (The one-standard-error rule of Breiman et al., Classification and Regression
Trees, 1984, with the standard error of the paired difference: people differ more than systems do.)

Folds that choose differently answer on different scales, which costs where their answers are pooled. With
``combine = "average"`` the log probabilities of all candidates within that standard error are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.special import softmax

from edge_ecg.errors import UsageError

from ..evaluation.baseline import PersonalBaseline
from ..evaluation.data import Rows, TaskData
from ..inner_folds import INNER_FOLDS, inner_folds
from ..metrics import draw_people, metrics, summarise
from ..recipe import make
from .base import FloatArray, System, make_system, training_rows

Measure = Literal["log-loss", "auc"]
Combine = Literal["simplest", "average"]

_DRAWS = 200
_LEAST_PROBABILITY = 1e-6


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and why.

    Attributes
    ----------
    index:
        Of the simplest candidate that is not clearly worse than the best.
    members:
        Of all that are not.
    losses:
        Of each candidate on people left out, (candidates,): the mean log loss (classes count equally), or
        one minus the AUC.
    errors:
        Standard errors of the differences from the least loss; 0 for that one itself.

    """

    index: int
    members: tuple[int, ...]
    losses: tuple[float, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Nested:
    """One of several systems, chosen anew among the training people of each fold."""

    candidates: tuple[System, ...]
    measure: Measure = "log-loss"
    combine: Combine = "simplest"
    folds: int = INNER_FOLDS
    _made: dict[Any, Choice] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """As printed."""
        return f"chosen inside the fold from {len(self.candidates)}"

    def config(self) -> dict[str, Any]:
        """Plain values."""
        tables = [one.config() for one in self.candidates]
        values = {"kind": "nested", "candidates": tables, "measure": self.measure, "folds": self.folds}
        return values if self.combine == "simplest" else {**values, "combine": self.combine}

    @property
    def folds_together(self) -> bool:
        """False when a candidate trains a network."""
        return all(getattr(one, "folds_together", True) for one in self.candidates)

    def predict(
        self, data: TaskData, train: Rows, test: Rows, baseline: PersonalBaseline | None, seed: int
    ) -> FloatArray:
        """See :meth:`.base.System.predict`."""
        choice = self.choose(data, train, baseline, seed)
        members = choice.members if self.combine == "average" else (choice.index,)
        said = [self.candidates[i].predict(data, train, test, baseline, seed) for i in members]
        if len(said) == 1:
            return said[0]
        logs = np.mean([np.log(np.clip(one, _LEAST_PROBABILITY, 1.0)) for one in said], axis=0)
        return np.asarray(softmax(logs, axis=1), np.float64)

    def facts(
        self, data: TaskData, train: Rows, baseline: PersonalBaseline | None, seed: int
    ) -> dict[str, Any]:
        """Return what was chosen for these training rows, in plain values."""
        choice = self.choose(data, train, baseline, seed)
        return {
            "chosen": self.candidates[choice.index].name,
            "index": choice.index,
            "members": list(choice.members),
            "losses": [round(one, 4) for one in choice.losses],
            "errors": [round(one, 4) for one in choice.errors],
        }

    def choose(self, data: TaskData, train: Rows, baseline: PersonalBaseline | None, seed: int) -> Choice:
        """Judge the candidates on the training rows alone.

        With people too few to leave some out, the simplest is taken.

        Raises
        ------
        DataError
            When the training rows hold fewer than two classes.

        """
        rows = training_rows(data, train, baseline)
        seconds = None if baseline is None else (baseline.seconds, baseline.baseline.tobytes())
        key = (data.key, rows.tobytes(), seconds, seed)
        if key not in self._made:
            self._made[key] = self._choose(data, rows, baseline, seed)
        return self._made[key]

    def _choose(self, data: TaskData, rows: Rows, baseline: PersonalBaseline | None, seed: int) -> Choice:
        folds = list(inner_folds(data.labels[rows], data.subject[rows], self.folds))
        unknown = Choice(0, (0,), (np.nan,) * len(self.candidates), (np.nan,) * len(self.candidates))
        if not folds:
            return unknown
        held_out = rows[np.concatenate([part for _, part in folds])]
        if len(np.unique(data.labels[held_out])) < 2:
            return unknown
        said = [
            np.concatenate([one.predict(data, rows[fit], rows[part], baseline, seed) for fit, part in folds])
            for one in self.candidates
        ]
        judge = _log_losses if self.measure == "log-loss" else _auc_losses
        losses, errors = judge(data, held_out, said)
        best = int(losses.argmin())
        members = tuple(i for i, loss in enumerate(losses) if loss - losses[best] <= errors[i])
        return Choice(members[0], members, tuple(losses.tolist()), tuple(errors.tolist()))


def _log_losses(data: TaskData, rows: Rows, said: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    labels, subject = data.labels[rows], data.subject[rows]
    counts = np.bincount(labels)
    weight = len(labels) / (np.count_nonzero(counts) * counts[labels])
    each = [
        -weight * np.log(np.clip(one[np.arange(len(labels)), labels], _LEAST_PROBABILITY, 1.0))
        for one in said
    ]
    people, person = np.unique(subject, return_inverse=True)
    sums = np.array([np.bincount(person, one, len(people)) for one in each])
    losses = sums.sum(axis=1) / len(labels)
    differences = sums - sums[losses.argmin()]
    spread = differences.std(axis=1, ddof=1) if len(people) > 1 else np.zeros(len(sums))
    return losses, np.sqrt(len(people)) * spread / len(labels)


def _auc_losses(data: TaskData, rows: Rows, said: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    summaries = [summarise(data.subject[rows], data.labels[rows], one) for one in said]
    losses = np.array([1.0 - float(metrics(one)["auc"]) for one in summaries])
    weights = draw_people(len(summaries[0].people), draws=_DRAWS)
    drawn = np.array([metrics(one, weights)["auc"] for one in summaries])
    differences = drawn - drawn[losses.argmin()]
    return losses, np.nanstd(differences, axis=1)


def from_table(table: Mapping[str, Any]) -> Nested:
    """Make one from ``candidates`` (tables, simple to complex), fields of :class:`Nested` and ``encoder``.

    The encoder is that of every candidate that needs one and names none.

    Raises
    ------
    UsageError
        When there are fewer than two candidates, or one makes no sense.

    """
    entries = dict(table)
    encoder, tables = entries.pop("encoder", None), entries.pop("candidates", None)
    if not isinstance(tables, list) or len(tables) < 2 or not all(isinstance(one, Mapping) for one in tables):
        raise UsageError(
            "A nested choice needs at least two candidates.",
            remedy="List them from simple to complex: candidates: [{kind: heart}, {kind: hybrid}].",
        )
    shared = {} if encoder is None else {"encoder": encoder}
    made = tuple(
        make_system({**shared, **one} if one.get("kind") in ("encoder", "hybrid") else one) for one in tables
    )
    nested = make(Nested, entries, "nested", Nested(made))
    if nested.folds < 2:
        raise UsageError(f"{nested.folds} inner folds leave nobody out.", remedy="Take 2 or more.")
    return nested
