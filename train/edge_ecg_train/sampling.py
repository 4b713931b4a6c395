"""Which windows a step sees: people held out, and batches that depend on the seed and the step alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

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
    people, person = people_of(subjects)
    count = round(holdout * len(people))
    if holdout > 0 and len(people) > 1:
        count = min(max(count, 1), len(people) - 1)
    chosen = np.random.default_rng([seed, 1]).permutation(people)[:count]
    mask = np.isin(people, chosen)[person]
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def people_of(subjects: NDArray[np.str_]) -> tuple[NDArray[np.str_], Rows]:
    """Return the people, sorted, and the number of each window's person among them, (n,).

    A store keeps a person's windows together, so only where the name changes are names compared by order:
    millions of strings take minutes to sort.
    """
    changes = np.flatnonzero(subjects[1:] != subjects[:-1]) + 1
    starts = np.concatenate([np.zeros(min(1, len(subjects)), np.int64), changes])
    people, person = np.unique(subjects[starts], return_inverse=True)
    return people, np.repeat(person, np.diff(starts, append=len(subjects)))


@dataclass(frozen=True, slots=True)
class Shuffle:
    """How far apart the windows of a batch may lie on the disk.

    Parameters
    ----------
    block, buffer:
        An epoch takes blocks of so many consecutive windows in random order and shuffles ``buffer`` blocks
        together. Blocks of one window are a full shuffle: best to learn from, and a disk seek a window.
        640-kB blocks of 64 windows read a spinning or network disk at its full rate.

    """

    block: int = 1
    buffer: int = 64


FULL_SHUFFLE = Shuffle()


def batch_rows(rows: Rows, step: int, size: int, seed: int, shuffle: Shuffle = FULL_SHUFFLE) -> Rows:
    """Return the rows of a step's batch, (size,).

    Batches are cut from the endless sequence of the epochs' permutations: every epoch shows each window
    exactly once, and a batch may lie across two epochs.
    """
    first, wanted, n = step * size, size, len(rows)
    parts = []
    while wanted:
        epoch, at = divmod(first, n)
        part = _epoch_order(n, epoch, seed, shuffle)[at : at + wanted]
        parts.append(part)
        first += len(part)
        wanted -= len(part)
    return rows[np.concatenate(parts)]


# Two epochs may meet in a batch, while the one after it is already being read; millions of windows take a
# second to shuffle, so not in every step.
@lru_cache(maxsize=3)
def _epoch_order(n: int, epoch: int, seed: int, shuffle: Shuffle) -> Rows:
    random = np.random.default_rng([seed, 2, epoch])
    if shuffle.block <= 1:
        return random.permutation(n)
    starts = random.permutation(-(-n // shuffle.block)) * shuffle.block
    order = (starts[:, None] + np.arange(shuffle.block)).ravel()
    order = order[order < n]
    together = np.arange(n) // (shuffle.block * shuffle.buffer)
    return order[np.lexsort((random.random(n), together))]


def step_seed(seed: int, step: int, *part: int) -> int:
    """Return the seed of what is random within a step, or a part of it, below 2**63.

    That is transformations and dropout.
    """
    state = np.random.SeedSequence([seed, 4, step, *part]).generate_state(1, np.uint64)
    return int(state[0] % 2**63)
