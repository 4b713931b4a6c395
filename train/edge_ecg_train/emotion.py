"""Stage two: any number of tasks as heads on one frozen encoder, whose embeddings are computed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edge_ecg.errors import DataError

from .checkpoint import write_atomically
from .device import Execution
from .embeddings import embeddings_of
from .evaluation.baseline import rest_class
from .heads import HeadConfig
from .rounding import rounding_covariance
from .run_dir import RunDir
from .shipped import ShippedHeads, fit_shipped_heads
from .store import WindowStore


def train_emotion(
    run_dir: Path,
    store: WindowStore,
    heads: Mapping[str, HeadConfig],
    *,
    execution: Execution | None = None,
    on_windows: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Train the heads of tasks on all labelled windows of the store, leaving RUN/heads/TASK.npz and run.json.

    A hybrid has a second head, RUN/heads/TASK.personal.npz, for people whose baseline is known.

    These are the heads to ship. How good they are on people they have not seen is ``edge-ecg evaluate``'s to
    say; the numbers returned here are on the training windows.

    Parameters
    ----------
    run_dir:
        A run with an encoder.
    store:
        Windows with labels.
    heads:
        Task to the kind of head.
    execution:
        Where the encoder runs.
    on_windows:
        Is called with the number of windows just embedded.

    Returns
    -------
    The "emotion" entry of run.json.

    Raises
    ------
    DataError
        If the run has no encoder, was trained on windows that were prepared differently, or the store has
        no labels (or labels of one class only) for a task.

    """
    run = RunDir(run_dir)
    facts = run.read_json()
    labels = {task: store.label(task) for task in heads}
    _check_preprocessing(facts, store)
    embeddings = embeddings_of(run, store, execution=execution, on_windows=on_windows)
    penalised = any(config.rounding_penalty for config in heads.values())
    rounding = rounding_covariance(run, store) if penalised else None
    entry: dict[str, Any] = dict(facts.get("emotion", {}))
    tasks: dict[str, Any] = dict(facts.get("tasks", {}))
    encoders: dict[str, str] = dict(facts.get("head_encoders", {}))
    weights = run.encoder_sha256()
    for task, config in heads.items():
        rows = np.flatnonzero(labels[task] >= 0)
        known, names = labels[task][rows], store.tasks[task]
        if len(np.unique(known)) < 2:
            raise DataError(
                f"All labelled windows of {store.path} are of one class.",
                why=f"The task {task!r} has the classes {', '.join(names)}.",
                remedy="Prepare all recordings of the data set.",
            )
        fitted = fit_shipped_heads(
            embeddings[rows],
            store.windows[rows],
            known,
            store.subject[rows],
            store.start_s[rows],
            len(names),
            config,
            rounding,
            rest=rest_class(names),
        )
        place = run.head(task)
        place.parent.mkdir(exist_ok=True)
        write_atomically(place, fitted.plain.save)
        second = place.with_name(f"{task}.personal.npz")
        if fitted.personal is not None:
            write_atomically(second, fitted.personal.save)
        else:
            second.unlink(missing_ok=True)
        tasks[task] = {"labels": list(names), **_beside_embeddings(config, fitted)}
        encoders[task] = weights
        entry[task] = {
            "head": asdict(config),
            "temperature": fitted.plain.temperature,
            "windows": {name: int((known == index).sum()) for index, name in enumerate(names)},
            "people": len(np.unique(store.subject[rows])),
            "training_accuracy": round(fitted.training_accuracy, 4),
            "datasets": sorted(set(store.dataset[rows].tolist())),
        }
        if fitted.personal is not None:
            entry[task]["personal"] = {
                "people": fitted.people,
                "temperature": fitted.personal.temperature,
            }
    run.update_json(
        tasks=tasks,
        emotion=entry,
        head_encoders=encoders,
        store=str(store.path.resolve()),
        preprocessing=dict(store.preprocessing),
    )
    return entry


def _beside_embeddings(config: HeadConfig, fitted: ShippedHeads) -> dict[str, Any]:
    """What run.json says of a hybrid: which features its heads see, and over how long logits are averaged."""
    if config.kind != "hybrid":
        return {"context_s": config.context_s} if config.context_s else {}
    return {
        "features": list(config.intervals),
        "personal": fitted.personal is not None,
        "personal_features": list(config.personal) if fitted.personal is not None else [],
        "context_s": config.context_s,
    }


def _check_preprocessing(facts: Mapping[str, Any], store: WindowStore) -> None:
    pretext = facts.get("pretext", {})
    if pretext.get("preprocessing_hash", store.preprocessing_hash) != store.preprocessing_hash:
        then = pretext.get("preprocessing")
    elif "supervised" in facts and facts.get("preprocessing", store.preprocessing) != store.preprocessing:
        then = facts["preprocessing"]  # of the labelled windows that the encoder was trained on
    else:
        return
    raise DataError(
        f"The encoder was trained on windows that were prepared differently from those of {store.path}.",
        why=f"Then: {then}; now: {dict(store.preprocessing)}.",
        remedy="Prepare both stores with the same settings.",
    )
