"""OpenSignals HDF5 files: one group a device, in it ``raw/channel_N`` and ``raw/nSeq``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from .channels import choose_channel
from .opensignals import OpenSignalsChannel, RowCounter, make_channel, sensor_choices
from .options import FileOptions
from .recording import CHUNK_SAMPLES, Chunk, Detail, Marker, check_rate, contiguous_runs

# What h5py raises when the bytes it walks through make no sense.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError)


def _hdf5(path: Path) -> ModuleType:
    try:
        import h5py  # 10 MB of library that only these files need
    except ModuleNotFoundError as error:
        raise DataError(
            f"{path.name} is an HDF5 file, and the package that reads those is not installed here.",
            why="The base install holds only what a Raspberry Pi needs.",
            remedy="pip install 'edge-ecg[hdf5]', or export the recording from OpenSignals as text.",
        ) from error
    module: ModuleType = h5py
    return module


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The open HDF5 file; whatever is wrong inside becomes one sentence."""
    h5py = _hdf5(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except _DAMAGE as error:
        raise DataError(
            f"{path.name} is not a usable OpenSignals file.",
            why=f"{type(error).__name__}: {error}",
            remedy="Copy it again, or export it again from OpenSignals.",
        ) from error


class OpenSignalsH5Recording:
    """One channel of an OpenSignals HDF5 file."""

    kind = "opensignals"
    markers: Sequence[Marker] = ()

    def __init__(
        self,
        path: Path,
        group: str,
        dataset: str,
        channel: OpenSignalsChannel,
        fs_hz: float,
        details: Mapping[str, Detail],
    ) -> None:
        self._path = path
        self._group = group
        self._dataset = dataset
        self._channel = channel
        self.fs_hz = fs_hz
        self.details = details

    def chunks(self, start_sample: int) -> Iterator[Chunk]:
        """Read from the beginning, slice by slice: the running numbers say where the losses are."""
        counter = RowCounter(self._channel.device)
        with _opened(self._path) as file:
            raw = file[self._group]["raw"]
            running = raw.get("nSeq")
            total = raw[self._dataset].shape[0]
            for begin in range(0, total, CHUNK_SAMPLES):
                end = min(begin + CHUNK_SAMPLES, total)
                digits = _column(raw[self._dataset], begin, end)
                numbers = np.arange(begin, end, dtype=np.int64)
                if running is not None:
                    numbers = counter.number(_column(running, begin, end))
                if not len(numbers) == len(digits) == end - begin:
                    raise ValueError("the channel and its running numbers differ in length")
                ecg_mv, saturated = self._channel.to_mv(digits), self._channel.saturated(digits)
                for run in contiguous_runs(numbers):
                    yield Chunk(int(numbers[run.start]), ecg_mv[run], saturated=saturated[run])


def open_opensignals_h5(path: Path, options: FileOptions) -> OpenSignalsH5Recording:
    """Open the ECG channel of an OpenSignals HDF5 file.

    Raises
    ------
    DataError
        When h5py is missing, the file is damaged or not by OpenSignals, or no channel is an ECG.

    """
    with _opened(path) as file:
        found = []
        for name, group in file.items():
            if "raw" in group and "sampling rate" in group.attrs:
                found += [(name, key) for key in sorted(group["raw"]) if key.startswith("channel_")]
        if not found:
            raise DataError(
                f"{path.name} is an HDF5 file, but not one by OpenSignals.",
                why="No group in it holds raw/channel_N and a sampling rate.",
                remedy="Export the ECG as CSV, EDF or .npz; docs/files.md shows the formats.",
            )
        attributes = [file[group]["raw"][key].attrs for group, key in found]
        labels = [_text(attrs.get("label", key)) for attrs, (_, key) in zip(attributes, found, strict=True)]
        sensors = [_text(attrs.get("sensor", "")) for attrs in attributes]
        index = choose_channel(path, sensor_choices(labels, sensors), options.channel, kinds=sensors)
        group, key = found[index]
        keys = [other for other_group, other in found if other_group == group]
        attrs = file[group].attrs
        bits = [int(value) for value in np.atleast_1d(attrs["resolution"])][-len(keys) :]
        device = _text(attrs.get("device", ""))
        channel = make_channel(path, device, labels[index], sensors[index], bits[keys.index(key)], options)
        fs_hz = check_rate(path, float(attrs["sampling rate"]))
        duration_s = float(file[group]["raw"][key].shape[0]) / fs_hz
    details: dict[str, Detail] = {
        "channel": channel.label,
        "sensor": channel.sensor,
        "device": device,
        "duration_s": duration_s,
    }
    return OpenSignalsH5Recording(path, group, key, channel, fs_hz, details)


def _text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _column(dataset: Any, begin: int, end: int) -> NDArray[np.int64]:
    values = np.asarray(dataset[begin:end])
    if values.dtype.kind not in "iu":
        raise TypeError(f"a channel holds {values.dtype} instead of integers")
    return values.reshape(len(values), -1)[:, 0].astype(np.int64)
