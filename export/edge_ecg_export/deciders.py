"""What the gate asks of embeddings: the decisions of every head that a bundle ships.

A task's plain head decides on all windows; its head for known people on those of people who have a baseline,
the first minute at rest, which is not decided on itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import BundleError, DataError
from edge_ecg.heads import SOURCES, MlpHead, interval_features_of, personal_features
from edge_ecg_train.evaluation.baseline import PersonalBaseline, find_baseline, rest_class
from edge_ecg_train.run_dir import RunDir, head_settings
from edge_ecg_train.store import WindowStore

Float32Array = NDArray[np.float32]
Labels = NDArray[np.int64]


BASELINE_S = 60.0
"""At rest, from the recording's first sample: what personal heads are fitted and judged with."""


@dataclass(frozen=True, eq=False)
class ShippedTask:
    """One task of a run: its heads, and what they see beside the embedding."""

    labels: tuple[str, ...]
    head: MlpHead
    features: tuple[str, ...] = ()
    personal_head: MlpHead | None = None
    personal_features: tuple[str, ...] = ()
    context_s: float = 0.0


def shipped_tasks(run: RunDir, facts: Mapping[str, Any]) -> dict[str, ShippedTask]:
    """Read the tasks that run.json names, with their heads.

    Raises
    ------
    DataError
        When there are none, one cannot be read, the encoder was trained on since they (or the card) were
        made, or the head since the card was.
    """
    tasks = facts.get("tasks", {})
    if not tasks:
        raise DataError(
            f"{run.path} has no head to export.",
            remedy=f"Train one with `edge-ecg train emotion {run.path} STORE`.",
        )
    _refuse_other_encoder(run, facts)
    _refuse_other_head(run, facts)
    return {
        task: ShippedTask(
            labels=tuple(entry["labels"]),
            head=_head(run, task, task),
            features=tuple(entry.get("features", ())),
            personal_head=_head(run, task, f"{task}.personal") if entry.get("personal") else None,
            personal_features=tuple(entry.get("personal_features", ())),
            context_s=float(entry.get("context_s", 0.0)),
        )
        for task, entry in tasks.items()
    }


def _head(run: RunDir, task: str, name: str) -> MlpHead:
    try:
        return MlpHead.load(run.head(name))
    except BundleError as error:  # which it is only once it is in a bundle
        raise DataError(
            f"The head {run.head(name)} cannot be read.",
            why=error.why,
            remedy=f"Make it again: edge-ecg train emotion {run.path} STORE --task {task}",
        ) from error


def _refuse_other_encoder(run: RunDir, facts: Mapping[str, Any]) -> None:
    """Refuse heads and a card of other weights: the gate, which compares like with like, would not see it."""
    if not run.encoder.is_file():
        return  # whoever loads it says so
    now = run.encoder_sha256()
    for what, remedy in (
        ("head", "edge-ecg train emotion {run} STORE --task {task}"),
        ("card", "edge-ecg evaluate {run} STORE --task {task} --write-card"),
    ):
        for task, weights in facts.get(f"{what}_encoders", {}).items():
            if weights != now:
                raise DataError(
                    f"The {what} of the task {task!r} in {run.path} is of another encoder.",
                    why="The encoder was trained on after that.",
                    remedy=f"Make it again: {remedy.format(run=run.path, task=task)}",
                )


def _refuse_other_head(run: RunDir, facts: Mapping[str, Any]) -> None:
    """Refuse a card of a head that was fitted in another way than the one that is shipped."""
    for task, settings in facts.get("card_heads", {}).items():
        if task in facts["tasks"] and settings != head_settings(facts, task):
            raise DataError(
                f"The card of the task {task!r} in {run.path} is of another head.",
                why="The head was trained with other settings after that.",
                remedy=f"Make it again: edge-ecg evaluate {run.path} STORE --task {task} --write-card",
            )


class Decider(Protocol):
    """Embeddings (n, d) to probabilities (m, classes) of those rows that it decides on."""

    def probabilities(self, embeddings: Float32Array, /) -> Float32Array:
        """Decide."""
        ...


@dataclass(frozen=True, eq=False)
class PlainDecider:
    """A head, with the interval features (n, k) of the windows."""

    head: MlpHead
    features: NDArray[np.float64]

    def probabilities(self, embeddings: Float32Array, /) -> Float32Array:
        """Decide on all rows."""
        return self.head.probabilities(np.concatenate([embeddings, self.features], axis=1))


@dataclass(frozen=True, eq=False)
class PersonalDecider:
    """A head for known people, with the personal features (n, k) of the windows."""

    head: MlpHead
    baseline: PersonalBaseline
    features: NDArray[np.float64]

    def probabilities(self, embeddings: Float32Array, /) -> Float32Array:
        """Decide on the rows that are scored: embeddings minus the median of the same engine's at rest."""
        inputs = np.concatenate([self.baseline.apply(embeddings), self.features], axis=1)
        return self.head.probabilities(inputs[self.baseline.scored])


def deciders(
    tasks: Mapping[str, ShippedTask], store: WindowStore, rows: NDArray[np.int64]
) -> tuple[dict[str, Decider], dict[str, Labels]]:
    """Return who decides on some rows of a store, and the labels of the rows that each decides on.

    A head for known people stands under ``TASK, personal``; it is left out where fewer than two of the people
    have a baseline.
    """
    windows = np.array(store.windows[rows], np.float32)
    found: dict[str, Decider] = {}
    labels: dict[str, Labels] = {}
    for name, task in tasks.items():
        labels[name] = store.label(name)[rows] if name in store.tasks else np.full(len(rows), -1, np.int64)
        found[name] = PlainDecider(task.head, interval_features_of(windows, task.features))
        if task.personal_head is None:
            continue
        try:
            baseline = find_baseline(
                store.subject[rows],
                labels[name],
                store.start_s[rows],
                BASELINE_S,
                rest=rest_class(task.labels),
            )
        except DataError:
            continue
        names = task.personal_features
        features = baseline.compare(
            interval_features_of(windows, SOURCES),
            lambda theirs, rest, names=names: personal_features(theirs, rest, names),  # type: ignore[misc]
            len(names),
        )
        found[f"{name}, personal"] = PersonalDecider(task.personal_head, baseline, features)
        labels[f"{name}, personal"] = labels[name][baseline.scored]
    return found, labels
