"""CSV and other tables of text, our own recordings among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...samples import FloatArray
from . import text_time
from .channels import choose_channel
from .options import FileOptions
from .recording import Chunk, Detail, Marker, check_rate, contiguous_runs
from .text_layout import TextLayout, find_layout
from .text_lines import batches, head
from .text_rows import RowReader
from .text_time import TimeColumn
from .units import unit_factor, unit_in_name

_SAMPLE, _LEAD_OFF, _SATURATED = "sample", "lead_off", "saturated"
# Of our own recordings, where samples are numbered and times only say when each was taken.
_DEVICE_TIME, _ACCELERATION = "time_s", ("acc_x_g", "acc_y_g", "acc_z_g")
# Names under which recorders put the rate into their comments.
_RATE_NAMES = (
    "fs_hz",
    "fs",
    "sampling rate (hz)",
    "sampling rate",
    "sample rate",
    "sampling_rate",
    "sample_rate",
)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which column holds what; None where there is none. ``time`` is set only when samples count by it."""

    value: int
    sample: int | None
    time: int | None
    lead_off: int | None
    saturated: int | None
    device_time: int | None = None
    acceleration: tuple[int, ...] = ()

    def indexes(self) -> list[int]:
        """Without those that are missing, the value first."""
        flags = (self.lead_off, self.saturated)
        every = (self.value, self.sample, self.time, *flags, self.device_time, *self.acceleration)
        return [index for index in every if index is not None]


class TextRecording:
    """One column of a text file in millivolts, numbered by sample numbers or time stamps if it has them."""

    markers: Sequence[Marker] = ()

    def __init__(
        self,
        path: Path,
        layout: TextLayout,
        columns: _Columns,
        *,
        fs_hz: float,
        time: TimeColumn | None,
        mv_per_unit: float,
        offset_mv: float,
        details: Mapping[str, Detail],
    ) -> None:
        self.kind = "edge-ecg" if layout.own_format else "csv"
        self._path = path
        self._layout = layout
        self._columns = columns
        self._time = time
        self._mv_per_unit = mv_per_unit
        self._offset_mv = offset_mv
        self.fs_hz = fs_hz
        self.details = details

    def chunks(self, start_sample: int) -> Iterator[Chunk]:
        """Read from the beginning: where a sample stands in text nobody can know without reading on."""
        indexes = self._columns.indexes()
        reader = RowReader(self._path, self._layout, indexes)
        place = {column: position for position, column in enumerate(indexes)}
        numbering = _Numbering(self._time)
        begin_s: float | None = None
        for first_line, lines in batches(self._path, self._layout.first_row):
            table = reader.read(first_line, lines)
            if not len(table):
                continue

            def column(index: int | None, table: FloatArray = table) -> FloatArray | None:
                return None if index is None else table[:, place[index]]

            numbers = numbering.number(len(table), column(self._columns.sample), column(self._columns.time))
            ecg_mv = table[:, 0] * self._mv_per_unit + self._offset_mv
            lead_off, saturated = column(self._columns.lead_off), column(self._columns.saturated)
            time_s = column(self._columns.device_time)
            if time_s is not None:
                # From the first row on, as samples and marks are counted.
                begin_s = float(time_s[0]) if begin_s is None else begin_s
                time_s = time_s - begin_s
            axes = [place[index] for index in self._columns.acceleration]
            for run in contiguous_runs(numbers):
                yield Chunk(
                    int(numbers[run.start]),
                    ecg_mv[run],
                    None if lead_off is None else np.nan_to_num(lead_off[run]) != 0.0,
                    None if saturated is None else np.nan_to_num(saturated[run]) != 0.0,
                    None if time_s is None else time_s[run],
                    table[run][:, axes] if axes else None,
                )


class _Numbering:
    """Numbers rows across batches, from 0."""

    def __init__(self, time: TimeColumn | None) -> None:
        self._time = time
        self._next = 0
        self._base: float | None = None
        self._last_stamp: float | None = None

    def number(self, rows: int, sample: FloatArray | None, stamps: FloatArray | None) -> NDArray[np.int64]:
        if sample is not None:
            if self._base is None:
                self._base = float(sample[0]) if np.isfinite(sample[0]) else 0.0
            # A number that is missing or absurd is damage; the jump it makes is reported as such.
            counted = np.nan_to_num(sample - self._base, nan=-1.0, posinf=2.0**53, neginf=-1.0)
            return np.clip(counted, -1.0, 2.0**53).astype(np.int64)
        numbers = np.arange(self._next, self._next + rows, dtype=np.int64)
        if stamps is not None and self._time is not None:
            before = stamps[0] - 1.0 / (self._time.fs_hz * self._time.seconds_per_unit)
            joined = np.concatenate(([before if self._last_stamp is None else self._last_stamp], stamps))
            steps = self._time.steps(np.nan_to_num(joined, nan=-1e300, posinf=1e300, neginf=-1e300))
            numbers = self._next - 1 + np.cumsum(steps)
            self._last_stamp = float(stamps[-1])
        self._next = int(numbers[-1]) + 1
        return numbers


def open_text(path: Path, options: FileOptions) -> TextRecording:
    """Open a table of text.

    Raises
    ------
    DataError
        When the rate, the unit or the ECG's column is not to be had from the file; says which option helps.

    """
    lines = head(path)
    layout = find_layout(path, lines, options.separator)
    names = [name.strip().lower() for name in layout.names]
    time_index = next((i for i, name in enumerate(layout.names) if text_time.is_time_name(name)), None)
    special = {_SAMPLE, _LEAD_OFF, _SATURATED, "sample index", "index"}
    device_time: int | None = None
    acceleration: tuple[int, ...] = ()
    if layout.own_format and _SAMPLE in names:
        special |= {_DEVICE_TIME, *_ACCELERATION}
        device_time = names.index(_DEVICE_TIME) if _DEVICE_TIME in names else None
        if all(axis in names for axis in _ACCELERATION):
            acceleration = tuple(names.index(axis) for axis in _ACCELERATION)
        time_index = None if time_index == device_time else time_index
    signals = [i for i in range(len(names)) if i != time_index and names[i] not in special]
    value = choose_channel(path, layout.names, options.channel, among=signals)
    mv_per_unit, offset_mv = _calibration(path, layout, value, options)
    fs_hz, time = _timing(path, layout, lines, time_index, options)
    columns = _Columns(
        value=value,
        sample=names.index(_SAMPLE) if _SAMPLE in names else None,
        time=time_index if time is not None else None,
        lead_off=names.index(_LEAD_OFF) if _LEAD_OFF in names else None,
        saturated=names.index(_SATURATED) if _SATURATED in names else None,
        device_time=device_time,
        acceleration=acceleration,
    )
    details: dict[str, Detail] = {"channel": layout.names[value]}
    if columns.sample is None and time is None:
        details["note"] = "rows taken as evenly spaced: lost samples cannot be told"
    return TextRecording(
        path,
        layout,
        columns,
        fs_hz=fs_hz,
        time=time,
        mv_per_unit=mv_per_unit,
        offset_mv=offset_mv,
        details=details,
    )


def _calibration(path: Path, layout: TextLayout, value: int, options: FileOptions) -> tuple[float, float]:
    """Millivolts per unit, and the offset in millivolts."""
    name = layout.names[value]
    stated = layout.units[value] if value < len(layout.units) else layout.metadata.get("unit", "")
    unit = options.unit or unit_in_name(name) or stated
    if options.scale is not None:
        mv = unit_factor(options.unit or "mV") or 1.0
        return options.scale * mv, (options.offset or 0.0) * mv
    factor = unit_factor(unit) if unit else None
    if factor is None:
        raise DataError(
            f"{path.name} does not say in which unit its column {name} is.",
            why=f"It states {unit!r}, which is no unit of voltage."
            if unit
            else "Without it nobody can tell how large the ECG is.",
            remedy="Add ?unit=mV (or uV, V); for a converter's steps ?scale=MILLIVOLTS_PER_STEP.",
        )
    return factor, (options.offset or 0.0) * factor


def _timing(
    path: Path, layout: TextLayout, lines: Sequence[str], time_index: int | None, options: FileOptions
) -> tuple[float, TimeColumn | None]:
    """The rate, and the time column if its stamps can count samples."""
    stated = options.fs_hz or _stated_rate(layout)
    stamps = _stamps(path, layout, lines, time_index)
    seconds = None
    if stamps is not None and time_index is not None:
        unit = layout.units[time_index] if time_index < len(layout.units) else ""
        name = text_time.unit_of(layout.names[time_index], unit) or text_time.guess_unit(stamps)
        seconds = text_time.SECONDS_PER.get(name or "")
        if name is None and _holds_dates(layout, lines, time_index):
            seconds = 1.0
    measured = text_time.measure_rate(stamps, seconds) if stamps is not None and seconds else None
    rate = stated or measured
    remedy = "Add ?fs=HERTZ, for example ?fs=250."
    if rate is None:
        raise DataError(
            f"{path.name} does not say how fast it was sampled.",
            why="It has neither a rate in its comments nor a usable column of time stamps.",
            remedy=remedy,
        )
    fs_hz = check_rate(
        path, rate, remedy=remedy if options.fs_hz is None else "Give the true rate with ?fs=HERTZ."
    )
    if stamps is None or not seconds or options.fs_hz is not None:
        return fs_hz, None
    if text_time.is_even(stamps, seconds, fs_hz):
        return fs_hz, TimeColumn(seconds, fs_hz)
    if stated is not None:
        return fs_hz, None
    raise DataError(
        f"The time stamps of {path.name} are too uneven to count samples by.",
        why=f"They mean about {fs_hz:.6g} Hz, but losses cannot be told from jitter (times of arrival?).",
        remedy=f"To take its rows as evenly spaced add ?fs={fs_hz:.6g} (or the device's true rate).",
    )


def _stated_rate(layout: TextLayout) -> float | None:
    for name in _RATE_NAMES:
        words = layout.metadata.get(name, "").split()
        if words:
            try:
                return float(words[0])
            except ValueError:
                return None
    return None


def _stamps(
    path: Path, layout: TextLayout, lines: Sequence[str], time_index: int | None
) -> FloatArray | None:
    if time_index is None:
        return None
    try:
        table = RowReader(path, layout, [time_index]).read(layout.first_row + 1, lines[layout.first_row :])
    except DataError:
        return None  # times of day and the like: the rate must then come from elsewhere
    return table[:, 0] if len(table) > 2 else None


def _holds_dates(layout: TextLayout, lines: Sequence[str], time_index: int) -> bool:
    try:
        layout.number(layout.split(lines[layout.first_row])[time_index])
    except ValueError:
        return True
    return False
