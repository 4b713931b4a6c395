"""Which windows a step sees: people held out, and batches that depend on the seed and the step alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def split_people(subjects: NDArray[np.str_], holdout: float, seed: int) -> tuple[Rows, Rows]:
    """Return the rows of training people and of people held out.

    Parameters
    ----------
    subjects:
        Who each window is of, (n,).
    holdout:
        The share of people to hold out: none if 0, else at least one and never all.
    seed:
        Of the draw.

    """
    people = np.unique(subjects)
    count = round(holdout * len(people))
    if holdout > 0 and len(people) > 1:
        count = min(max(count, 1), len(people) - 1)
    chosen = np.random.default_rng([seed, 1]).permutation(people)[:count]
    mask = np.isin(subjects, chosen)
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def batch_rows(rows: Rows, step: int, size: int, seed: int) -> Rows:
    """Return the rows of a step's batch, (size,).

    Batches are cut from the endless sequence of the epochs' permutations: every epoch shows each window
    exactly once, and a batch may lie across two epochs.
    """
    first, wanted, n = step * size, size, len(rows)
    parts = []
    while wanted:
        epoch, at = divmod(first, n)
        part = np.random.default_rng([seed, 2, epoch]).permutation(n)[at : at + wanted]
        parts.append(part)
        first += len(part)
        wanted -= len(part)
    return rows[np.concatenate(parts)]


def step_seed(seed: int, step: int) -> int:
    """Return the seed of what is random within a step (transformations, dropout), below 2**63."""
    state = np.random.SeedSequence([seed, 4, step]).generate_state(1, np.uint64)
    return int(state[0] % 2**63)
