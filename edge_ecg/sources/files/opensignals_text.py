"""OpenSignals text files: a line of JSON, then rows of the converter's digits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from .channels import choose_channel
from .opensignals import OpenSignalsChannel, RowCounter, make_channel, sensor_choices
from .options import FileOptions
from .recording import Chunk, Detail, Marker, check_rate, contiguous_runs
from .text_layout import TextLayout
from .text_lines import batches, head
from .text_rows import RowReader

FIRST_LINE = "# OpenSignals Text File Format"
_END = "# EndOfHeader"
_HEADER_LINES = 64


@dataclass(frozen=True, slots=True)
class _Device:
    """One device of the header: what its columns are, from ``first_column`` on."""

    kind: str
    fs_hz: float
    columns: tuple[str, ...]
    labels: tuple[str, ...]
    sensors: tuple[str, ...]
    bits: tuple[int, ...]
    converted: bool
    first_column: int


class OpenSignalsTextRecording:
    """One channel of an OpenSignals text file."""

    kind = "opensignals"
    markers: Sequence[Marker] = ()

    def __init__(
        self,
        path: Path,
        channel: OpenSignalsChannel,
        *,
        fs_hz: float,
        column: int,
        counter_column: int | None,
        first_row: int,
        details: Mapping[str, Detail],
    ) -> None:
        self._path = path
        self._channel = channel
        self._columns = [column] if counter_column is None else [column, counter_column]
        self._first_row = first_row
        self.fs_hz = fs_hz
        self.details = details

    def chunks(self, start_sample: int) -> Iterator[Chunk]:
        """Read from the beginning, a few thousand rows at a time."""
        layout = TextLayout("\t", False, (), (), {}, False, self._first_row)
        reader = RowReader(self._path, layout, self._columns)
        counter = RowCounter(self._channel.device)
        position = 0
        for first_line, lines in batches(self._path, self._first_row):
            table = reader.read(first_line, lines)
            if not len(table):
                continue
            if not np.all(np.isfinite(table)) or np.any(np.abs(table) > 2.0**40):
                raise DataError(
                    f"{self._path.name} holds something else than digits between lines {first_line} and "
                    f"{first_line + len(lines) - 1}.",
                    remedy="Export the recording again from OpenSignals.",
                )
            digits = table.astype(np.int64)
            numbers = np.arange(position, position + len(digits), dtype=np.int64)
            if digits.shape[1] == 2:
                numbers = counter.number(digits[:, 1])
            position += len(digits)
            ecg_mv = self._channel.to_mv(digits[:, 0])
            saturated = self._channel.saturated(digits[:, 0])
            for run in contiguous_runs(numbers):
                yield Chunk(int(numbers[run.start]), ecg_mv[run], saturated=saturated[run])


def open_opensignals_text(path: Path, options: FileOptions) -> OpenSignalsTextRecording:
    """Open the ECG channel of an OpenSignals text file.

    Raises
    ------
    DataError
        When the header is damaged, no channel is an ECG, or its conversion is unknown.

    """
    lines = head(path)[:_HEADER_LINES]
    end = next((number for number, line in enumerate(lines) if line.startswith(_END)), None)
    devices = _devices(path, lines[1] if end is not None and end >= 2 else "")
    known = [(device, index) for device in devices for index in range(len(device.labels))]
    names = [name for device in devices for name in sensor_choices(device.labels, device.sensors)]
    sensors = [device.sensors[index] for device, index in known]
    device, index = known[choose_channel(path, names, options.channel, kinds=sensors)]
    if device.converted:
        raise DataError(
            f"{path.name} holds values that OpenSignals has converted already.",
            why="The header does not say into which unit.",
            remedy="Give the file without _converted in its name, which holds the converter's digits.",
        )
    channel = make_channel(
        path, device.kind, device.labels[index], device.sensors[index], device.bits[index], options
    )
    try:
        column = device.first_column + device.columns.index(channel.label)
    except ValueError:
        raise _damaged(path, f"No column is called {channel.label}.") from None
    counter = device.first_column + device.columns.index("nSeq") if "nSeq" in device.columns else None
    return OpenSignalsTextRecording(
        path,
        channel,
        fs_hz=check_rate(path, device.fs_hz),
        column=column,
        counter_column=counter,
        first_row=(end or 0) + 1,
        details={"channel": channel.label, "sensor": channel.sensor, "device": channel.device},
    )


def _devices(path: Path, line: str) -> list[_Device]:
    try:
        header = json.loads(line.lstrip("# "))
        devices = []
        first_column = 0
        for entry in header.values():
            devices.append(_device(entry, first_column))
            first_column += len(devices[-1].columns)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        OverflowError,
        RecursionError,
    ) as error:
        raise _damaged(path, f"Its second line is not the description of a device ({error}).") from error
    return devices


def _device(entry: dict[str, Any], first_column: int) -> _Device:
    labels = tuple(str(label) for label in entry["label"])
    sensors = [str(sensor) for sensor in entry.get("sensor", [])]
    # Files of several generations: the list covers all columns or the analogue ones only.
    bits = [int(bits) for bits in entry["resolution"]][-len(labels) or None :]
    if len(bits) != len(labels):
        raise ValueError(f"{len(labels)} channels, but {len(bits)} resolutions")
    return _Device(
        kind=str(entry.get("device", "")),
        fs_hz=float(entry["sampling rate"]),
        columns=tuple(str(column) for column in entry["column"]),
        labels=labels,
        sensors=tuple([*sensors, *[""] * len(labels)][: len(labels)]),
        bits=tuple(bits),
        converted=bool(entry.get("convertedValues", 0)),
        first_column=first_column,
    )


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        f"The OpenSignals header of {path.name} is damaged.",
        why=why,
        remedy="Export the recording again from OpenSignals.",
    )
