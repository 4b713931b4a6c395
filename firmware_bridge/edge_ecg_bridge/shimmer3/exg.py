"""The two ADS1292R of the ExG board: registers, calibration to millivolts, status bits.

Register meanings and the reference voltages are those of TI's data sheet SBAS502; the ECG set-up and the
leads on its four channels are the maker's (ECG user guide, Consensys).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..stream import BoolArray, ByteArray, FloatArray
from .wire import Channel

RESET_REGISTERS = bytes.fromhex("02 80 10 00 00 00 00 00 00 02")
FULL_SCALE = (1 << 23) - 1
RATES_HZ = (125, 250, 500, 1000, 2000, 4000, 8000)
GAINS = {1: 1, 2: 2, 3: 3, 4: 4, 0: 6, 5: 8, 6: 12}
_GAIN_CODES = {gain: code for code, gain in GAINS.items()}
_CLOCK_OUT = 0x08
_COMPARATORS = 0x40
_ECG = (bytes.fromhex("02 A0 10 40 40 2D 00 00 02 03"), bytes.fromhex("02 A0 10 40 47 00 00 00 02 01"))


@dataclass(frozen=True, slots=True)
class Lead:
    """Where a lead is found: chip 0 or 1, its channel 0 or 1, and the bytes of the packet."""

    chip: int
    channel: int
    status_id: Channel
    sample_id: Channel


LEADS = {
    "LL-RA": Lead(0, 0, Channel.EXG1_STATUS, Channel.EXG1_CH1),
    "LA-RA": Lead(0, 1, Channel.EXG1_STATUS, Channel.EXG1_CH2),
    "Vx-RL": Lead(1, 1, Channel.EXG2_STATUS, Channel.EXG2_CH2),
}
"""Leads by electrode pair: LL-RA is lead II, LA-RA lead I, Vx-RL the chest lead."""


@dataclass(frozen=True, slots=True)
class ExgRegisters:
    """The ten registers of one chip, CONFIG1 first."""

    data: bytes

    @property
    def rate_hz(self) -> int | None:
        """Conversions a second; None for the reserved code."""
        code = self.data[0] & 7
        return RATES_HZ[code] if code < len(RATES_HZ) else None

    @property
    def reference_v(self) -> float:
        """The internal reference, volts."""
        return 4.033 if self.data[1] & 0x10 else 2.42

    @property
    def detects_lead_off(self) -> bool:
        """Whether the comparators are on, so that the status bits mean something."""
        return bool(self.data[1] & _COMPARATORS)

    def gain(self, channel: int) -> int | None:
        """Gain of channel 0 or 1; None for the reserved code."""
        return GAINS.get(self.data[3 + channel] >> 4 & 7)

    def powered(self, channel: int) -> bool:
        """Whether channel 0 or 1 is on."""
        return not self.data[3 + channel] & 0x80

    def input(self, channel: int) -> int:
        """Multiplexer of channel 0 or 1: 0 electrodes, 1 shorted, 5 test signal, 7 RLD input."""
        return self.data[3 + channel] & 0x0F

    def mv_per_count(self, channel: int) -> float:
        """Millivolts of one count at 24 bit: VREF / gain / (2^23 - 1).

        Raises
        ------
        ValueError
            When the gain code is reserved.

        """
        gain = self.gain(channel)
        if gain is None:
            raise ValueError("the gain code is reserved")
        return self.reference_v * 1000.0 / gain / FULL_SCALE


def ecg_registers(
    fs_hz: float, *, gain: int = 4, clock_out: bool = False, lead_off: bool = False
) -> tuple[bytes, bytes]:
    """Return the registers of both chips for ECG.

    The chips convert on their own clock: at the next rate above ``fs_hz``, so that no sample repeats.
    ``clock_out`` is what boards SR47 from revision 4 need. ``lead_off`` switches the DC comparators and
    their 6 nA currents on.
    """
    code = next((i for i, rate in enumerate(RATES_HZ) if rate >= fs_hz), len(RATES_HZ) - 1)
    chips = [bytearray(registers) for registers in _ECG]
    for registers in chips:
        registers[0] = code
        registers[1] |= _COMPARATORS * lead_off
        for at in (3, 4):
            registers[at] = registers[at] & 0x0F | _GAIN_CODES[gain] << 4
    chips[0][1] |= _CLOCK_OUT * clock_out
    if lead_off:
        chips[0][6] = 0x0F  # both inputs of both channels
        chips[1][6] = 0x04  # the chest electrode: positive input of channel 2
    return bytes(chips[0]), bytes(chips[1])


def counts(columns: ByteArray) -> NDArray[np.int32]:
    """Read 24-bit signed big-endian numbers: (k, 3) bytes -> (k,)."""
    wide = columns.astype(np.int32)
    return ((wide[:, 0] << 24) | (wide[:, 1] << 16) | (wide[:, 2] << 8)) >> 8


def to_mv(raw: NDArray[np.int32], registers: ExgRegisters, channel: int) -> FloatArray:
    """Calibrate counts with the chip's own gain and reference."""
    return raw.astype(np.float64) * registers.mv_per_count(channel)


def clipped(raw: NDArray[np.int32]) -> BoolArray:
    """Mark counts at the converter's limits."""
    return (raw >= FULL_SCALE - 1) | (raw <= -FULL_SCALE + 1)


def electrode_off(status: ByteArray, channel: int) -> BoolArray:
    """Mark status bytes that report an electrode of ``channel`` (or the reference) off.

    Bits 4..0: reference, IN2N, IN2P, IN1N, IN1P.
    """
    off: BoolArray = (status & (0x10 | 0x03 << 2 * channel)) != 0
    return off


def new_conversion(status: ByteArray) -> BoolArray:
    """Mark status bytes that say that the chip has converted since the packet before (bit 7)."""
    new: BoolArray = (status & 0x80) != 0
    return new
