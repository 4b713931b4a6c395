"""The order in which a Shimmer3 is asked and told, from any state it may be in to its first packet."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass

from ..stream import BridgeError, Detail, show_bytes
from . import commands, dock
from .acceleration import ACCELEROMETERS, TYPICAL, Calibration, parse_calibration
from .checks import lay_out, require_firmware, require_rate, require_registers
from .exg import LEADS, ExgRegisters, ecg_registers
from .packets import PacketLayout
from .replies import Ack, Firmware, Inquiry, ReplyReader, battery_v, parse_firmware, parse_inquiry
from .wire import (
    BATTERY_RESPONSE,
    BOARDS,
    EXG_BOARDS,
    EXG_UNIFIED_BOARD,
    TICK_HZ,
    UNMARKED_BOARD,
    FirmwareId,
    Hardware,
    Response,
)

_CRC_SINCE = (0, 13, 7)
_STATUS_ACK_SINCE = (0, 15, 4)
_SLOW_ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the host wants of the Shimmer.

    Attributes
    ----------
    fs_hz:
        Wished sampling rate; the device takes the nearest 32768 / n.
    lead:
        A name in :data:`edge_ecg_bridge.shimmer3.exg.LEADS`.
    gain:
        1, 2, 3, 4, 6, 8 or 12.
    lead_off:
        Whether the chips watch for loose electrodes (DC comparators).
    acceleration:
        A name in :data:`edge_ecg_bridge.shimmer3.acceleration.ACCELEROMETERS`, or ``off``.
    crc_bytes:
        0, 1 or 2 bytes of CRC on every message, where the firmware has it.
    unix_s:
        What to set the device's real-time clock to; None to leave it.

    """

    fs_hz: float = 256.0
    lead: str = "LL-RA"
    gain: int = 4
    lead_off: bool = False
    acceleration: str = "off"
    crc_bytes: int = 2
    unix_s: float | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A command and the first byte of its answer (None: an ACK is all).

    ``find`` replaces the usual reading of answers: it looks into all bytes seen.
    """

    command: bytes
    response: int | None = None
    timeout_s: float = 1.0
    tries: int = 2
    find: Callable[[bytes], str | None] | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """A command without answer, and how long the line must then be quiet."""

    command: bytes
    quiet_s: float = 0.2
    limit_s: float = 1.0
    tries: int = 2


@dataclass(frozen=True, slots=True)
class Stream:
    """What is needed to read the packets."""

    layout: PacketLayout
    ticks: int
    registers: ExgRegisters
    details: dict[str, Detail]
    calibration: Calibration | None = None

    @property
    def fs_hz(self) -> float:
        """The device's own rate."""
        return TICK_HZ / self.ticks


class NoAnswerError(Exception):
    """The time for an answer is over; holds the bytes that came instead."""

    def __init__(self, seen: bytes) -> None:
        super().__init__("no answer")
        self.seen = seen


class RefusedError(Exception):
    """The device answered NACK."""


Steps = Generator[Ask | Silence, Ack, Stream]


def set_up(settings: Settings, reader: ReplyReader) -> Steps:
    """Ask and tell until the stream runs; tells ``reader`` what it must know to read on."""
    yield Silence(commands.stop_streaming())
    hardware = yield from _identify(reader)
    try:
        firmware = parse_firmware((yield Ask(commands.get_firmware(), Response.FIRMWARE)).payload)
        require_firmware(firmware)
        if firmware.kind == FirmwareId.LOG_AND_STREAM:
            yield from _protect(settings, firmware, hardware, reader)
        stream = yield from _configure(settings, reader, hardware, firmware)
        yield Ask(commands.start_streaming())
    except NoAnswerError as error:
        raise BridgeError(
            "The Shimmer stopped answering while it was being set up.",
            why=f"It last sent {show_bytes(error.seen[-24:])}.",
            remedy="Switch it off and on again, and close other programs on this port.",
        ) from None
    except RefusedError:
        raise BridgeError(
            "The Shimmer refuses to be set up.",
            why="It does so while it is logging or synchronising with others.",
            remedy="Stop its logging (button or Consensys) and switch SD synchronisation off in Consensys.",
        ) from None
    return stream


def _identify(reader: ReplyReader) -> Generator[Ask | Silence, Ack, int]:
    try:
        hardware = (yield Ask(commands.get_hardware(), Response.HARDWARE)).payload[0]
    except (NoAnswerError, RefusedError) as error:
        yield from _look_for_dock(error.seen if isinstance(error, NoAnswerError) else b"")
        raise AssertionError("unreachable") from None
    if hardware not in (Hardware.SHIMMER3, Hardware.SHIMMER3R):
        raise BridgeError(
            f"This is a Shimmer of hardware version {hardware}, which edge-ecg does not know.",
            remedy="Use a Shimmer3 or Shimmer3R with the ExG board.",
        )
    reader.hardware = hardware
    return hardware


def _look_for_dock(seen: bytes) -> Generator[Ask | Silence, Ack, None]:
    try:
        found = (yield Ask(dock.GET_VERSION, timeout_s=0.3, tries=1, find=dock.find_version)).payload.decode()
    except NoAnswerError as error:
        raise BridgeError(
            "Nothing on this port answers as a Shimmer3.",
            why=f"It sent {show_bytes(seen or error.seen)} when it was asked what it is.",
            remedy="Switch the Shimmer on, take it out of its dock and bind it again (sudo rfcomm bind 0 "
            "ADDRESS); a dock's own ports, of which one is silent, never stream.",
        ) from None
    raise dock.problem(found)


def _protect(
    settings: Settings, firmware: Firmware, hardware: int, reader: ReplyReader
) -> Generator[Ask | Silence, Ack, None]:
    """Make status messages tell-tale and every message checkable, as far as the firmware can."""
    if firmware.version >= _STATUS_ACK_SINCE:
        with suppress(NoAnswerError, RefusedError):
            yield Ask(commands.set_status_ack(False))
            reader.status_ack = False
    if settings.crc_bytes and (firmware.version >= _CRC_SINCE or hardware == Hardware.SHIMMER3R):
        reader.crc_bytes = settings.crc_bytes  # its ACK carries the CRC already
        try:
            yield Ask(commands.set_crc(settings.crc_bytes))
        except (NoAnswerError, RefusedError):
            reader.crc_bytes = 0


def _configure(
    settings: Settings, reader: ReplyReader, hardware: int, firmware: Firmware
) -> Generator[Ask | Silence, Ack, Stream]:
    board, revision = yield from _board()
    ticks = commands.ticks_for(settings.fs_hz)
    clock_out = board == EXG_UNIFIED_BOARD and revision >= 4
    wanted = ecg_registers(
        TICK_HZ / ticks, gain=settings.gain, clock_out=clock_out, lead_off=settings.lead_off
    )
    accelerometer = ACCELEROMETERS.get(settings.acceleration)
    yield Ask(commands.set_rate(ticks))
    yield Ask(commands.set_sensors(*([accelerometer.sensors] if accelerometer else [])))
    for chip in (0, 1):
        yield Ask(commands.set_exg(chip, wanted[chip]))
    chips = []
    for chip in (0, 1):
        answer = yield Ask(commands.get_exg(chip), Response.EXG, _SLOW_ANSWER_S)
        chips.append(ExgRegisters(answer.payload[1:]))
    lead = LEADS[settings.lead]
    registers = chips[lead.chip]
    require_registers(registers, lead, TICK_HZ / ticks)
    announced = yield from _inquire(hardware)
    if announced.ticks != ticks:  # an answer that was damaged on its way, where there is no CRC to tell
        announced = yield from _inquire(hardware)
    require_rate(announced, ticks)
    layout = lay_out(announced, lead, accelerometer, hardware)
    details: dict[str, Detail] = {
        "hardware": "Shimmer3R" if hardware == Hardware.SHIMMER3R else "Shimmer3",
        "firmware": str(firmware),
        "lead": settings.lead,
        "gain": registers.gain(lead.channel) or 0,
        "uv_per_count": round(registers.mv_per_count(lead.channel) * 1000.0, 6),
        "crc_bytes": reader.crc_bytes,
        "lead_off_detection": registers.detects_lead_off,
    }
    if firmware.kind == FirmwareId.LOG_AND_STREAM and firmware.version >= _CRC_SINCE:
        details |= yield from _about(hardware)
    calibration = None
    if accelerometer is not None:
        calibration = yield from _calibration(accelerometer.block)
        details["acceleration"] = "typical calibration" if calibration is None else "calibrated"
        calibration = calibration or TYPICAL[settings.acceleration, Hardware(hardware)]
    if settings.unix_s is not None:
        yield Ask(commands.set_clock(settings.unix_s))
    return Stream(layout, announced.ticks, registers, details, calibration)


def _inquire(hardware: int) -> Generator[Ask | Silence, Ack, Inquiry]:
    answer = yield Ask(commands.inquiry(), Response.INQUIRY, _SLOW_ANSWER_S)
    return parse_inquiry(answer.payload, hardware)


def _about(hardware: int) -> Generator[Ask | Silence, Ack, dict[str, Detail]]:
    """Ask for name and battery: good to know, and no reason to fail."""
    known: dict[str, Detail] = {}
    with suppress(NoAnswerError, RefusedError):
        payload = (yield Ask(commands.get_name(), Response.NAME, tries=1)).payload
        known["name"] = payload[1:].rstrip(b"\0").decode("ascii", "replace")
    if hardware == Hardware.SHIMMER3:  # the 3R's divider is not documented
        with suppress(NoAnswerError, RefusedError):
            payload = (yield Ask(commands.get_battery(), BATTERY_RESPONSE, tries=1)).payload
            known["battery_v"] = round(battery_v(payload), 2)
    return known


def _calibration(block: int) -> Generator[Ask | Silence, Ack, Calibration | None]:
    try:
        answer = yield Ask(commands.get_calibration(), Response.CALIBRATION, _SLOW_ANSWER_S)
    except (NoAnswerError, RefusedError):
        return None
    return parse_calibration(answer.payload, block)


def _board() -> Generator[Ask | Silence, Ack, tuple[int, int]]:
    try:
        payload = (yield Ask(commands.get_board(), Response.BOARD)).payload
    except (NoAnswerError, RefusedError):  # firmware that does not know the question
        return UNMARKED_BOARD, 0
    if len(payload) < 3:
        return UNMARKED_BOARD, 0
    board, revision = payload[1], payload[2]
    if board not in EXG_BOARDS and board != UNMARKED_BOARD:
        raise BridgeError(
            f"This Shimmer has no ExG board: its board is SR{board} ({BOARDS.get(board, 'unknown')}).",
            remedy="ECG needs the ECG/EMG unit (SR37 or SR47).",
        )
    return board, revision
