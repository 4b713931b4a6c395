"""NilsPod example recordings: two people in a stress protocol, chest ECG of a small wearable, 256 Hz.

The binary form is the recorder's own: a header whose first byte is its length, then samples of all sensors
with a counter (layout as documented by mad-lab-fau/NilsPodLib).
"""

from __future__ import annotations

import datetime
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray

from .arrays import array_length, keys_of, number, read_array, read_table
from .base import Dataset, Form, Recording, Span
from .files import failing

_SAMPLES, _PHASES, _TIMES = "ecg_256hz_int32.npz", "phases.csv", "phase_times_local.csv"
_BINARY = "ecg_sample_*.bin"
_PHASE_NAMES = ("Baseline", "Intervention", "Stress", "Recovery")
_FS_HZ = 256.0
# The recorder's steps have no published size. This one puts R peaks near 1 mV; windows are normalised, so it
# only has to keep clear of what counts as a flat line.
_STEPS_PER_MV = 3500.0
# Both recordings are of 23 October 2019 in Germany, summer time, and the recorder's clock is UTC.
_ZONE = datetime.timezone(datetime.timedelta(hours=2))

_HEADER_BYTES = 52
# Sensor bit: bytes a sample, in the order in which they follow each other (gyroscope, accelerometer, ...).
_SENSORS = ((0x02, 6), (0x01, 6), (0x04, 6), (0x08, 2), (0x10, 6), (0x20, 4), (0x40, 4), (0x80, 2))
_ECG, _COUNTER_BYTES = 0x20, 4
_RATES_HZ = {1: 1024.0, 2: 512.0, 4: 256.0, 5: 204.8, 10: 102.4}


class Nilspod(Dataset):
    """One recording a person. Field of its annotations: phase (Baseline, Intervention, Stress, Recovery)."""

    name = "nilspod"
    title = "NilsPod example recordings of BioPsyKit (stress protocol)"
    people = 2
    hours = 0.3
    caution = (
        "Two people: a demonstration, not an evaluation set. One of them relaxed during the intervention. "
        "The recorder's steps have no published size in millivolts."
    )
    licence = "MIT"
    citation = (
        "Richer R, Küderle A, Ullrich M, Rohleder N, Eskofier BM. BioPsyKit: A Python package for the "
        "analysis of biopsychological data. Journal of Open Source Software 6(66):3702, 2021."
    )
    url = "https://github.com/mad-lab-fau/BioPsyKit"
    forms = (
        Form("arrays", (_SAMPLES, _PHASES), ("nilspod", "nilspod-ecg")),
        Form("NilsPod", (_BINARY, _TIMES), ("nilspod", "nilspod-ecg")),
    )

    def _expected(self, form: Form) -> Iterable[str]:
        return form.files if form.name == "arrays" else (_TIMES,)

    def _recordings(self, folder: Path, form: Form) -> Iterator[Recording]:
        return self._from_arrays(folder) if form.name == "arrays" else self._from_binary(folder)

    def _from_arrays(self, folder: Path) -> Iterator[Recording]:
        samples, table = folder / _SAMPLES, folder / _PHASES
        rows = read_table(table, ("subject", "phase", "start_sample", "end_sample", "fs_hz"))
        for key in keys_of(samples):
            try:
                n_samples = array_length(samples, key)
            except DataError:
                # Loading it is going to say the same, and a check goes on to the next person.
                n_samples = 0
            spans = tuple(
                Span(
                    number(row, "start_sample", table) / _FS_HZ,
                    number(row, "end_sample", table) / _FS_HZ,
                    {"phase": row["phase"]},
                )
                for row in rows
                if row["subject"] == key
            )
            yield self._recording(key, _FS_HZ, n_samples, partial(_load_array, samples, key), spans)

    def _from_binary(self, folder: Path) -> Iterator[Recording]:
        table = folder / _TIMES
        rows = {row["subject"]: row for row in read_table(table, ("subject", *_PHASE_NAMES, "End"))}
        for path in sorted(folder.glob(_BINARY)):
            key = path.stem.removeprefix("ecg_sample_")
            try:
                file = _open_binary(path)
            except DataError as error:
                yield self._recording(key, 1.0, 0, partial(failing, error), ())
                continue
            spans = _spans(file, rows[key], table) if key in rows else ()
            yield self._recording(key, file.fs_hz, file.n_samples, file.ecg_mv, spans)

    def _recording(
        self, key: str, fs_hz: float, n_samples: int, load: Callable[[], FloatArray], spans: tuple[Span, ...]
    ) -> Recording:
        return Recording(
            dataset=self.name,
            subject=f"nilspod/{key}",
            session="protocol",
            lead="ECG",
            fs_hz=fs_hz,
            n_samples=n_samples,
            load=load,
            spans=spans,
        )


@dataclass(frozen=True, slots=True)
class _Binary:
    """What the header of a recording says."""

    path: Path
    fs_hz: float
    n_samples: int
    start_utc_s: int
    sample_bytes: int
    ecg_at: int
    header_bytes: int

    def ecg_mv(self) -> FloatArray:
        data = np.fromfile(self.path, np.uint8, self.n_samples * self.sample_bytes, offset=self.header_bytes)
        if len(data) < self.n_samples * self.sample_bytes:
            raise _damaged(self.path, "It became shorter.")
        table = data.reshape(self.n_samples, self.sample_bytes)
        steps = np.ascontiguousarray(table[:, self.ecg_at : self.ecg_at + 4]).view("<i4")[:, 0]
        counter = np.ascontiguousarray(table[:, -_COUNTER_BYTES:]).view("<u4")[:, 0]
        if np.any(np.diff(counter) != 1):
            raise _damaged(self.path, "Its counter jumps: samples are lost.")
        return steps.astype(np.float64) / _STEPS_PER_MV


def _open_binary(path: Path) -> _Binary:
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
            size = file.seek(0, 2)
    except OSError as error:
        raise _damaged(path, f"{error.strerror}.") from None
    if len(head) < _HEADER_BYTES or head[0] < _HEADER_BYTES:
        raise _damaged(path, "Its header is cut or of an older kind.")
    sample_bytes, sensors, rate = head[1], head[2], head[4]
    start_utc_s, _, n_samples = struct.unpack_from("<III", head, 15)
    before = 0
    for bit, length in _SENSORS:
        if bit == _ECG:
            break
        before += length if sensors & bit else 0
    expected = sum(length for bit, length in _SENSORS if sensors & bit) + _COUNTER_BYTES
    if not sensors & _ECG or sample_bytes != expected or rate not in _RATES_HZ:
        raise _damaged(path, f"Its header announces sensors {sensors:#x} in {sample_bytes} bytes a sample.")
    if size < head[0] + n_samples * sample_bytes:
        raise _damaged(path, f"It holds {size} bytes, too few for {n_samples} samples.")
    return _Binary(path, _RATES_HZ[rate], n_samples, start_utc_s, sample_bytes, before, head[0])


def _spans(file: _Binary, row: dict[str, str], table: Path) -> tuple[Span, ...]:
    """Phases from times of day: each lasts until the next one begins."""
    start = datetime.datetime.fromtimestamp(file.start_utc_s, _ZONE)
    try:
        times = [datetime.time.fromisoformat(row[name]) for name in (*_PHASE_NAMES, "End")]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{table} has a time that is none.", why=f"{error}.", remedy="Get the file again."
        ) from None
    edges_s = [(datetime.datetime.combine(start.date(), at, _ZONE) - start).total_seconds() for at in times]
    return tuple(
        Span(begin, end, {"phase": phase})
        for phase, begin, end in zip(_PHASE_NAMES, edges_s[:-1], edges_s[1:], strict=True)
    )


def _load_array(path: Path, key: str) -> FloatArray:
    ecg_mv: FloatArray = read_array(path, key).astype(np.float64) / _STEPS_PER_MV
    return ecg_mv


def _damaged(path: Path, why: str) -> DataError:
    return DataError(f"{path.name} is damaged.", why=why, remedy="Get the file again.")
