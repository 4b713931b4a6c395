"""What a virtual Shimmer remembers and answers: identity, settings, and one reply for each command."""

from __future__ import annotations

from ..shimmer3.acceleration import TYPICAL, Calibration
from ..shimmer3.exg import RESET_REGISTERS
from ..shimmer3.wire import (
    BATTERY_RESPONSE,
    EXG_UNIFIED_BOARD,
    IN_STREAM_RESPONSE,
    STATUS_RESPONSE,
    TICK_HZ,
    Channel,
    Command,
    FirmwareId,
    Hardware,
    Response,
    StatusBit,
)

_MAX_RATE_HZ = 4096
_RESET_TICKS = 640
_BATTERY = bytes.fromhex("A0 0A C0")  # 2720 of 4095: 3.96 V, not charging
_MAX_NAME = 12
# Sensor bits of the 24-bit bit field, and the channels that they switch on.
_ECG_CHANNELS = (
    (0x000010, (Channel.EXG1_STATUS, Channel.EXG1_CH1, Channel.EXG1_CH2)),
    (0x000008, (Channel.EXG2_STATUS, Channel.EXG2_CH1, Channel.EXG2_CH2)),
)
_ACCEL_CHANNELS = (
    (0x000080, (Channel.LN_ACCEL_X, Channel.LN_ACCEL_Y, Channel.LN_ACCEL_Z)),
    (0x001000, (Channel.WR_ACCEL_X, Channel.WR_ACCEL_Y, Channel.WR_ACCEL_Z)),
)


class ShimmerState:
    """Settings of a virtual Shimmer and its answers to the commands of LogAndStream.

    Parameters
    ----------
    firmware, kind, hardware, board:
        What it says of itself; commands that its firmware did not know meet silence.
    name:
        Its user-given name.
    calibrated:
        Whether it has a calibration of its own; else its blocks are empty.

    """

    def __init__(
        self,
        *,
        firmware: tuple[int, int, int] = (0, 15, 4),
        kind: int = FirmwareId.LOG_AND_STREAM,
        hardware: int = Hardware.SHIMMER3,
        board: tuple[int, int, int] = (EXG_UNIFIED_BOARD, 4, 0),
        name: str = "Shimmer_1234",
        calibrated: bool = True,
    ) -> None:
        self.streaming = False
        self.fs_hz = TICK_HZ / _RESET_TICKS
        self._firmware, self._kind, self._hardware, self._board = firmware, kind, hardware, board
        self._name = name.encode()
        self._calibrated = calibrated
        self._registers = [bytearray(RESET_REGISTERS), bytearray(RESET_REGISTERS)]
        self._ticks = _RESET_TICKS
        self._sensors = 0
        self._crc_bytes = 0
        self._status_ack = True
        self._clock_ticks = 0  # of the real-time clock when the counter was 0

    @property
    def is_3r(self) -> bool:
        """Whether it is a Shimmer3R."""
        return self._hardware == Hardware.SHIMMER3R

    def channels(self) -> list[int]:
        """Return the channels of a packet in its order.

        A 3R's list is not in the order of identifiers: its motion sensors come after the ECG here.
        """
        groups = _ECG_CHANNELS + _ACCEL_CHANNELS if self.is_3r else _ACCEL_CHANNELS + _ECG_CHANNELS
        return [channel for bit, ids in groups if self._sensors & bit for channel in ids]

    def calibration(self, which: str) -> Calibration:
        """Return the calibration of an accelerometer, ``on`` or ``wide``."""
        hardware = Hardware.SHIMMER3R if self.is_3r else Hardware.SHIMMER3
        typical = TYPICAL[which, hardware]
        if not self._calibrated:
            return typical
        x, y, z = typical.sensitivity
        offset = tuple(value + 5.0 for value in typical.offset)
        return Calibration((offset[0], offset[1], offset[2]), (x + 1.0, y, z + 2.0), typical.alignment)

    # -- commands --------------------------------------------------------------------------------------

    def _knows(self, command: int) -> bool:
        if command == Command.SET_CRC:
            return self._firmware >= (0, 13, 7) or self.is_3r
        return command != Command.SET_STATUS_ACK or self._firmware >= (0, 15, 4)

    def _argument_bytes(self, queue: bytes) -> int | None:
        """Argument bytes of the command at the head of a queue; None for an unknown one."""
        command = queue[0]
        if command not in set(Command) or not self._knows(command):
            return None
        if command == Command.SET_EXG:
            return 3 + queue[3] if len(queue) > 3 else 3
        if command == Command.SET_NAME:
            return 1 + queue[1] if len(queue) > 1 else 1
        return {
            Command.SET_RATE: 2,
            Command.SET_SENSORS: 3,
            Command.GET_EXG: 3,
            Command.GET_BOARD: 2,
            Command.SET_CRC: 1,
            Command.SET_CLOCK: 8,
            Command.SET_STATUS_ACK: 1,
        }.get(Command(command), 0)

    def _set(self, command: int, arguments: bytes) -> bool:
        """Carry out a set command; False to refuse it."""
        if command == Command.SET_RATE:
            ticks = int.from_bytes(arguments, "little")
            if ticks * _MAX_RATE_HZ < TICK_HZ:
                return False
            self._ticks = ticks
            self.fs_hz = TICK_HZ / ticks
        elif command == Command.SET_SENSORS:
            self._sensors = int.from_bytes(arguments, "little")
        elif command == Command.SET_NAME:
            self._name = arguments[1 : 1 + _MAX_NAME]
        else:
            chip, start, count = arguments[:3]
            if chip > 1 or start + count > len(RESET_REGISTERS):
                return False
            self._registers[chip][start : start + count] = arguments[3:]
        return True

    def _answer(self, command: int, arguments: bytes, ticks_now: int) -> bytes:
        """Return what follows the ACK of a command."""
        match command:
            case Command.GET_HARDWARE | Command.GET_HARDWARE_OLD:
                return bytes((Response.HARDWARE, self._hardware))
            case Command.GET_FIRMWARE:
                major, minor, patch = self._firmware
                kind = self._kind.to_bytes(2, "little")
                return (
                    bytes((Response.FIRMWARE,)) + kind + major.to_bytes(2, "little") + bytes((minor, patch))
                )
            case Command.GET_RATE:
                return bytes((Response.RATE,)) + self._ticks.to_bytes(2, "little")
            case Command.GET_EXG:
                chip, start, count = arguments
                found = bytes(self._registers[chip & 1][start : start + count])
                return bytes((Response.EXG, len(found))) + found
            case Command.GET_BOARD:
                found = bytes(self._board)[arguments[1] : arguments[1] + arguments[0]]
                return bytes((Response.BOARD, len(found))) + found
            case Command.INQUIRY:
                channels = self.channels()
                head = bytes((Response.INQUIRY,)) + self._ticks.to_bytes(2, "little")
                return head + bytes(7 if self.is_3r else 4) + bytes((len(channels), 1, *channels))
            case Command.GET_STATUS:
                return self._status((StatusBit.SENSING | StatusBit.STREAMING) * self.streaming)
        return self._more(command, ticks_now)

    def _more(self, command: int, ticks_now: int) -> bytes:
        """Return the answers that nothing of the ECG depends on."""
        match command:
            case Command.GET_BATTERY:
                return bytes((IN_STREAM_RESPONSE, BATTERY_RESPONSE)) + _BATTERY
            case Command.GET_NAME:
                return bytes((Response.NAME, len(self._name))) + self._name
            case Command.GET_RADIO:
                version = b"CYW20820 v01.04.16" if self.is_3r else b"RN4678 V1.23"
                return bytes((Response.RADIO, len(version))) + version
            case Command.GET_SERIAL:
                return bytes((Response.SERIAL,)) + bytes(range(1, 13 if self.is_3r else 9))
            case Command.GET_CLOCK:
                return bytes((Response.CLOCK,)) + (self._clock_ticks + ticks_now).to_bytes(8, "little")
            case Command.GET_CALIBRATION:
                blocks = [b"\xff" * 21] * (6 if self.is_3r else 4)
                if self._calibrated:
                    blocks[0], blocks[3] = (self.calibration(which).to_bytes() for which in ("on", "wide"))
                return bytes((Response.CALIBRATION,)) + b"".join(blocks)
        return b""

    def _status(self, bits: int, *, usb: bool = False) -> bytes:
        second = bytes((usb,)) if self.is_3r else b""
        return bytes((IN_STREAM_RESPONSE, STATUS_RESPONSE, bits)) + second
