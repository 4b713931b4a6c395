"""Cells: the pieces of a sweep, each one function of plain values, filed under the hash of these.

A cell is one system under one protocol with one personal baseline, label fraction and seed, for one fold or
for all. Whoever computes it, whenever and wherever, the result is the same, so what is there already is never
computed again.

Folds of a system that is fitted in milliseconds share one cell: starting a worker's task and opening the data
would take longer than the fold. A system that trains a network (``folds_together`` is False) has one cell a
fold, so that folds run side by side and an interruption costs one fold.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_ecg.errors import DataError, EdgeEcgError

from ..splits import Fold
from ..store import WindowStore
from .baseline import PersonalBaseline
from .data import Rows, TaskData
from .folds import draw_labels, folds_of, parse_protocol
from .predictions import Predictions

if TYPE_CHECKING:
    from ..systems.base import System

VERSION = 1
"""Raise it when a change of code changes results: cells filed under the old one are computed again."""


@dataclass(frozen=True)
class Cell:
    """One piece of a sweep.

    Attributes
    ----------
    config:
        Plain values: all that the result depends on. Files are named by hashes here, not by paths.
    places:
        Where these things lie: ``store``, ``cache``, ``results`` (folders) and ``system``, the table for
        ``make_system`` with the encoder's path.

    """

    config: Mapping[str, Any]
    places: Mapping[str, Any]

    @property
    def key(self) -> str:
        """SHA-256 of the config."""
        return hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()

    @property
    def result(self) -> Path:
        """The file of the predictions."""
        return Path(self.places["results"]) / f"{self.key}.npz"

    @property
    def label(self) -> str:
        """A few words for a progress line."""
        words = [str(self.config["name"]), str(self.config["protocol"])]
        if self.config["baseline_s"]:
            words.append(f"baseline {self.config['baseline_s']:g} s")
        if self.config["label_fraction"] < 1.0:
            words.append(f"{self.config['label_fraction']:.0%} of labels")
        words.append(f"seed {self.config['seed']}")
        if self.config["fold"] is not None:
            words.append(str(self.config["fold"]))
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a cell: nothing to say, or the foreseen failure that kept it from being computed."""

    key: str
    failure: EdgeEcgError | None = None


def finished(cell: Cell) -> Predictions | None:
    """Return the result of a cell that is there and whole, else None."""
    try:
        kept = Predictions.load(cell.result)
    except DataError:
        return None
    return kept if dict(kept.config) == json.loads(json.dumps(cell.config)) else None


def compute(cell: Cell) -> Outcome:
    """Compute a cell unless it is there, and keep the result: what executors run."""
    if finished(cell) is None:
        try:
            predictions = run_cell(cell)
        except EdgeEcgError as failure:
            return Outcome(cell.key, failure)
        except MemoryError as error:
            return Outcome(cell.key, _too_large(error))
        except RuntimeError as error:  # of which a GPU's is a kind
            if type(error).__name__ != "OutOfMemoryError":
                raise
            return Outcome(cell.key, _too_large(error))
        cell.result.parent.mkdir(parents=True, exist_ok=True)
        predictions.save(cell.result)
    return Outcome(cell.key)


def _too_large(error: Exception) -> EdgeEcgError:
    return DataError(
        "The memory does not suffice.",
        why=(str(error).splitlines() or [""])[0].split(". ")[0] + ".",
        remedy="Compute fewer cells at once: --jobs.",
    )


def run_cell(cell: Cell) -> Predictions:
    """Compute a cell: fit its system on the training rows of each fold, and predict the test rows.

    With a personal baseline only rows that can be compared with one take part, on both sides.

    Raises
    ------
    DataError
        When the store is not the one that the cell was made for, nobody has the baseline, or a fold's
        training rows hold one class only.

    """
    from ..systems.base import make_system

    config = cell.config
    data = _open(cell.places["store"], cell.places["cache"], config["task"], tuple(config["datasets"]))
    if data.key != config["data"]:
        raise DataError(
            f"The store {data.store_path} has changed since the sweep began.", remedy="Start the sweep again."
        )
    with one_thread():
        return predictions_of(make_system(cell.places["system"]), data, config)


def predictions_of(system: System, data: TaskData, config: Mapping[str, Any]) -> Predictions:
    """Out-of-fold predictions of a system; ``config`` as of a :class:`Cell`.

    Raises
    ------
    DataError
        As :func:`run_cell`.

    """
    seed, fraction = int(config["seed"]), float(config["label_fraction"])
    baseline = PersonalBaseline.of(data, config["baseline_s"]) if config["baseline_s"] else None
    rows: list[Rows] = []
    folds: list[str] = []
    probabilities = []
    facts: dict[str, Any] = {}
    for fold in _chosen(folds_of(data, parse_protocol(config["split"])), config["fold"]):
        train, test = _scored(fold.train, baseline), _scored(fold.test, baseline)
        if len(test) == 0:
            continue
        train = draw_labels(data, train, fraction, seed, fold.name)
        probabilities.append(np.asarray(system.predict(data, train, test, baseline, seed), np.float64))
        if hasattr(system, "facts"):  # after predict, which remembers what it chose
            facts[fold.name] = system.facts(data, train, baseline, seed)
        rows.append(test)
        folds += [fold.name] * len(test)
    tested = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    return Predictions(
        system=config["name"],
        protocol=config["protocol"],
        baseline_s=float(config["baseline_s"]),
        context_s=0.0,
        label_fraction=fraction,
        seed=seed,
        task=data.task,
        names=data.names,
        subject=data.subject[tested],
        session=data.session[tested],
        start_s=data.start_s[tested],
        labels=data.labels[tested],
        probabilities=np.concatenate(probabilities) if rows else np.zeros((0, len(data.names))),
        fold=np.array(folds, dtype=np.str_),
        config=dict(config),
        facts=facts,
    )


def _chosen(folds: list[Fold], name: str | None) -> list[Fold]:
    return folds if name is None else [fold for fold in folds if fold.name == name]


def _scored(rows: Rows, baseline: PersonalBaseline | None) -> Rows:
    return rows if baseline is None else rows[baseline.scored[rows]]


@lru_cache(maxsize=4)
def _open(store: str, cache: str, task: str, datasets: tuple[str, ...]) -> TaskData:
    """Open a task's data once a worker, so that what it keeps in memory serves all cells there."""
    return TaskData.of(WindowStore.open(store), task, datasets=datasets, cache=Path(cache))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: sums have one order on every machine then, and cells do not fight for cores."""
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)
