"""The data packets of a virtual Shimmer: what its chips make of the voltages at its electrodes.

It obeys its registers as the real one does: gain, reference, powered-down and shorted inputs, saturation at
24 bit, lead-off comparators. One recorded lead feeds all electrodes: LL-RA gets it as it is, LA-RA and Vx-RL
get it scaled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..shimmer3.crc import crc16_rows
from ..shimmer3.exg import FULL_SCALE, ExgRegisters
from ..shimmer3.wire import STAMP_MODULUS, Channel
from ..stream import BoolArray, ByteArray, FloatArray

# Relative to lead II: chip 1 = LL-RA, LA-RA; chip 2 = nothing, Vx-RL.
_SHARES = ((1.0, 0.5), (0.0, 0.8))
_NEW_CONVERSION = 0x80
_STATUS = (Channel.EXG1_STATUS, Channel.EXG2_STATUS)
_SAMPLES = {
    Channel.EXG1_CH1: (0, 0),
    Channel.EXG1_CH2: (0, 1),
    Channel.EXG2_CH1: (1, 0),
    Channel.EXG2_CH2: (1, 1),
}


def packet_rows(
    channels: list[int],
    stamps: NDArray[np.int64],
    lead_mv: FloatArray,
    loose: BoolArray,
    registers: list[ExgRegisters],
    motion_counts: dict[int, FloatArray],
    crc_bytes: int,
) -> ByteArray:
    """Return n packets as (n, size) bytes.

    Parameters
    ----------
    channels:
        Identifiers in the packet's order.
    stamps:
        (n,) values of the device's counter.
    lead_mv, loose:
        (n,) voltage between LL and RA, electrode offset included; whether LL hangs loose.
    registers:
        Of both chips.
    motion_counts:
        (n,) counts of each channel that is not the ECG's.
    crc_bytes:
        Of the packet's end.

    """
    n = len(lead_mv)
    stamps = stamps % STAMP_MODULUS
    columns = [np.zeros(n, dtype=np.uint8)]
    columns += [(stamps >> shift & 0xFF).astype(np.uint8) for shift in (0, 8, 16)]
    nothing = np.zeros(n, dtype=bool)
    for channel in channels:
        if channel in _STATUS:
            chip = _STATUS.index(Channel(channel))
            columns.append(_status(loose if chip == 0 else nothing, registers[chip]))
        elif channel in _SAMPLES:
            chip, index = _SAMPLES[Channel(channel)]
            mv = lead_mv * _SHARES[chip][index]
            if (chip, index) == (0, 0):
                mv = np.where(loose, np.inf, mv)
            columns += _convert(mv, registers[chip], index)
        else:
            counts = np.clip(np.rint(motion_counts[channel]), -32768, 32767).astype(np.int16).view(np.uint16)
            columns += [(counts & 0xFF).astype(np.uint8), (counts >> 8).astype(np.uint8)]
    rows = np.stack(columns, axis=1)
    if crc_bytes:
        crc = crc16_rows(rows)
        sums = [(crc & 0xFF).astype(np.uint8), (crc >> 8).astype(np.uint8)][:crc_bytes]
        rows = np.concatenate([rows, np.stack(sums, axis=1)], axis=1)
    return rows


def _status(loose: BoolArray, registers: ExgRegisters) -> ByteArray:
    status = np.full(len(loose), _NEW_CONVERSION, dtype=np.uint8)
    if registers.detects_lead_off:
        status |= np.where(loose, registers.data[6] & 0x01, 0).astype(np.uint8)
    return status


def _convert(mv: FloatArray, registers: ExgRegisters, channel: int) -> list[ByteArray]:
    """Do what the ADS1292R does: amplify, convert, saturate; return its three bytes, high one first."""
    raw = np.zeros(len(mv), dtype=np.int32)
    measures = registers.powered(channel) and registers.input(channel) in (0, 7)
    if measures and registers.gain(channel) is not None:
        scaled = np.where(np.isnan(mv), 0.0, mv) / registers.mv_per_count(channel)
        raw = np.clip(np.rint(scaled), -FULL_SCALE - 1, FULL_SCALE).astype(np.int32)
    return [(raw >> shift & 0xFF).astype(np.uint8) for shift in (16, 8, 0)]
