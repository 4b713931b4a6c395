"""What the device answers: ACK, NACK, responses, and status messages that come at any time.

An unsolicited status message is ``[FF] 8A 71 s0 [s1]``. Its FF is on by default and looks like the ACK of
whatever the host is waiting for; this reader keeps the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from .crc import intact
from .wire import (
    ACK,
    BATTERY_RESPONSE,
    IN_STREAM_RESPONSE,
    NACK,
    STATUS_RESPONSE,
    TICK_HZ,
    Hardware,
    Response,
    StatusBit,
)

_MAX_BUFFER = 4096
_UNKNOWN = 0  # a size that more bytes will tell


@dataclass(frozen=True, slots=True)
class Ack:
    """The device carried the command out; ``payload`` follows the response's first byte (empty for a set)."""

    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Nack:
    """The device refused the command."""


@dataclass(frozen=True, slots=True)
class Status:
    """A status message."""

    bits: StatusBit


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The answer to an inquiry: sampling interval in 1/32768 s and the channels of a packet, in order."""

    ticks: int
    channels: tuple[int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Firmware:
    """Kind and version of the firmware."""

    kind: int
    major: int
    minor: int
    patch: int

    @property
    def version(self) -> tuple[int, int, int]:
        """Major, minor and patch."""
        return self.major, self.minor, self.patch

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def parse_firmware(payload: bytes) -> Firmware:
    """Read the payload of a firmware response (6 bytes)."""
    return Firmware(
        int.from_bytes(payload[:2], "little"), int.from_bytes(payload[2:4], "little"), payload[4], payload[5]
    )


def parse_inquiry(payload: bytes, hardware: int) -> Inquiry:
    """Read the payload of an inquiry response."""
    config = _config_bytes(hardware)
    return Inquiry(int.from_bytes(payload[:2], "little"), tuple(payload[4 + config :]))


def parse_clock(payload: bytes) -> float:
    """Read the payload of a clock response (8 bytes): seconds since the Unix epoch."""
    return int.from_bytes(payload[:8], "little") / TICK_HZ


def battery_v(payload: bytes) -> float:
    """Read the payload of a battery response of a Shimmer3: volts.

    The 12-bit converter measures the battery against 3 V behind a divider of 1.988 (vendor API,
    SensorBattVoltage).
    """
    return int.from_bytes(payload[:2], "little") / 4095 * 3.0 * 1.988


def _config_bytes(hardware: int) -> int:
    return 7 if hardware == Hardware.SHIMMER3R else 4


def status_bytes(hardware: int) -> int:
    """Status bytes after ``8A 71``: the Shimmer3R sends a second one."""
    return 2 if hardware == Hardware.SHIMMER3R else 1


def _payload_bytes(response: int, rest: bytes, hardware: int) -> int | None:
    """Length of a response's payload; None while too little of it is there to know."""
    match response:
        case Response.HARDWARE:
            return 1
        case Response.RATE:
            return 2
        case Response.FIRMWARE:
            return 6
        case Response.CLOCK:
            return 8
        case Response.SERIAL:
            return 12 if hardware == Hardware.SHIMMER3R else 8
        case Response.CALIBRATION:
            return 126 if hardware == Hardware.SHIMMER3R else 84
        case Response.EXG | Response.BOARD | Response.NAME | Response.RADIO:
            return 1 + rest[0] if rest else None
        case Response.INQUIRY:
            config = _config_bytes(hardware)
            return 4 + config + rest[2 + config] if len(rest) > 2 + config else None
    raise ValueError(f"no response begins with {response:02X}")


class ReplyReader:
    """Finds the answer to one command at a time in the byte stream.

    Attributes
    ----------
    crc_bytes:
        CRC bytes that the device appends.
    hardware:
        The answer to GET_HARDWARE, once known; it decides the length of some answers.
    status_ack:
        Whether status messages begin with an ACK.

    """

    def __init__(self) -> None:
        self.crc_bytes = 0
        self.hardware: int = Hardware.SHIMMER3
        self.status_ack = True
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes."""
        self._buffer += data
        del self._buffer[:-_MAX_BUFFER]

    def clear(self) -> bytes:
        """Forget and return what has not been read."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def next(self, response: int | None, *, sure: bool = False) -> Ack | Nack | Status | None:
        """Return the next message, or None when more bytes are needed.

        ``response`` is the first byte of the answer waited for, None when an ACK is all; BATTERY_RESPONSE is
        found behind IN_STREAM_RESPONSE. ``sure`` says that nothing has come for a while, so that a lone FF is
        an ACK and not the beginning of a status message.
        """
        while self._buffer:
            buffer = bytes(self._buffer)
            size = self._status_size(buffer, response)
            is_status = size is not None
            if size is None:
                size = self._answer_size(buffer, response, sure)
            if size is None or (len(buffer) >= size > 0 and not intact(buffer[:size], self.crc_bytes)):
                del self._buffer[0]
                continue
            if size == _UNKNOWN or len(buffer) < size:
                return None
            del self._buffer[:size]
            if not is_status:
                payload = buffer[2 : size - self.crc_bytes]
                return Nack() if buffer[0] == NACK else Ack(payload)
            at = 1 if buffer[0] == ACK else 0
            if buffer[at + 1] == STATUS_RESPONSE:
                return Status(StatusBit(buffer[at + 2]))
            if response == BATTERY_RESPONSE:
                return Ack(buffer[at + 2 : at + 5])
        return None

    def _status_size(self, buffer: bytes, response: int | None) -> int | None:
        """Size of the status or battery message at the buffer's start; None when there is none."""
        prefixed = self.status_ack or response == BATTERY_RESPONSE
        at = 1 if buffer[0] == ACK and prefixed else 0
        if len(buffer) == at or buffer[at] != IN_STREAM_RESPONSE:
            return None
        if len(buffer) == at + 1:
            return _UNKNOWN
        rest = {STATUS_RESPONSE: status_bytes(self.hardware), BATTERY_RESPONSE: 3}.get(buffer[at + 1])
        return None if rest is None else at + 2 + rest + self.crc_bytes

    def _answer_size(self, buffer: bytes, response: int | None, sure: bool) -> int | None:
        """Size of the ACK, NACK or response at the buffer's start; None when there is none."""
        if buffer[0] == NACK:
            return 1 + self.crc_bytes
        if buffer[0] != ACK:
            return None
        if response is None:
            undecided = len(buffer) == 1 and self.status_ack and not sure
            return _UNKNOWN if undecided else 1 + self.crc_bytes
        if len(buffer) == 1:
            return _UNKNOWN
        if buffer[1] != response or response == BATTERY_RESPONSE:  # that comes behind IN_STREAM_RESPONSE
            return None
        payload = _payload_bytes(response, buffer[2:], self.hardware)
        return _UNKNOWN if payload is None else 2 + payload + self.crc_bytes
