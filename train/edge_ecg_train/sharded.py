"""Several stores as one: how ten thousand hours are kept, prepared in parallel, and read.

A store of 10 000 hours is 37 GB in one file; prepared as shards, each by a process of its own, nothing has to
be joined. Windows are read where they lie, by memory maps; what a step needs is fetched while the one before
it is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError

from .store import WindowStore

Float32Array = NDArray[np.float32]
Rows = NDArray[np.int64]


class Windows(Protocol):
    """(n, samples) float32, in memory, mapped, or in shards."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, samples)."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Float32Array: ...


class ShardedWindows:
    """The windows of several stores, one after the other, read by row numbers."""

    def __init__(self, parts: Sequence[Float32Array]) -> None:
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) for part in parts])

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, samples)."""
        return len(self), *self._parts[0].shape[1:]

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, rows: Any, /) -> Float32Array:
        """Windows (k, samples) of row numbers (k,) or of a slice."""
        wanted = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows)
        out = np.empty((len(wanted), *self._parts[0].shape[1:]), np.float32)
        shards = np.searchsorted(self._ends, wanted, side="right")
        for shard in np.unique(shards):
            here = np.flatnonzero(shards == shard)
            first = self._ends[shard] - len(self._parts[shard])
            local = wanted[here] - first
            # In the order of the file: neighbours come from one page of it.
            order = np.argsort(local)
            out[here[order]] = self._parts[shard][local[order]]
        return out


def open_shards(paths: Sequence[Path]) -> tuple[Windows, NDArray[np.str_], list[WindowStore]]:
    """Open stores as one.

    Returns
    -------
    Windows (n, 2560); who each is of, (n,); and the stores.

    Raises
    ------
    DataError
        When one is no store, or they were prepared differently.

    """
    stores = [WindowStore.open(path) for path in paths]
    for other in stores[1:]:
        if other.preprocessing_hash != stores[0].preprocessing_hash:
            raise DataError(
                f"{stores[0].path} and {other.path} were prepared differently.",
                why=f"Their preprocessing is {stores[0].preprocessing_hash[:12]} and "
                f"{other.preprocessing_hash[:12]}.",
                remedy="Prepare all shards with the same settings.",
            )
    if len(stores) == 1:
        return stores[0].windows, stores[0].subject, stores
    windows = ShardedWindows([store.windows for store in stores])
    return windows, np.concatenate([store.subject for store in stores]), stores


class ReadAhead:
    """Read what the next step needs while this one is computed.

    Parameters
    ----------
    read:
        The windows of a step, by its number: a function of the number alone.

    """

    def __init__(self, read: Callable[[int], Float32Array]) -> None:
        self._read = read
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
        self._next: tuple[int, Future[Float32Array]] | None = None

    def take(self, step: int) -> Float32Array:
        """Return a step's windows, and begin to read the next one's."""
        kept, self._next = self._next, None
        now = kept[1].result() if kept is not None and kept[0] == step else self._read(step)
        self._next = step + 1, self._thread.submit(self._read, step + 1)
        return now

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)
