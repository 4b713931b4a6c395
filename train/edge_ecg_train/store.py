"""The window store: a folder of normalised windows that training and evaluation share.

    STORE/windows.npy   (n, 2560) float32, normalised; mapped into memory, not read
    STORE/meta.npz      one value a window: subject, session, dataset, lead, start_s, heart_rate_bpm,
                        quality, label_TASK
    STORE/store.json    schema, data sets and licences, preprocessing and its hash, labels of each task, the
                        rules that made them and their hash

:class:`~edge_ecg_train.store_writer.StoreWriter` writes it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError

SCHEMA = 1
WINDOW_SAMPLES = 2560
NO_LABEL = -1
# How labels were made before there were rules: by the readers, a whole recording at a time.
NO_RULES: Mapping[str, object] = MappingProxyType({"kind": "whole", "rules": {}})

# The files of a store, and the columns of its table.
WINDOWS, META, STORE = "windows.npy", "meta.npz", "store.json"
STRINGS = ("subject", "session", "dataset", "lead")
NUMBERS = ("start_s", "heart_rate_bpm", "quality")
# What of store.json is always there.
_PARTS = {
    "labels": dict, "preprocessing": dict, "preprocessing_hash": str, "datasets": list, "windowing": dict,
}  # fmt: skip


def preprocessing_hash(preprocessing: Mapping[str, object]) -> str:
    """SHA-256 over the preprocessing's constants.

    Two stores, or a store and a model, fit each other when theirs are equal.
    """
    return _sha256(preprocessing)


def labels_hash(labels: Mapping[str, Any], labelling: Mapping[str, object]) -> str:
    """SHA-256 over the tasks, their classes, and the rules that made classes of annotations."""
    classes = {task: list(names) for task, names in labels.items()}
    return _sha256({"labels": classes, "labelling": dict(labelling)})


def _sha256(values: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, allow_nan=False).encode()).hexdigest()


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

    @property
    def labelling(self) -> Mapping[str, Any]:
        """How labels were made: ``kind`` (whole or max) and ``rules``, by data set and task."""
        labelling: Mapping[str, Any] = self.info.get("labelling", NO_RULES)
        return labelling

    @property
    def labels_hash(self) -> str:
        """See :func:`labels_hash`."""
        return labels_hash(self.info["labels"], self.labelling)

    @property
    def store_hash(self) -> str:
        """SHA-256 over what decides a store's content, given the same recordings.

        It covers the preprocessing, which windows are kept, the rules of the labels, and the data sets with
        their numbers of recordings and windows.
        """
        counts = [
            [one.get(key) for key in ("name", "recordings", "windows")] for one in self.info["datasets"]
        ]
        return _sha256(
            {
                "preprocessing": self.preprocessing_hash,
                "windowing": dict(self.info["windowing"]),
                "labels": self.labels_hash,
                "datasets": counts,
            }
        )

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
            info = json.loads((path / STORE).read_text(encoding="utf-8"))
            if not isinstance(info, dict):
                raise ValueError("it does not hold an object")
            schema = info["schema"]
        except FileNotFoundError:
            raise DataError(
                f"{path} is no window store.",
                why=f"It has no {STORE}.",
                remedy="Make one: edge-ecg data prepare NAME --root FOLDER -o STORE",
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path, f"{STORE}: {error}") from None
        if schema != SCHEMA:
            raise DataError(
                f"{path} is a window store of schema {schema}.",
                why=f"This edge-ecg reads schema {SCHEMA}.",
                remedy="Prepare it again with this version.",
            )
        for name, kind in _PARTS.items():
            if not isinstance(info.get(name), kind):
                raise _damaged(path, f"{STORE}: {name!r} is missing or of another kind")
        try:
            windows = np.load(path / WINDOWS, mmap_mode="r", allow_pickle=False)
            # numpy forgets to close a damaged file that it opened itself.
            with (path / META).open("rb") as file, np.load(file, allow_pickle=False) as archive:
                meta = {name: archive[name] for name in archive.files}
            labels = {task: meta[f"label_{task}"] for task in info["labels"]}
            columns = {name: meta[name] for name in (*STRINGS, *NUMBERS)}
        except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise _damaged(path, str(error)) from None
        sizes = {len(values) for values in (*columns.values(), *labels.values())}
        if windows.shape[1:] != (WINDOW_SAMPLES,) or windows.dtype != np.float32 or sizes != {len(windows)}:
            raise _damaged(path, "its windows and their table do not belong together")
        for task, values in labels.items():
            if len(values) and not NO_LABEL <= values.min() <= values.max() < len(info["labels"][task]):
                raise _damaged(path, f"a label of the task {task!r} names none of its classes")
        return cls(path=path, windows=windows, info=info, _labels=labels, **columns)


def _damaged(path: Path, why: str) -> DataError:
    return DataError(f"The window store {path} is damaged.", why=f"{why}.", remedy="Prepare it again.")
