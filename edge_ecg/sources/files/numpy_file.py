"""NumPy arrays as recordings: ``.npy``, and ``.npz`` with the array's key.

An own ``.npz`` holds ``ecg_mv`` and ``fs_hz``. For others the options say what the file does not; where a
``recordings.csv`` lies beside it (columns key, fs_hz, scale_mv_per_lsb, offset_mv) it says the rest.
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from ...errors import DataError
from ...samples import FloatArray
from .numpy_header import ArrayHeader, read_array_header
from .options import FileOptions
from .recording import CHUNK_SAMPLES, Chunk, Detail, Marker, check_rate
from .units import unit_factor, unit_in_name

_VALUE_KEY, _RATE_KEY, _LIST = "ecg_mv", "fs_hz", "recordings.csv"
_DAMAGE = (
    ValueError,
    KeyError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    zlib.error,
    zipfile.BadZipFile,
)


@contextmanager
def _member(path: Path, key: str | None) -> Iterator[IO[bytes]]:
    """The bytes of one array; ``key`` None for an ``.npy``."""
    try:
        if key is None:
            with path.open("rb") as stream:
                yield stream
        else:
            with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as member:
                yield member
    except _DAMAGE as error:
        raise DataError(
            f"{path.name}{f' [{key}]' if key else ''} is not a usable NumPy array.",
            why=f"{error}".strip("'\" ").capitalize() + ".",
            remedy="Save it again with numpy.save or numpy.savez as an array of numbers.",
        ) from error


class NumpyRecording:
    """One lead of an array: (n,) samples, or the row or column ``lead`` of a table."""

    markers: Sequence[Marker] = ()

    def __init__(
        self,
        path: Path,
        key: str | None,
        lead: int,
        *,
        fs_hz: float,
        mv_per_step: float,
        offset_mv: float,
        details: Mapping[str, Detail],
    ) -> None:
        self.kind = "npy" if key is None else "npz"
        self._path = path
        self._key = key
        self._lead = lead
        self._mv_per_step = mv_per_step
        self._offset_mv = offset_mv
        self.fs_hz = fs_hz
        self.details = details

    def chunks(self, start_sample: int) -> Iterator[Chunk]:
        """Read the array's bytes in order, from the chunk that holds ``start_sample``."""
        with _member(self._path, self._key) as stream:
            header = read_array_header(stream)
            leads, samples, by_sample = _geometry(header)
            item = header.dtype.itemsize
            begin = min(start_sample, samples) // CHUNK_SAMPLES * CHUNK_SAMPLES
            row = leads if by_sample else 1
            stream.seek(
                header.data_offset + item * (begin * row if by_sample else self._lead * samples + begin)
            )
            while begin < samples:
                count = min(max(1, CHUNK_SAMPLES // row), samples - begin)
                data = stream.read(count * row * item)
                if len(data) < count * row * item:
                    raise EOFError(f"it ends after {begin} of {samples} samples")
                table = np.frombuffer(data, dtype=header.dtype).reshape(count, row)
                digits: FloatArray = table[:, self._lead if by_sample else 0].astype(np.float64)
                yield Chunk(begin, digits * self._mv_per_step + self._offset_mv)
                begin += count


def _geometry(header: ArrayHeader) -> tuple[int, int, bool]:
    """Leads, samples, and whether the leads of one sample stand together in the file."""
    shape = [size for size in header.shape if size != 1] or [1]
    if not header.shape or len(shape) > 2:
        raise ValueError(f"it has the shape {header.shape}, not (n,) or (leads, n)")
    if len(shape) == 1:
        return 1, shape[0], False
    leads, samples = min(shape), max(shape)
    leads_first = shape[0] == leads
    return leads, samples, leads_first == header.fortran_order


def open_numpy(path: Path, options: FileOptions) -> NumpyRecording:
    """Open an array.

    Raises
    ------
    DataError
        When the key, the rate or the scale is not to be had; says which option tells it.

    """
    key = None if path.suffix.lower() == ".npy" and not zipfile.is_zipfile(path) else _key(path, options)
    listed = _listed(path, key)
    with _member(path, key) as stream:
        header = read_array_header(stream)
        leads, samples, _ = _geometry(header)
        if key is None and path.stat().st_size - header.data_offset < header.data_bytes:
            raise EOFError(f"it claims {samples} samples and is too short for them")
    lead = _lead(path, leads, options)
    fs_hz = options.fs_hz or listed.get("fs_hz") or (_stored_rate(path) if key is not None else None)
    if fs_hz is None:
        raise DataError(
            f"{path.name} does not say how fast it was sampled.",
            why=f"It holds no array {_RATE_KEY}, and no {_LIST} beside it tells.",
            remedy="Add ?fs=HERTZ, for example ?fs=500.",
        )
    mv_per_step, offset_mv = _calibration(path, key, header, listed, options)
    details: dict[str, Detail] = {"channel": key or path.name, "duration_s": samples / fs_hz}
    return NumpyRecording(
        path,
        key,
        lead,
        fs_hz=check_rate(path, fs_hz, remedy="Give the true rate with ?fs=HERTZ."),
        mv_per_step=mv_per_step,
        offset_mv=offset_mv,
        details=details,
    )


def _key(path: Path, options: FileOptions) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            keys = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except _DAMAGE as error:
        raise DataError(
            f"{path.name} is a damaged .npz file.", why=f"{error}", remedy="Copy or save it again."
        ) from error
    if options.key is not None:
        if options.key in keys:
            return options.key
        raise DataError(
            f"{path.name} has no array {options.key}.", why=_keys_listed(keys), remedy="Give one of these."
        )
    likely = [key for key in keys if key.lower().startswith("ecg")]
    for choice in ([_VALUE_KEY] if _VALUE_KEY in keys else [], likely, keys):
        if len(choice) == 1:
            return choice[0]
    raise DataError(
        f"{path.name} does not say which of its arrays is the ECG.",
        why=_keys_listed(keys),
        remedy=f"Name it: ?key={keys[0]}" if keys else "Give another file.",
    )


def _keys_listed(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - 12} more" if len(keys) > 12 else ""
    return f"It holds {', '.join(keys[:12])}{more}." if keys else "It holds no arrays."


def _lead(path: Path, leads: int, options: FileOptions) -> int:
    text = options.channel
    if text is None and leads == 1:
        return 0
    if text is not None and text.isdecimal() and text.isascii() and len(text) < 9 and int(text) < leads:
        return int(text)
    raise DataError(
        f"{path.name} holds {leads} leads, and channel={text} is none of them."
        if text is not None
        else f"{path.name} holds {leads} leads, and none is named.",
        why="Leads of an array have numbers, from 0.",
        remedy="Add ?channel=0" + (f" (up to {leads - 1})." if leads > 1 else "."),
    )


def _stored_rate(path: Path) -> float | None:
    with zipfile.ZipFile(path) as archive:
        if f"{_RATE_KEY}.npy" not in archive.namelist():
            return None
    with _member(path, _RATE_KEY) as stream:
        header = read_array_header(stream)
        if header.data_bytes > 1 << 10 or header.data_bytes == 0:
            raise ValueError(f"{_RATE_KEY} has the shape {header.shape}")
        data = stream.read(header.data_bytes)
        if len(data) < header.data_bytes:
            raise EOFError(f"{_RATE_KEY} is cut off")
        return float(np.frombuffer(data, dtype=header.dtype).astype(np.float64)[0])


def _listed(path: Path, key: str | None) -> dict[str, float]:
    """The row of ``recordings.csv`` for this key, as numbers."""
    table = path.with_name(_LIST)
    if key is None or not table.is_file():
        return {}
    try:
        with table.open(encoding="utf-8", newline="") as file:
            row = next((row for row in csv.DictReader(file) if row.get("key") == key), {})
        wanted = ("fs_hz", "scale_mv_per_lsb", "offset_mv")
        return {name: float(row[name]) for name in wanted if row.get(name)}
    except (ValueError, csv.Error) as error:
        raise DataError(
            f"{table.name} beside {path.name} is damaged.",
            why=f"Its row for {key}: {error}.",
            remedy="Mend it, or move it away and give ?fs=, ?scale= and ?offset=.",
        ) from error


def _calibration(
    path: Path, key: str | None, header: ArrayHeader, listed: Mapping[str, float], options: FileOptions
) -> tuple[float, float]:
    """Millivolts per stored unit, and the offset in millivolts."""
    if options.scale is not None:
        mv = unit_factor(options.unit or "mV") or 1.0
        return options.scale * mv, (options.offset or 0.0) * mv
    if "scale_mv_per_lsb" in listed and options.unit is None:
        return listed["scale_mv_per_lsb"], listed.get("offset_mv", 0.0)
    unit = options.unit or unit_in_name(key or path.stem)
    factor = unit_factor(unit) if unit else None
    if factor is None:
        integers = header.dtype.kind in "iu"
        raise DataError(
            f"{path.name}{f' [{key}]' if key else ''} does not say what its values are in volts.",
            why="It holds a converter's integers." if integers else "It holds numbers without a unit.",
            remedy="Add ?scale=MILLIVOLTS_PER_STEP (and &offset=MILLIVOLTS)."
            if integers
            else "Add ?unit=mV (or uV, V).",
        )
    return factor, (options.offset or 0.0) * factor
