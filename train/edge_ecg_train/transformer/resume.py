"""Going on from a checkpoint: only with the settings and the windows that it was made with."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from edge_ecg.errors import DataError

from ..checkpoint import load_checkpoint
from ..run_dir import RunDir
from ..sampling import Rows


def kept_state(run: RunDir, *, resume: bool) -> dict[str, Any] | None:
    """Return the state that a run's folder holds, None if it holds none.

    Raises
    ------
    DataError
        If there is one, but nobody asked to resume; or it is damaged.

    """
    if not run.checkpoint.exists():
        return None
    if not resume:
        raise DataError(
            f"{run.path} already holds a training run.",
            remedy="Go on with --resume, or give another folder.",
        )
    return load_checkpoint(run.checkpoint)


def refuse_other_run(
    state: Mapping[str, Any], config: Mapping[str, Any], training: Rows, free: Set[str]
) -> None:
    """Compare a state's settings and rows with this run's.

    Parameters
    ----------
    state:
        With the entries "config" and "training".
    config, training:
        This run's.
    free:
        The settings that may have changed.

    Raises
    ------
    DataError
        If others have.

    """
    theirs = state["config"]
    changed = sorted(key for key in config if key not in free and config[key] != theirs.get(key))
    if changed:
        raise DataError(
            "The checkpoint was trained with other settings.",
            why=", ".join(f"{key} was {theirs.get(key)}, is {config[key]}" for key in changed) + ".",
            remedy="Resume with the same recipe, or start a new run in another folder.",
        )
    if not np.array_equal(state["training"].numpy(), training):
        raise DataError(
            "The checkpoint was trained on other windows.",
            remedy="Resume with the same store, or start a new run in another folder.",
        )
