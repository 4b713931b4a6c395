"""The evaluation of one trained run: a sweep of three systems, made from what run.json says.

The run's own kind of head stands beside the heart rate, as it is and in the person's own measure. Encoder and
windows are there already; everything else is as in a recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_ecg.errors import DataError

from .evaluation.baseline import find_baseline, rest_class
from .evaluation.folds import LEAVE_ONE_OUT, RANDOM_WINDOWS
from .evaluation.sweep import Listener, Sweep, stage_on
from .evaluation.sweep_recipe import Only, Sources, SweepRecipe, SystemEntry
from .heads import HeadConfig
from .metrics import DRAWS
from .recipe import make
from .run_dir import RunDir, check_preprocessing, head_settings
from .store import NO_LABEL, WindowStore
from .systems.encoder import head_name

OURS, HEART, PERSONAL = "ours", "heart", "personal"
"""The ids of the three systems."""

BASELINE_S, CONTEXT_S = 60.0, 30.0
"""What is tried where the head does not name its own."""


def stage_run(
    run: RunDir,
    store: WindowStore,
    task: str,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    listener: Listener | None = None,
) -> Sweep:
    """Make the evaluation of a run on a store ready; its results are kept in RUN/cache.

    Parameters
    ----------
    run, store, task:
        What is judged, and on which windows.
    draws, seed:
        Of the bootstrap over people; of the split of random windows and of the heads.
    listener:
        Is told how far it is.

    Raises
    ------
    DataError
        When the run has no encoder, was trained on windows prepared in another way or with labels of the same
        data, holds a head that this version does not know, or the store has not two classes of labels.

    """
    facts = run.read_json()
    check_preprocessing(facts, store, run.path)
    sets = _labelled_sets(store, task)
    _refuse_supervised(facts, sets, run.path)
    head = head_of(facts, task)
    baseline_s = head.baseline_s if head.kind == "hybrid" and head.baseline_s else BASELINE_S
    baselines_s = (0.0, baseline_s) if _has_baseline(store, task, baseline_s) else (0.0,)
    # A hybrid without a second head cannot be told a person's baseline.
    plain = Only(baselines_s=(0.0,)) if head.kind == "hybrid" and not head.baseline_s else Only()
    systems = [
        SystemEntry(_system(run.path, head), plain, OURS, f"encoder + {_spoken(head)}"),
        SystemEntry({"kind": "heart"}, Only(), HEART),
    ]
    if len(baselines_s) > 1:
        systems.append(
            SystemEntry({"kind": "heart", "personal": True}, Only(baselines_s=(baseline_s,)), PERSONAL)
        )
    name = str(facts.get("name", run.path.name))
    recipe = SweepRecipe(
        data=Sources(
            sets=sets,
            hop_s=int(store.info["windowing"]["hop_s"]),
            normalisation=str(store.preprocessing["normalisation"]),
        ),
        task=task,
        protocols=(LEAVE_ONE_OUT, RANDOM_WINDOWS),
        baselines_s=baselines_s,
        contexts_s=(0.0, head.context_s or CONTEXT_S),
        seeds=(seed,),
        systems=tuple(systems),
        reference=HEART,
        pairs=((OURS, PERSONAL),) if len(systems) > 2 and plain == Only() else (),
        draws=draws,
        title=f"{name}: {' or '.join(store.tasks[task])}, each person left out",
        name=name,
    )
    return stage_on(recipe, store, run.path, run.cache, listener)


def head_of(facts: Mapping[str, Any], task: str) -> HeadConfig:
    """Return the settings of a run's own head, so that what is judged is what is shipped.

    Parameters
    ----------
    facts:
        The run's run.json; a run without a head for the task is judged by a linear one.
    task:
        The task.

    Raises
    ------
    DataError
        When this version does not know such a head.

    """
    settings = head_settings(facts, task)
    plain = {key: list(one) if isinstance(one, tuple) else one for key, one in settings.items()}
    unknown = sorted(set(plain) - {one.name for one in fields(HeadConfig)})
    if unknown:
        raise DataError(
            f"run.json describes a head for {task!r} that this version does not know.",
            why=f"Unknown: {', '.join(unknown)}.",
            remedy="Train it again: edge-ecg train emotion",
        )
    return make(HeadConfig, plain, f"run.json: the head of {task}")


def notes_of(facts: Mapping[str, Any], task: str) -> list[str]:
    """Return what differs between the head that is judged and the one that is shipped, in sentences."""
    penalty = head_of(facts, task).rounding_penalty
    if not penalty:
        return []
    return [
        f"The shipped head has a rounding penalty of {penalty:g}; it is judged without one, for the rounding "
        "error would have to be measured anew in every fold."
    ]


def _labelled_sets(store: WindowStore, task: str) -> tuple[str, ...]:
    labels = store.label(task)
    known = labels != NO_LABEL
    if len(np.unique(labels[known])) < 2:
        raise DataError(
            f"All labelled windows of {store.path} are of one class.",
            why=f"The task {task!r} has the classes {', '.join(store.tasks[task])}.",
            remedy="Prepare all recordings of the data set.",
        )
    return tuple(sorted({str(one) for one in store.dataset[known]}))


def _refuse_supervised(facts: Mapping[str, Any], sets: tuple[str, ...], run: Path) -> None:
    """Refuse an encoder that was trained with labels of the people it would be tested on.

    Heads that are fitted anew in each fold do not help: the encoder below them knows the answers.
    """
    if "supervised" not in facts:
        return
    trained_on = facts["supervised"].get("datasets")
    shared = sets if trained_on is None else tuple(sorted(set(trained_on) & set(sets)))
    if shared:
        raise DataError(
            f"{run} was trained end to end with labels, and cannot be judged on {', '.join(shared)}.",
            why="Its encoder has seen the answers of the people that it would be tested on."
            if trained_on is not None
            else "On which data is not recorded.",
            remedy="Train it anew in every fold: a recipe with the system {kind: end-to-end} "
            "(docs/evaluation.md), such as --recipe label-efficiency.",
        )


def _has_baseline(store: WindowStore, task: str, seconds: float) -> bool:
    labels = store.label(task)
    rows = labels != NO_LABEL
    try:
        baseline = find_baseline(
            store.subject[rows],
            labels[rows],
            store.start_s[rows],
            seconds,
            rest=rest_class(store.tasks[task]),
        )
    except DataError:
        return False
    return len(np.unique(labels[rows][baseline.scored])) > 1


def _system(run: Path, head: HeadConfig) -> dict[str, Any]:
    """Return the table of the system that has the run's encoder and its kind of head."""
    settings = {
        key: list(one) if isinstance(one, tuple) else one
        for key, one in asdict(replace(head, rounding_penalty=0.0, seed=0)).items()
    }
    return {
        "kind": "hybrid" if head.kind == "hybrid" else "encoder",
        "encoder": {"run": str(run)},
        "head": settings,
    }


def _spoken(head: HeadConfig) -> str:
    return "beat intervals (hybrid head)" if head.kind == "hybrid" else head_name(head)
