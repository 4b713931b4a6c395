"""The Cyton's bytes: commands, the text it says of itself, and where things lie in a packet.

A packet is 33 bytes: ``A0``, a sample number of 8 bits, eight channels of 24 bits (signed, high byte first),
six auxiliary bytes, and a footer ``C0`` to ``C6`` that says what the auxiliary bytes are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BAUD = 115200
FS_HZ = 250.0
CHANNELS = 8
PACKET_SIZE = 33
NUMBER_RANGE = 256
HEADER = 0xA0
FIRST_FOOTER, LAST_FOOTER = 0xC0, 0xC6
ACCEL_FOOTER = 0xC0
STAMPED_FOOTERS = (0xC3, 0xC4, 0xC5, 0xC6)  # the last four auxiliary bytes are the board's milliseconds
STAMPED_ACCEL_FOOTERS = (0xC3, 0xC4)  # and the first two a piece of the accelerometer
AUX_AT, STAMP_AT, FOOTER_AT = 26, 28, 32

FULL_SCALE = (1 << 23) - 1
VREF_MV = 4500.0
# gain -> the digit that asks for it
GAINS = {1: "0", 2: "1", 4: "2", 6: "3", 8: "4", 12: "5", 24: "6"}
ACCEL_G_PER_COUNT = 0.002 / 16

STOP, START, RESET, DEFAULTS, EIGHT_CHANNELS, STAMPS_ON = b"s", b"b", b"v", b"d", b"c", b"<"
END = b"$$$"
RADIO_FAILURE = b"Communications timeout"

_FIRMWARE = re.compile(rb"Firmware: v(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a board says after its reset.

    Attributes
    ----------
    firmware:
        Its version; (1, 0, 0) when it does not say one, as firmware before 2 does not.
    daisy:
        Whether a Daisy module (channels 9 to 16) is attached.

    """

    firmware: tuple[int, int, int]
    daisy: bool


def parse_greeting(text: bytes) -> Greeting | None:
    """Read the text before ``$$$``; None when no Cyton speaks so."""
    if b"OpenBCI" not in text or b"ADS1299" not in text:
        return None
    found = _FIRMWARE.search(text)
    major, minor, patch = map(int, found.groups()) if found else (1, 0, 0)
    return Greeting((major, minor, patch), b"Daisy" in text)


def channel_command(channel: int, gain: int, *, differential: bool) -> bytes:
    """Return the command for a channel, 1 to 8: powered, gain, normal input, in the bias, SRB2 or not."""
    return f"x{channel}0{GAINS[gain]}01{0 if differential else 1}0X".encode()
