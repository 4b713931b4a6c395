"""The window store: a folder of normalised windows that training and evaluation share.

    STORE/windows.npy   (n, 2560) float32, normalised; mapped into memory, not read
    STORE/meta.npz      one value a window: subject, session, dataset, lead, start_s, heart_rate_bpm,
                        quality, label_TASK
    STORE/store.json    schema, data sets and licences, preprocessing and its hash, labels of each task

A store appears complete or not at all: it is written beside its place and renamed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError

SCHEMA = 1
WINDOW_SAMPLES = 2560
NO_LABEL = -1

_WINDOWS, _META, _STORE = "windows.npy", "meta.npz", "store.json"
_STRINGS = ("subject", "session", "dataset", "lead")
_NUMBERS = ("start_s", "heart_rate_bpm", "quality")


def preprocessing_hash(preprocessing: Mapping[str, object]) -> str:
    """SHA-256 over the preprocessing's constants.

    Two stores, or a store and a model, fit each other when theirs are equal.
    """
    return hashlib.sha256(json.dumps(preprocessing, sort_keys=True, allow_nan=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class WindowMeta:
    """What is known of one window."""

    dataset: str
    subject: str
    session: str
    lead: str
    start_s: float
    heart_rate_bpm: float
    quality: float
    labels: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class WindowStore:
    """An open store.

    Attributes
    ----------
    windows:
        (n, 2560) float32, read-only and mapped into memory.
    subject, session, dataset, lead:
        (n,) strings. A subject's name is unique over all data sets.
    start_s:
        (n,) seconds from the recording's first sample.
    heart_rate_bpm, quality:
        (n,) float64; the heart rate is NaN where none could be told.
    info:
        ``store.json``.

    """

    path: Path
    windows: NDArray[np.float32]
    subject: NDArray[np.str_]
    session: NDArray[np.str_]
    dataset: NDArray[np.str_]
    lead: NDArray[np.str_]
    start_s: NDArray[np.float64]
    heart_rate_bpm: NDArray[np.float64]
    quality: NDArray[np.float64]
    info: Mapping[str, Any]
    _labels: Mapping[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def tasks(self) -> Mapping[str, tuple[str, ...]]:
        """Task to the names of its classes."""
        return {task: tuple(names) for task, names in self.info["labels"].items()}

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """The constants of the signal chain, in the words of the bundle's manifest."""
        preprocessing: Mapping[str, Any] = self.info["preprocessing"]
        return preprocessing

    @property
    def preprocessing_hash(self) -> str:
        """See :func:`preprocessing_hash`."""
        return str(self.info["preprocessing_hash"])

    def label(self, task: str) -> NDArray[np.int64]:
        """Class numbers of a task, (n,); ``NO_LABEL`` (-1) where a window has none.

        Raises
        ------
        DataError
            When no window of the store has a label for the task.

        """
        if task not in self._labels:
            has = (
                f"It has labels for {', '.join(self._labels)}."
                if self._labels
                else "It has no labels at all."
            )
            raise DataError(
                f"{self.path} has no labels for the task {task!r}.",
                why=has,
                remedy="Prepare a data set that has them (edge-ecg data list), or give another --task.",
            )
        return self._labels[task]

    @classmethod
    def open(cls, path: Path | str) -> WindowStore:
        """Open a store without reading its windows.

        Raises
        ------
        DataError
            When the folder is no store, is of another schema, or is damaged.

        """
        path = Path(path)
        try:
            info = json.loads((path / _STORE).read_text(encoding="utf-8"))
            schema = info["schema"]
        except FileNotFoundError:
            raise DataError(
                f"{path} is no window store.",
                why=f"It has no {_STORE}.",
                remedy="Make one: edge-ecg data prepare NAME --root FOLDER -o STORE",
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path, f"{_STORE}: {error}") from None
        if schema != SCHEMA:
            raise DataError(
                f"{path} is a window store of schema {schema}.",
                why=f"This edge-ecg reads schema {SCHEMA}.",
                remedy="Prepare it again with this version.",
            )
        try:
            windows = np.load(path / _WINDOWS, mmap_mode="r", allow_pickle=False)
            # numpy forgets to close a damaged file that it opened itself.
            with (path / _META).open("rb") as file, np.load(file, allow_pickle=False) as archive:
                meta = {name: archive[name] for name in archive.files}
            labels = {task: meta[f"label_{task}"] for task in info["labels"]}
            columns = {name: meta[name] for name in (*_STRINGS, *_NUMBERS)}
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise _damaged(path, str(error)) from None
        sizes = {len(values) for values in (*columns.values(), *labels.values())}
        if windows.ndim != 2 or windows.dtype != np.float32 or sizes != {len(windows)}:
            raise _damaged(path, "its windows and their table do not belong together")
        return cls(path=path, windows=windows, info=info, _labels=labels, **columns)


def _damaged(path: Path, why: str) -> DataError:
    return DataError(f"The window store {path} is damaged.", why=f"{why}.", remedy="Prepare it again.")


class StoreWriter:
    """Write a store window by window.

    Use it in a with block: ``commit`` puts the store in its place, leaving without it discards everything.

    Parameters
    ----------
    path:
        The folder to be. Its parent is made when needed.
    overwrite:
        Replace a store that is already there. Anything else is never replaced.

    Raises
    ------
    DataError
        When something is already at ``path``.

    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path.absolute()
        self.overwrite = overwrite
        self._refuse_to_replace()
        self._meta: list[WindowMeta] = []
        self._folder: Path | None = None
        self._file: BinaryIO | None = None

    def _refuse_to_replace(self) -> None:
        if not self.path.exists():
            return
        if not (self.path / _STORE).is_file() and not (self.path.is_dir() and not any(self.path.iterdir())):
            raise DataError(
                f"{self.path} is there already and is no window store.",
                why="It would have to be deleted.",
                remedy="Give another place with -o.",
            )
        if (self.path / _STORE).is_file() and not self.overwrite:
            raise DataError(
                f"There is already a window store at {self.path}.",
                remedy="Give another place with -o, or replace it with --overwrite.",
            )

    def __enter__(self) -> StoreWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent))
            self._file = (self._folder / _WINDOWS).open("wb")
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be written.", why=f"{error}.", remedy="Give another place with -o."
            ) from None
        self._write_header()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __len__(self) -> int:
        return len(self._meta)

    def append(self, window: NDArray[np.float32], meta: WindowMeta) -> None:
        """Add one normalised window (2560,)."""
        if window.shape != (WINDOW_SAMPLES,) or window.dtype != np.float32:
            raise ValueError(f"a window is ({WINDOW_SAMPLES},) float32, not {window.shape} {window.dtype}")
        assert self._file is not None, "use the writer in a with block"
        self._file.write(window.tobytes())
        self._meta.append(meta)

    def commit(
        self,
        *,
        preprocessing: Mapping[str, object],
        labels: Mapping[str, tuple[str, ...]],
        datasets: list[Mapping[str, object]],
        windowing: Mapping[str, object],
    ) -> WindowStore:
        """Complete the store, put it in its place and open it there."""
        assert self._file is not None, "use the writer in a with block"
        assert self._folder is not None
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        np.savez_compressed(self._folder / _META, allow_pickle=False, **self._columns(labels))
        info = {
            "schema": SCHEMA,
            "windows": len(self._meta),
            "datasets": datasets,
            "labels": {task: list(names) for task, names in labels.items()},
            "preprocessing": dict(preprocessing),
            "preprocessing_hash": preprocessing_hash(preprocessing),
            "windowing": dict(windowing),
        }
        (self._folder / _STORE).write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
        self._folder.chmod(0o755)
        self._move_into_place()
        return WindowStore.open(self.path)

    def _columns(self, labels: Mapping[str, tuple[str, ...]]) -> dict[str, NDArray[Any]]:
        columns: dict[str, NDArray[Any]] = {}
        for name in _STRINGS:
            columns[name] = np.array([getattr(one, name) for one in self._meta], dtype=np.str_)
        for name in _NUMBERS:
            columns[name] = np.array([getattr(one, name) for one in self._meta], dtype=np.float64)
        for task in labels:
            columns[f"label_{task}"] = np.array(
                [one.labels.get(task, NO_LABEL) for one in self._meta], dtype=np.int64
            )
        return columns

    def _write_header(self) -> None:
        """Write the .npy header for the windows so far; its length does not depend on their number."""
        assert self._file is not None
        end = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(self._meta), WINDOW_SAMPLES)}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._file.seek(max(end, self._file.tell()))

    def _move_into_place(self) -> None:
        assert self._folder is not None
        old: Path | None = None
        if self.path.exists():
            self._refuse_to_replace()
            old = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", dir=self.path.parent)) / "old"
            self.path.rename(old)
        self._folder.rename(self.path)
        self._folder = None
        if old is not None:
            shutil.rmtree(old.parent)
