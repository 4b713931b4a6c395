"""EDF, EDF+C and EDF+D (16 bit): one channel, read record by record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...samples import FloatArray
from .channels import choose_channel
from .edf_annotations import read_annotations, record_onset_s
from .edf_header import ANNOTATIONS, FIXED_BYTES, SIGNAL_BYTES, EdfHeader, EdfSignal, parse_header
from .options import FileOptions
from .recording import CHUNK_SAMPLES, Chunk, Detail, Marker, at_limits, check_rate
from .units import MV_PER_UNIT, unit_factor


class EdfRecording:
    """An open EDF file and its ECG channel.

    Parameters
    ----------
    path, header:
        The file and its header.
    signal:
        The channel.
    mv_per_unit:
        Millivolts per physical unit of the channel.
    starts:
        (records,) number of each record's first sample, counted from the first record's.

    """

    kind = "edf"

    def __init__(
        self,
        path: Path,
        header: EdfHeader,
        signal: EdfSignal,
        mv_per_unit: float,
        starts: NDArray[np.int64],
        *,
        markers: Sequence[Marker],
        details: Mapping[str, Detail],
    ) -> None:
        self._path = path
        self._header = header
        self._signal = signal
        self._starts = starts
        self._mv_per_unit = mv_per_unit
        self.fs_hz = signal.samples_per_record / header.record_s
        self.markers = markers
        self.details = details

    def chunks(self, start_sample: int) -> Iterator[Chunk]:
        """Read the records from the one that holds ``start_sample``."""
        header, signal = self._header, self._signal
        per_record = signal.samples_per_record
        first = max(0, int(np.searchsorted(self._starts, start_sample, side="right")) - 1)
        with self._path.open("rb") as file:
            for record in range(first, len(self._starts)):
                position = header.header_bytes + record * header.record_bytes + signal.byte_offset
                for begin in range(0, per_record, CHUNK_SAMPLES):
                    count = min(CHUNK_SAMPLES, per_record - begin)
                    file.seek(position + 2 * begin)
                    raw = file.read(2 * count)
                    if len(raw) < 2 * count:
                        raise OSError(f"the file became shorter while it was read (record {record})")
                    yield self._chunk(int(self._starts[record]) + begin, np.frombuffer(raw, "<i2"))

    def _chunk(self, first_sample: int, stored: NDArray[np.int16]) -> Chunk:
        signal = self._signal
        digital = stored.astype(np.int64)
        gain = (signal.physical_max - signal.physical_min) / (signal.digital_max - signal.digital_min)
        physical: FloatArray = signal.physical_min + gain * (digital - signal.digital_min).astype(np.float64)
        saturated = at_limits(digital, signal.digital_min, signal.digital_max)
        return Chunk(first_sample, physical * self._mv_per_unit, saturated=saturated)


def open_edf(path: Path, options: FileOptions) -> EdfRecording:
    """Open the ECG channel of an EDF file.

    Raises
    ------
    DataError
        When the header is damaged, the file shorter than it says, or no channel fits.

    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        fixed = file.read(FIXED_BYTES)
        count = fixed[252:256].strip()
        n_signals = int(count) if count.isdigit() else 0
        header = parse_header(path, fixed + file.read(SIGNAL_BYTES * n_signals))
        records = _records_present(path, header, size, partial=options.partial)
        candidates = [signal for signal in header.signals if signal.label != ANNOTATIONS]
        signal = candidates[choose_channel(path, [signal.label for signal in candidates], options.channel)]
        fs_hz = _rate(path, header, signal)
        starts, markers = _timeline(path, file, header, records, signal)
    unread = size - header.header_bytes - records * header.record_bytes
    details: dict[str, Detail] = {
        "channel": signal.label,
        "variant": header.variant,
        "duration_s": float(starts[-1] + signal.samples_per_record) / fs_hz,
    }
    if unread:
        details["ignored_bytes"] = unread
    return EdfRecording(
        path, header, signal, _calibration(path, signal, options), starts, markers=markers, details=details
    )


def _records_present(path: Path, header: EdfHeader, size: int, *, partial: bool) -> int:
    """How many whole records to read: all that the header names, or (``partial``) those that are there."""
    present = (size - header.header_bytes) // header.record_bytes
    if present <= 0 or header.records == 0:
        raise DataError(
            f"{path.name} holds no samples.",
            why="Its header says so."
            if header.records == 0
            else "The file ends before its first record does.",
            remedy="The recorder or the copy was stopped early: copy or export the recording again.",
        )
    if header.records > present and not partial:
        raise DataError(
            f"{path.name} is truncated: {present} of {header.records} records are there.",
            why="The recorder or a copy of the file was stopped early.",
            remedy=f"Copy it again, or read its {present * header.record_s:g} s with ?partial=yes.",
        )
    # -1: the recorder never came to write the number.
    return present if header.records == -1 else min(present, header.records)


def _rate(path: Path, header: EdfHeader, signal: EdfSignal) -> float:
    if header.record_s <= 0:
        raise DataError(
            f"{path.name} states no duration for its records, so that its sampling rate is unknown.",
            why="Such files hold annotations, not signals, or the header is damaged.",
            remedy="Give the file that holds the signals.",
        )
    return check_rate(path, signal.samples_per_record / header.record_s)


def _calibration(path: Path, signal: EdfSignal, options: FileOptions) -> float:
    """Millivolts per physical unit; DataError when the channel cannot be calibrated."""
    if signal.digital_max <= signal.digital_min or signal.physical_max == signal.physical_min:
        raise DataError(
            f"The channel {signal.label} of {path.name} has no usable calibration.",
            why=f"Digital {signal.digital_min} to {signal.digital_max} stands for physical "
            f"{signal.physical_min:g} to {signal.physical_max:g}.",
            remedy="Export the recording again, or choose another channel with ?channel=.",
        )
    factor = MV_PER_UNIT.get(options.unit or "") or unit_factor(options.unit or signal.dimension)
    if factor is None:
        raise DataError(
            f"The channel {signal.label} of {path.name} has the unit {signal.dimension!r}, no voltage.",
            why="Without the unit nobody can tell how large the ECG is.",
            remedy="If you know it, add ?unit=uV (or mV, V); else choose another channel with ?channel=.",
        )
    return factor


def _timeline(
    path: Path, file: BinaryIO, header: EdfHeader, records: int, signal: EdfSignal
) -> tuple[NDArray[np.int64], list[Marker]]:
    """Where each record begins, in samples from the first, and the annotations."""
    lists = [entry for entry in header.signals if entry.label == ANNOTATIONS and entry.samples_per_record]
    onsets: list[float | None] = []
    notes: list[tuple[float, str]] = []
    for record in range(records if header.variant != "EDF" and lists else 0):
        for entry in lists:
            file.seek(header.header_bytes + record * header.record_bytes + entry.byte_offset)
            block = file.read(2 * entry.samples_per_record)
            if entry is lists[0]:
                onsets.append(record_onset_s(block))
            notes += read_annotations(block)
    per_record = signal.samples_per_record
    starts = np.arange(records, dtype=np.int64) * per_record
    began_s = onsets[0] if onsets and onsets[0] is not None else 0.0
    if header.variant == "EDF+D":
        starts = _discontinuous(path, onsets, per_record, per_record / header.record_s)
    markers = sorted((Marker(at_s - began_s, text) for at_s, text in notes), key=lambda marker: marker.at_s)
    return starts, markers


def _discontinuous(
    path: Path, onsets: Sequence[float | None], per_record: int, fs_hz: float
) -> NDArray[np.int64]:
    """First sample of each record of an EDF+D file, whose records say themselves when they begin."""
    unknown = next((index for index, onset in enumerate(onsets) if onset is None), None)
    if unknown is not None or not onsets:
        raise DataError(
            f"{path.name} is discontinuous (EDF+D), but record {unknown or 0} does not say when it begins.",
            why="Its time-keeping annotation is missing or damaged.",
            remedy="Export the recording again, as EDF+D or, without its pauses, as EDF+C.",
        )
    begins_s = np.array(onsets, dtype=np.float64)
    exact = np.round((begins_s - begins_s[0]) * fs_hz)
    if np.any(np.abs(exact) > 1e15):
        raise DataError(f"A record of {path.name} begins at an impossible time.", remedy="Export it again.")
    starts: NDArray[np.int64] = exact.astype(np.int64)
    # Onsets are decimal text: rounded, two records in a row may seem to overlap by one sample.
    for index in np.flatnonzero(np.diff(starts) == per_record - 1):
        starts[index + 1 :] += 1
    return starts
