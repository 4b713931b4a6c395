"""What a system said of windows that it was not fitted on."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError

from ..checkpoint import write_atomically

_STRINGS = ("subject", "session", "fold")
_ARRAYS = (*_STRINGS, "start_s", "labels", "probabilities")
_SMALLEST = 1e-7  # a probability of 0 would outvote every other window of a context


@dataclass(frozen=True, eq=False)
class Predictions:
    """One system under one protocol, out of fold, with one seed.

    Attributes
    ----------
    system:
        As printed: ``frozen trunk + linear head``.
    protocol:
        ``leave-one-subject-out``, ``grouped-7``, ``random-windows`` or ``transfer eegmat -> nilspod``.
    baseline_s:
        Seconds of the personal baseline; 0 for none.
    context_s:
        Over how many seconds logits were averaged; 0 for a window alone.
    label_fraction:
        Share of the training windows whose labels were used.
    seed:
        Of everything random.
    task, names:
        The task and its classes.
    subject, session, fold:
        (n,) strings.
    start_s:
        (n,) seconds.
    labels:
        (n,) class numbers.
    probabilities:
        (n, k).
    config:
        Plain values: all that the predictions depend on.
    facts:
        Fold to what the system tells of how it was fitted there (a nested choice, say); plain values.

    """

    system: str
    protocol: str
    baseline_s: float
    context_s: float
    label_fraction: float
    seed: int
    task: str
    names: tuple[str, ...]
    subject: NDArray[np.str_]
    session: NDArray[np.str_]
    start_s: NDArray[np.float64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    fold: NDArray[np.str_]
    config: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.labels)
        if any(len(getattr(self, name)) != n for name in _ARRAYS):
            raise ValueError("the columns of predictions differ in length")
        if self.probabilities.shape != (n, len(self.names)):
            raise ValueError(
                f"probabilities are {self.probabilities.shape}, not {(n, len(self.names))}: one a class"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def save(self, path: Path) -> None:
        """Write one .npz: the arrays, and everything else as JSON in its member ``facts``."""
        facts = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in _ARRAYS}
        text = np.array(json.dumps(facts))
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        write_atomically(path, lambda file: np.savez_compressed(file, facts=text, **arrays))

    @classmethod
    def load(cls, path: Path) -> Predictions:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError
            When the file is missing or damaged.

        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                facts = json.loads(str(archive["facts"]))
                arrays = {name: archive[name] for name in _ARRAYS}
            return cls(**{**facts, "names": tuple(facts["names"])}, **arrays)
        except FileNotFoundError:
            raise DataError(f"There are no predictions at {path}.") from None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(
                f"The predictions in {path} are damaged.", why=f"{error}.", remedy="Delete the file."
            ) from None


def joined(parts: Iterable[Predictions]) -> Predictions:
    """Join the folds of one system under one protocol, in the order given.

    Raises
    ------
    ValueError
        When there is none, or they are not of the same system, protocol and task.

    """
    parts = list(parts)
    if not parts:
        raise ValueError("there are no predictions to join")
    if len({_identity(one) for one in parts}) > 1:
        raise ValueError("only folds of the same system under the same protocol can be joined")
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in parts]) for name in _ARRAYS
    }
    facts = {fold: told for one in parts for fold, told in one.facts.items()}
    return replace(parts[0], facts=facts, **columns)


def _identity(one: Predictions) -> tuple[object, ...]:
    return (
        one.system, one.protocol, one.baseline_s, one.context_s, one.label_fraction, one.seed,
        one.task, one.names,
    )  # fmt: skip


def with_context(predictions: Predictions, context_s: float) -> Predictions:
    """Average the logits of the windows of the same person and session that ended in the last seconds.

    Causal: a window is joined by those that ended up to ``context_s`` before it ended, itself included, and
    by no later one. What is averaged are log-probabilities; with two classes that is the mean of the logits.

    Parameters
    ----------
    predictions:
        Of windows alone.
    context_s:
        Seconds; 0 returns the predictions as they are.

    Raises
    ------
    ValueError
        When the predictions have a context already, or ``context_s`` is negative.

    """
    if predictions.context_s != 0.0 or context_s < 0.0:
        raise ValueError("a context is taken of the predictions of windows alone, over 0 seconds or more")
    if context_s == 0.0:
        return predictions
    logits = np.log(np.clip(predictions.probabilities, _SMALLEST, None))
    mean = np.empty_like(logits)
    session = np.char.add(np.char.add(predictions.subject, "\x00"), predictions.session)
    for one in np.unique(session):
        rows = np.flatnonzero(session == one)
        rows = rows[np.argsort(predictions.start_s[rows], kind="stable")]
        start_s = predictions.start_s[rows]
        # Windows are equally long, so that ends are as far apart as starts; 1 ms swallows rounding.
        first = np.searchsorted(start_s, start_s - context_s - 1e-3)
        end = np.searchsorted(start_s, start_s + 1e-3, side="right")
        for row, begin, stop in zip(rows, first, end, strict=True):
            mean[row] = logits[rows[begin:stop]].mean(axis=0)
    weights = np.exp(mean - mean.max(axis=1, keepdims=True))
    return replace(
        predictions,
        context_s=float(context_s),
        probabilities=weights / weights.sum(axis=1, keepdims=True),
    )
