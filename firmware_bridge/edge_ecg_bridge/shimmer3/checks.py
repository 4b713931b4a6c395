"""What a Shimmer must be, and must have taken of its set-up, before a sample of it is believed."""

from __future__ import annotations

from ..stream import BridgeError
from . import commands
from .acceleration import Accelerometer
from .exg import ExgRegisters, Lead
from .packets import PacketLayout
from .replies import Firmware, Inquiry
from .wire import TICK_HZ, FirmwareId

_LONG_STAMPS_SINCE = {FirmwareId.LOG_AND_STREAM: (0, 5, 4), FirmwareId.BT_STREAM: (0, 7, 3)}


def require_firmware(firmware: Firmware) -> None:
    """Refuse firmware that does not stream, or whose packets carry short time stamps (BridgeError)."""
    if firmware.kind == FirmwareId.SD_LOG:
        raise BridgeError(
            f"The Shimmer runs SDLog {firmware}, which writes to its card and does not stream.",
            remedy="Put the LogAndStream firmware on it with Consensys.",
        )
    since = _LONG_STAMPS_SINCE.get(FirmwareId(firmware.kind)) if firmware.kind in set(FirmwareId) else None
    if since is None or firmware.version < since:
        raise BridgeError(
            f"The Shimmer runs firmware {firmware} (kind {firmware.kind}), which edge-ecg cannot read.",
            why="Its packets carry 16-bit time stamps." if since else "",
            remedy="Put the current LogAndStream firmware on it with Consensys.",
        )


def require_registers(registers: ExgRegisters, lead: Lead, fs_hz: float) -> None:
    """Refuse a chip that did not take the set-up (BridgeError): better no ECG than a wrong one."""
    good = (
        len(registers.data) == commands.EXG_REGISTERS
        and registers.gain(lead.channel) is not None
        and registers.powered(lead.channel)
        and registers.input(lead.channel) in (0, 7)
        and (registers.rate_hz or 0) >= fs_hz
    )
    if not good:
        raise BridgeError(
            "The Shimmer's ECG chip did not take its set-up.",
            why=f"Its registers read {registers.data.hex(' ').upper()}.",
            remedy="Switch the Shimmer off and on again; if that does not help, its ExG board is broken.",
        )


def require_rate(answer: Inquiry, ticks: int) -> None:
    """Refuse a device that samples at another rate than it was set to (BridgeError)."""
    if answer.ticks != ticks:
        now = f"{TICK_HZ / answer.ticks:g} Hz" if answer.ticks else "no rate"
        raise BridgeError(
            f"The Shimmer did not take its sampling rate of {TICK_HZ / ticks:g} Hz.",
            why=f"It announces {now}.",
            remedy="Switch it off and on again.",
        )


def lay_out(answer: Inquiry, lead: Lead, accelerometer: Accelerometer | None, hardware: int) -> PacketLayout:
    """Lay out the packets that an inquiry announces; BridgeError when what was asked for is not in them."""
    try:
        layout = PacketLayout.of(answer.channels, hardware)
    except KeyError as unknown:
        raise BridgeError(
            f"The Shimmer announces a channel 0x{unknown.args[0]:02X} whose size is unknown.",
            remedy="Report this with the firmware version; until then use LogAndStream 1.0.",
        ) from None
    if lead.sample_id not in layout.offsets or lead.status_id not in layout.offsets:
        raise BridgeError(
            "The Shimmer did not switch its ECG channels on.",
            why=f"It announces the channels {bytes(answer.channels).hex(' ').upper()}.",
            remedy="Switch it off and on again.",
        )
    if accelerometer is not None and any(axis not in layout.offsets for axis in accelerometer.channels):
        raise BridgeError(
            "The Shimmer did not switch its accelerometer on.",
            why=f"It announces the channels {bytes(answer.channels).hex(' ').upper()}.",
            remedy="Leave ?accel out, or try the other one (?accel=on, ?accel=wide).",
        )
    return layout
