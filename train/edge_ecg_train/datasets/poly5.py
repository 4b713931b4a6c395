"""TMS32 and Poly5 files of TMSi's recorders (Mobi, Porti), versions 2.03 and 2.04: ``.S00``, ``.Poly5``.

    header          217 bytes (2.03) or 218 bytes (2.04)
    descriptions    136 bytes a signal; a channel of 32 bits takes two signals, "(Lo) NAME" and "(Hi) NAME"
    blocks          86 bytes of block header, then float32 samples, all channels of a sample period together

All numbers are little-endian. The layout is that of TMSi's own MATLAB reader ``tms_read``. The times in the
block headers are not used, as no reader uses them: a recorder that lost samples does not tell here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError
from edge_ecg.samples import FloatArray
from edge_ecg.sources.files.units import unit_factor

# Bytes before the version number: it is 31 long in 2.03 files and 32 in 2.04 files.
_IDENTIFIER_BYTES = {203: 31, 204: 32}
# Version, name, sampling rate, storage rate, storage type, signals, sample periods, unused, start, blocks,
# sample periods a block, bytes a block, delta compression, unused.
_HEADER = struct.Struct("<h81shhBhi4x7hiHHh64x")
# Name, unused, unit, unit low, unit high, converter low, converter high, index, cache offset, unused.
_DESCRIPTION = struct.Struct("<41s4x11s4fhh60x")
_BLOCK_HEADER_BYTES = 86


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel: its name and unit, and what converter value stands for what in that unit."""

    name: str
    unit: str
    unit_low: float
    unit_high: float
    adc_low: float
    adc_high: float

    def physical(self, raw: NDArray[np.float32]) -> FloatArray:
        """Converter values (n,) in the channel's unit."""
        per_step = (self.unit_high - self.unit_low) / (self.adc_high - self.adc_low)
        # A damaged sample may be no number; it stays none, which is a lost sample further on.
        with np.errstate(invalid="ignore", over="ignore"):
            return (raw.astype(np.float64) - self.adc_low) * per_step + self.unit_low

    @property
    def mv_per_unit(self) -> float | None:
        """Millivolts per unit; None when the unit is none of voltage. TMSi writes uVolt, µVolt, mVolt."""
        return unit_factor(self.unit.lower().replace("volt", "v"))


@dataclass(frozen=True, slots=True)
class Poly5:
    """An open file.

    Attributes
    ----------
    path, version:
        The file, and 203 or 204.
    fs_hz:
        Sampling rate of all channels.
    n_samples:
        Sample periods in the file, without what pads the last block.
    channels:
        In the file's order.
    start:
        Year, month, day, day of the week, hour, minute, second; the recorder's clock.

    """

    path: Path
    version: int
    fs_hz: float
    n_samples: int
    channels: tuple[Channel, ...]
    start: tuple[int, ...]
    _first_block: int
    _blocks: int
    _block_samples: int

    def read(self, channel: int, first: int = 0, count: int | None = None) -> FloatArray:
        """Samples (n,) of one channel in its unit, from sample ``first`` on.

        Raises
        ------
        DataError
            When the file became shorter than its header says, or its scale is damaged.

        """
        last = self.n_samples if count is None else min(first + count, self.n_samples)
        if last <= first:
            return np.zeros(0)
        begin, end = first // self._block_samples, -(-last // self._block_samples)
        try:
            blocks = np.memmap(
                self.path, self._block_type(), "r", offset=self._first_block, shape=(self._blocks,)
            )
            raw = np.ascontiguousarray(blocks["samples"][begin:end, :, channel]).reshape(-1)
        except (OSError, ValueError) as error:
            raise _damaged(self.path, f"{error}.") from None
        offset = begin * self._block_samples
        return self.channels[channel].physical(raw[first - offset : last - offset])

    def _block_type(self) -> np.dtype[np.void]:
        samples = ("samples", "<f4", (self._block_samples, len(self.channels)))
        return np.dtype([("header", f"V{_BLOCK_HEADER_BYTES}"), samples])


def open_poly5(path: Path) -> Poly5:
    """Read the header and the descriptions of the channels.

    Raises
    ------
    DataError
        When the file is none, is of another version, is compressed or 16-bit, or is cut short.

    """
    try:
        with path.open("rb") as file:
            start = file.read(max(_IDENTIFIER_BYTES.values()) + _HEADER.size)
            version = _version(path, start)
            first = _IDENTIFIER_BYTES[version] + _HEADER.size
            if len(start) < first:
                raise _damaged(path, "Its header is cut.")
            fields = _HEADER.unpack_from(start, _IDENTIFIER_BYTES[version])
            file.seek(first)
            n_signals = int(fields[5])
            descriptions = file.read(max(n_signals, 0) * _DESCRIPTION.size)
            size = file.seek(0, 2)
    except OSError as error:
        raise _damaged(path, f"{error.strerror or error}.") from None
    fs_hz, periods, began, blocks = float(fields[2]), int(fields[6]), fields[7:14], int(fields[14])
    block_bytes, compressed = int(fields[16]), int(fields[17])
    if n_signals < 2 or n_signals % 2 or len(descriptions) < n_signals * _DESCRIPTION.size:
        raise _damaged(path, f"It announces {n_signals} signals, two for each channel of 32 bits.")
    if compressed:
        raise DataError(
            f"{path.name} is compressed (delta), which edge-ecg does not read.",
            remedy="Export it again without compression.",
        )
    channels = tuple(
        _channel(path, descriptions, index * _DESCRIPTION.size) for index in range(0, n_signals, 2)
    )
    frame_bytes = 4 * len(channels)
    if fs_hz <= 0 or periods <= 0 or blocks <= 0 or block_bytes <= 0 or block_bytes % frame_bytes:
        raise _damaged(
            path,
            f"Its header announces {fs_hz:g} Hz, {periods} samples, {blocks} blocks of {block_bytes} bytes.",
        )
    first_block = first + len(descriptions)
    whole = first_block + blocks * (_BLOCK_HEADER_BYTES + block_bytes)
    if size < whole:
        raise _damaged(path, f"It holds {size} bytes; its header announces {whole}.")
    samples = block_bytes // frame_bytes
    return Poly5(
        path=path,
        version=version,
        fs_hz=fs_hz,
        n_samples=min(periods, blocks * samples),
        channels=channels,
        start=tuple(began),
        _first_block=first_block,
        _blocks=blocks,
        _block_samples=samples,
    )


def _version(path: Path, start: bytes) -> int:
    for version, place in _IDENTIFIER_BYTES.items():
        if start[place : place + 2] == version.to_bytes(2, "little"):
            return version
    raise DataError(
        f"{path.name} is no TMS32 or Poly5 file of version 2.03 or 2.04.",
        why=f"It begins with {start[:8].hex(' ') or 'nothing'}.",
        remedy="Get the file again.",
    )


def _channel(path: Path, descriptions: bytes, offset: int) -> Channel:
    name, unit, unit_low, unit_high, adc_low, adc_high, *_ = _DESCRIPTION.unpack_from(descriptions, offset)
    limits = (unit_low, unit_high, adc_low, adc_high)
    text = _text(name).removeprefix("(Lo) ").strip()
    if not np.isfinite(limits).all() or adc_low == adc_high:
        raise _damaged(path, f"The scale of its channel {text!r} is {limits}.")
    return Channel(text, _text(unit).strip(), *limits)


def _text(field: bytes) -> str:
    """Text that begins with its length."""
    return field[1 : 1 + min(field[0], len(field) - 1)].decode("latin-1").replace("\0", "")


def _damaged(path: Path, why: str) -> DataError:
    return DataError(f"{path.name} is damaged.", why=why, remedy="Get the file again.")
