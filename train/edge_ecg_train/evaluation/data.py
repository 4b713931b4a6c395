"""The labelled windows of one task, as every system sees them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError

from ..store import NO_LABEL, WINDOWS, WindowStore

Rows = NDArray[np.int64]
"""Row numbers of a :class:`TaskData`, (m,)."""

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class TaskData:
    """The labelled windows of one task; rows are 0 to n - 1.

    Attributes
    ----------
    windows:
        (n, 2560) float32, normalised, mapped into memory and read-only.
    labels:
        (n,) class numbers.
    subject, session, dataset:
        (n,) strings; a subject's name is unique over all data sets.
    start_s:
        (n,) seconds from the recording's first sample.
    task, names:
        The task and its classes.
    key:
        SHA-256 (hexadecimal) of all of the above.
    store_path:
        The store that the windows are from.
    cache_path:
        The folder of :meth:`cached`.

    """

    windows: NDArray[np.float32]
    labels: NDArray[np.int64]
    subject: NDArray[np.str_]
    session: NDArray[np.str_]
    dataset: NDArray[np.str_]
    start_s: NDArray[np.float64]
    task: str
    names: tuple[str, ...]
    key: str
    store_path: Path
    cache_path: Path
    _kept: dict[str, Array] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(
        cls,
        store: WindowStore,
        task: str,
        *,
        datasets: Sequence[str] | None = None,
        cache: Path | None = None,
    ) -> TaskData:
        """Take the windows of a store that have a label for a task.

        Parameters
        ----------
        store, task:
            The store, and the task whose unlabelled windows are left out.
        datasets:
            Only the windows of these; all when None.
        cache:
            Where :meth:`cached` keeps arrays; ``STORE/cache`` when None.

        Raises
        ------
        DataError
            When the store has no labels for the task, or no window of the data sets has one.

        """
        labels = store.label(task)
        keep = labels != NO_LABEL
        if datasets is not None:
            keep &= np.isin(store.dataset, list(datasets))
        rows = np.flatnonzero(keep)
        if len(rows) == 0:
            raise DataError(
                f"No window of {store.path} has a label for the task {task!r}.",
                why=f"Its data sets are {', '.join(np.unique(store.dataset))}.",
                remedy="Prepare a data set that has labels for it (edge-ecg data list).",
            )
        columns = {name: getattr(store, name)[rows] for name in ("subject", "session", "dataset", "start_s")}
        names = store.tasks[task]
        stat = (store.path / WINDOWS).stat()
        digest = hashlib.sha256(_file_hash(store.path / WINDOWS, stat.st_size, stat.st_mtime_ns).encode())
        digest.update(json.dumps([task, list(names), store.preprocessing_hash]).encode())
        for values in (rows, labels[rows], columns["start_s"]):
            digest.update(np.ascontiguousarray(values).tobytes())
        for name in ("subject", "session", "dataset"):
            digest.update(json.dumps(columns[name].tolist()).encode())
        key = digest.hexdigest()
        data = cls(
            windows=store.windows,
            labels=labels[rows],
            task=task,
            names=names,
            key=key,
            store_path=store.path,
            cache_path=cache if cache is not None else store.path / "cache",
            **columns,
        )
        # A view of the mapped file where that is possible; else a copy, mapped as well.
        first, last = int(rows[0]), int(rows[-1]) + 1
        if last - first == len(rows):
            object.__setattr__(data, "windows", store.windows[first:last])
        else:
            object.__setattr__(data, "windows", data.cached("windows", lambda: store.windows[rows]))
        return data

    def cached(self, name: str, make: Callable[[], Array]) -> Array:
        """Return an array of n rows that is computed once and kept on disk.

        Parameters
        ----------
        name:
            Says all that the array depends on beside the windows: what is computed, with which settings and
            which version of the code. Two arrays of one name are taken for the same.
        make:
            Computes the array (n, ...).

        Returns
        -------
        The array, read-only and mapped into memory. A damaged file is computed again.

        """
        if name in self._kept:
            return self._kept[name]
        stem = hashlib.sha256(f"{self.key} {name}".encode()).hexdigest()[:24]
        place = self.cache_path / f"{stem}.npy"
        array = _load(place, len(self))
        if array is None:
            made = np.asarray(make())
            if len(made) != len(self):
                raise ValueError(f"{name}: {len(made)} rows for {len(self)} windows")
            array = _keep(place, made)
        self._kept[name] = array
        return array


@lru_cache(maxsize=16)
def _file_hash(path: Path, size: int, mtime_ns: int) -> str:
    """SHA-256 of a file; size and time are there so that a changed file is read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load(place: Path, n: int) -> Array | None:
    try:
        array: Array = np.load(place, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if len(array) == n else None


def _keep(place: Path, array: Array) -> Array:
    """Write under a name of its own, then move: several workers may compute the same array at once."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, suffix=".part", delete=False) as file:
            try:
                np.save(file, array, allow_pickle=False)
                file.close()
                os.replace(file.name, place)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError:  # a full disk or a read-only folder costs time later, not the result
        array.flags.writeable = False
        return array
    kept = _load(place, len(array))
    return array if kept is None else kept
