"""Write a window store: complete or not at all.

It grows in a hidden folder beside its place and is renamed when it is whole; an error or an interrupt removes
it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError
from edge_ecg.private_files import create_private, private_folder

from .store import (
    META,
    NO_LABEL,
    NO_RULES,
    NUMBERS,
    SCHEMA,
    STORE,
    STRINGS,
    WINDOW_SAMPLES,
    WINDOWS,
    WindowStore,
    labels_hash,
    preprocessing_hash,
)


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


class StoreWriter:
    """Write a store window by window.

    Use it in a with block: ``commit`` puts the store in its place, leaving without it discards everything.

    Parameters
    ----------
    path:
        The folder to be. Its parent is made when needed.
    overwrite:
        Replace a store that is already there. Anything else is never replaced.
    private:
        For the owner alone: a folder of mode 0700 with files of mode 0600, whatever the umask.

    Raises
    ------
    DataError
        When something is already at ``path``.

    """

    def __init__(self, path: Path, *, overwrite: bool = False, private: bool = False) -> None:
        self.path = path.absolute()
        self.overwrite = overwrite
        self.private = private
        self._refuse_to_replace()
        self._meta: list[WindowMeta] = []
        self._folder: Path | None = None
        self._file: BinaryIO | None = None

    def _refuse_to_replace(self) -> None:
        if not self.path.exists():
            return
        if not (self.path / STORE).is_file() and not (self.path.is_dir() and not any(self.path.iterdir())):
            raise DataError(
                f"{self.path} is there already and is no window store.",
                why="It would have to be deleted.",
                remedy="Give another place with -o.",
            )
        if (self.path / STORE).is_file() and not self.overwrite:
            raise DataError(
                f"There is already a window store at {self.path}.",
                remedy="Give another place with -o, or replace it with --overwrite.",
            )

    def __enter__(self) -> Self:
        # Named before it is made, so that an interrupt in between finds it.
        self._folder = self._beside()
        try:
            with self._told():
                if self.private:
                    private_folder(self._folder)
                else:
                    self._folder.mkdir(parents=True)
                self._file = self._create(WINDOWS)
                self._write_header()
        except BaseException:
            self._discard()
            raise
        return self

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Make a sentence of a disk that is full or may not be written to."""
        try:
            yield
        except OSError as error:
            raise DataError(
                f"{self.path} cannot be written.",
                why=f"{error}.",
                remedy="Make room, or give another place with -o.",
            ) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    def _beside(self) -> Path:
        """A hidden place in the same folder, so that moving from there is a rename."""
        return self.path.parent / f".{self.path.name}.{secrets.token_hex(4)}"

    def _create(self, name: str) -> BinaryIO:
        assert self._folder is not None
        path = self._folder / name
        return os.fdopen(create_private(path), "wb") if self.private else path.open("wb")

    def _discard(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # what is still buffered may not fit, and is not wanted
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
        with self._told():
            self._file.write(window.tobytes())
        self._meta.append(meta)

    def commit(
        self,
        *,
        preprocessing: Mapping[str, object],
        labels: Mapping[str, tuple[str, ...]],
        datasets: list[Mapping[str, object]],
        windowing: Mapping[str, object],
        labelling: Mapping[str, object] = NO_RULES,
    ) -> WindowStore:
        """Complete the store, put it in its place and open it there.

        Each argument becomes a part of ``store.json``; all but ``datasets`` take part in the store's hash.
        """
        assert self._file is not None, "use the writer in a with block"
        assert self._folder is not None
        info = {
            "schema": SCHEMA,
            "windows": len(self._meta),
            "datasets": datasets,
            "labels": {task: list(names) for task, names in labels.items()},
            "preprocessing": dict(preprocessing),
            "preprocessing_hash": preprocessing_hash(preprocessing),
            "windowing": dict(windowing),
            "labelling": dict(labelling),
            "labels_hash": labels_hash(labels, labelling),
        }
        with self._told():
            self._write_header()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            with self._create(META) as file:
                np.savez_compressed(file, allow_pickle=False, **self._columns(labels))
            with self._create(STORE) as file:
                file.write((json.dumps(info, indent=2) + "\n").encode())
            self._move_into_place()
        return WindowStore.open(self.path)

    def _columns(self, labels: Mapping[str, tuple[str, ...]]) -> dict[str, NDArray[Any]]:
        columns: dict[str, NDArray[Any]] = {}
        for name in STRINGS:
            columns[name] = np.array([getattr(one, name) for one in self._meta], dtype=np.str_)
        for name in NUMBERS:
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
            old = self._beside()
            self.path.rename(old)
        try:
            self._folder.rename(self.path)
        except BaseException:
            if old is not None:
                old.rename(self.path)
            raise
        self._folder = None
        if old is not None:
            shutil.rmtree(old)
