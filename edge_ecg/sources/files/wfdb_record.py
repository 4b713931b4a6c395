"""A WFDB record: one signal at its own full rate, read frame by frame from its ``.dat`` file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...samples import FloatArray
from .channels import choose_channel
from .options import FileOptions
from .recording import CHUNK_SAMPLES, Chunk, Detail, Marker, at_limits, check_rate, reading
from .units import unit_factor
from .wfdb_formats import FORMATS, Digits, WfdbFormat
from .wfdb_header import WfdbHeader, WfdbSignal, read_header

_GROUP = 6  # frames that begin on a byte boundary in every format: a multiple of 2 and of 3


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where one signal's samples stand in a file that several signals share."""

    path: Path
    form: WfdbFormat
    byte_offset: int
    frame_samples: int
    first_in_frame: int
    samples_per_frame: int
    frames: int
    differences_from: int | None

    def read(self, first_frame: int = 0) -> Iterator[tuple[int, Digits]]:
        """Frame number and digits, some frames at a time, from ``first_frame`` (rounded down) on."""
        frames_at_once = max(1, CHUNK_SAMPLES // self.frame_samples // _GROUP) * _GROUP
        # Differences mean nothing without all that came before.
        frame = first_frame // _GROUP * _GROUP if self.differences_from is None else 0
        value = self.differences_from
        with self.path.open("rb") as file:
            file.seek(self.byte_offset + self.form.bytes_for(frame * self.frame_samples))
            while frame < self.frames:
                frames = min(frames_at_once, self.frames - frame)
                digits = self._decode(file.read(self.form.bytes_for(frames * self.frame_samples)), frames)
                if value is not None:
                    digits = value + np.cumsum(digits)
                    value = int(digits[-1])
                yield frame, digits
                frame += frames

    def _decode(self, data: bytes, frames: int) -> Digits:
        count = frames * self.frame_samples
        if len(data) < self.form.bytes_for(count):
            raise OSError("the file became shorter while it was read")
        padded = np.zeros(-(-count // self.form.group_samples) * self.form.group_bytes, dtype=np.uint8)
        padded[: len(data)] = np.frombuffer(data, dtype=np.uint8)
        table = self.form.decode(padded)[:count].reshape(frames, self.frame_samples)
        return table[:, self.first_in_frame : self.first_in_frame + self.samples_per_frame].reshape(-1)


class WfdbRecording:
    """One signal of a WFDB record."""

    kind = "wfdb"
    markers: Sequence[Marker] = ()

    def __init__(
        self,
        layout: _Layout,
        signal: WfdbSignal,
        fs_hz: float,
        mv_per_step: float,
        details: Mapping[str, Detail],
    ) -> None:
        self._layout = layout
        self._signal = signal
        self._mv_per_step = mv_per_step
        self.fs_hz = fs_hz
        self.details = details

    def chunks(self, start_sample: int) -> Iterator[Chunk]:
        """Read from the frame that holds ``start_sample``."""
        signal, layout = self._signal, self._layout
        per_frame = signal.samples_per_frame
        skipped = signal.skew * per_frame
        half = 1 << max(0, min(signal.resolution, 62) - 1)
        with reading(layout.path, "WFDB"):
            for frame, digits in layout.read((start_sample + skipped) // per_frame):
                ecg_mv: FloatArray = (digits - signal.baseline).astype(np.float64) * self._mv_per_step
                if layout.form.lost is not None:
                    ecg_mv[digits == layout.form.lost] = np.nan
                saturated = (
                    at_limits(digits, signal.adc_zero - half, signal.adc_zero + half - 1)
                    if signal.resolution > 1
                    else None
                )
                yield Chunk(frame * per_frame - skipped, ecg_mv, saturated=saturated)


def open_wfdb(path: Path, options: FileOptions) -> WfdbRecording:
    """Open the ECG of a WFDB record by its ``.hea`` file.

    Raises
    ------
    DataError
        When the header or the signal file is damaged, missing, or in a format that is not read here.

    """
    header = read_header(path)
    names = [signal.description for signal in header.signals]
    index = choose_channel(path, names, options.channel)
    signal = header.signals[index]
    layout = _layout(path, header, index, partial=options.partial)
    fs_hz = check_rate(path, header.frame_hz * signal.samples_per_frame)
    if layout.frames * signal.samples_per_frame <= signal.skew * signal.samples_per_frame:
        raise DataError(
            f"{path.name} holds no samples.", remedy="Copy the record again, .hea and .dat together."
        )
    if header.frames is not None and layout.frames == header.frames:
        with reading(layout.path, "WFDB"):
            _check_sum(layout, signal)
    details: dict[str, Detail] = {
        "channel": signal.description,
        "format": signal.code,
        "duration_s": layout.frames / header.frame_hz,
    }
    return WfdbRecording(layout, signal, fs_hz, _mv_per_step(path, signal, options), details)


def _layout(path: Path, header: WfdbHeader, index: int, *, partial: bool) -> _Layout:
    signal = header.signals[index]
    form = FORMATS.get(signal.code)
    if form is None:
        raise DataError(
            f"{path.name} stores {signal.description} in WFDB format {signal.code}, which is not read here.",
            why=f"It reads the formats {', '.join(map(str, FORMATS))}.",
            remedy="Convert the record with PhysioNet's xform or wfdb.wrsamp to format 16.",
        )
    if signal.file in ("-", "~", ".", "..") or "/" in signal.file or "\\" in signal.file:
        raise DataError(
            f"{path.name} names the signal file {signal.file!r}, which is not a file beside it.",
            why="The header is damaged or was not made by a WFDB writer.",
            remedy="Copy the record again, .hea and .dat together.",
        )
    together = [other for other in header.signals if other.file == signal.file]
    if any((other.code, other.byte_offset) != (signal.code, signal.byte_offset) for other in together):
        raise DataError(
            f"{path.name} gives the signals in {signal.file} different formats.",
            why="Signals that share a file share its format.",
            remedy="Copy the record again, .hea and .dat together.",
        )
    frame_samples = sum(other.samples_per_frame for other in together)
    before = [other for other in header.signals[:index] if other.file == signal.file]
    data_path = path.with_name(signal.file)
    with reading(data_path, "WFDB"):
        if not data_path.is_file():
            raise DataError(
                f"The signal file {signal.file} of {path.name} is missing.",
                why="A WFDB record is a header (.hea) and one or more signal files.",
                remedy=f"Copy {signal.file} into the folder of {path.name}.",
            )
        size = data_path.stat().st_size
    present = form.samples_in(size - signal.byte_offset) // frame_samples
    if present == 0 or (header.frames is not None and present < header.frames and not partial):
        whole = "" if header.frames is None else f" of {header.frames / header.frame_hz:g}"
        raise DataError(
            f"{signal.file} is truncated: {present / header.frame_hz:g}{whole} s are there.",
            why=f"{path.name} announces more than the {size} bytes hold.",
            remedy="Copy the record again"
            + (", or read what there is with ?partial=yes." if present else "."),
        )
    return _Layout(
        path=data_path,
        form=form,
        byte_offset=signal.byte_offset,
        frame_samples=frame_samples,
        first_in_frame=sum(other.samples_per_frame for other in before),
        samples_per_frame=signal.samples_per_frame,
        frames=present if header.frames is None else min(present, header.frames),
        differences_from=signal.first_value if signal.code == 8 else None,
    )


def _check_sum(layout: _Layout, signal: WfdbSignal) -> None:
    """Compare the sum over all samples with the header's 16 bits of it."""
    if signal.checksum is None:
        return
    total = sum(int(digits.sum()) for _, digits in layout.read())
    if (total - signal.checksum) % (1 << 16):
        raise DataError(
            f"{layout.path.name} is damaged: the checksum of {signal.description} is not the header's.",
            why="At least one sample changed since the record was written.",
            remedy="Copy the record again, .hea and .dat together, and compare with the publisher's SHA-256.",
        )


def _mv_per_step(path: Path, signal: WfdbSignal, options: FileOptions) -> float:
    if options.scale is not None:
        return options.scale * (unit_factor(options.unit or "mV") or 1.0)
    factor = unit_factor(options.unit or signal.unit)
    if signal.gain is None or factor is None:
        raise DataError(
            f"{signal.description} of {path.name} is not calibrated in volts.",
            why=f"Its header gives {'no gain' if signal.gain is None else f'the unit {signal.unit!r}'}.",
            remedy="If you know it, add ?scale=MILLIVOLTS_PER_STEP; else choose another with ?channel=.",
        )
    return factor / signal.gain
