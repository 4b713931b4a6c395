"""Folds of people inside the training people: where everything that is chosen or calibrated is judged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

INNER_FOLDS = 5


def inner_folds(
    labels: NDArray[np.int64], groups: NDArray[np.str_], folds: int = INNER_FOLDS
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (fit, held out) row numbers; a person's windows are in one part.

    Folds whose fitting part lacks a class that the whole has are left out, so there may be none.

    Parameters
    ----------
    labels, groups:
        (n,) class numbers, and who each window is of.
    folds:
        How many, if there are as many people.

    """
    people = len(np.unique(groups))
    if people < 2:
        return
    classes = len(np.unique(labels))
    for fit, held_out in GroupKFold(min(folds, people)).split(labels, labels, groups):
        if len(np.unique(labels[fit])) == classes:
            yield fit.astype(np.int64), held_out.astype(np.int64)
