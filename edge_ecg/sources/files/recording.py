"""What every reader of a recording gives: one ECG channel, chunk by chunk, numbered in device time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...samples import BoolArray, FloatArray
from ...signal.resample import MAX_FS_HZ, MIN_FS_HZ

CHUNK_SAMPLES = 8192
"""How many samples a reader holds at a time, however long the recording is."""

Detail = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples in a row, as a reader finds them.

    Attributes
    ----------
    first_sample:
        Number of the first one, counted in device time; a jump from the chunk before is a gap.
    ecg_mv:
        (n,) float64, millivolts; not a finite number where the recording says that the sample was lost.
    lead_off, saturated:
        (n,) bool, or None when the recording cannot tell.
    time_s, acceleration_g:
        (n,) and (n, 3) float64 as in :class:`edge_ecg.samples.SampleBlock`, or None.

    """

    first_sample: int
    ecg_mv: FloatArray
    lead_off: BoolArray | None = None
    saturated: BoolArray | None = None
    time_s: FloatArray | None = None
    acceleration_g: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Marker:
    """A note that somebody or something left in the recording, ``at_s`` seconds after its first sample."""

    at_s: float
    text: str


class Recording(Protocol):
    """One ECG channel of an open file."""

    @property
    def kind(self) -> str:
        """The format: edf, wfdb, csv, ..."""
        ...

    @property
    def fs_hz(self) -> float:
        """The sampling rate, 100 to 4000 Hz."""
        ...

    @property
    def details(self) -> Mapping[str, Detail]:
        """What a person may want to see, the channel's name first."""
        ...

    @property
    def markers(self) -> Sequence[Marker]:
        """In order of time."""
        ...

    def chunks(self, start_sample: int) -> Iterator[Chunk]:
        """Read from ``start_sample`` on; a reader that cannot jump there may begin earlier.

        Raises
        ------
        DataError
            When what follows is damaged.

        """
        ...


def check_rate(path: Path, fs_hz: float, *, remedy: str = "") -> float:
    """Return ``fs_hz``, or raise DataError when the signal chain cannot take it."""
    if not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
        raise DataError(
            f"{path.name} is sampled at {fs_hz:g} Hz; edge-ecg takes {MIN_FS_HZ:g} to {MAX_FS_HZ:g} Hz.",
            why="Below that an ECG has lost its R peaks; beyond it the rate is most likely misread.",
            remedy=remedy or "Choose a channel with a fitting rate, or resample the recording.",
        )
    return fs_hz


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn what the operating system and a damaged file throw into one sentence (DataError)."""
    try:
        yield
    except PermissionError as error:
        raise DataError(
            f"{path.name} may not be read by this user.",
            why=f"{error.strerror or error}.",
            remedy=f"chmod u+r '{path}'",
        ) from error
    except FileNotFoundError as error:
        raise DataError(
            f"{error.filename or path} does not exist.", remedy="Check the spelling and the folder."
        ) from error
    except OSError as error:
        raise DataError(
            f"{path.name} cannot be read as {kind}.",
            why=str(error),
            remedy="The file or the disk is damaged: copy the file again from where it was recorded.",
        ) from error


def at_limits(digital: NDArray[np.int64], low: int, high: int) -> BoolArray:
    """Where the converter stood at a limit for three samples or more.

    A single sample at the limit proves nothing: many writers scale a recording so that its highest peak is
    the largest number the format can hold.
    """
    result = np.zeros(digital.shape, dtype=np.bool_)
    for limit_reached in (digital <= low, digital >= high):
        inner = limit_reached[:-2] & limit_reached[1:-1] & limit_reached[2:]
        for shift in range(3):
            result[shift : shift + inner.size] |= inner
    return result


def contiguous_runs(numbers: NDArray[np.int64]) -> Iterator[slice]:
    """Cut sample numbers into runs that count up by one."""
    edges = np.flatnonzero(np.diff(numbers) != 1) + 1
    bounds = [0, *edges.tolist(), len(numbers)]
    for begin, end in pairwise(bounds):
        yield slice(begin, end)
