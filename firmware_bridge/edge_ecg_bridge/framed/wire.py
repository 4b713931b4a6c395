"""The frame around everything: two bytes to find it by, type, length, and a CRC to believe it by."""

from __future__ import annotations

from binascii import crc_hqx
from enum import IntEnum

SYNC = b"\xec\x47"
HEAD_BYTES = 4
CRC_BYTES = 2
MAX_PAYLOAD = 255
MAX_FRAME = HEAD_BYTES + MAX_PAYLOAD + CRC_BYTES


class FrameType(IntEnum):
    """Third byte of a frame: version of the format in the high half, kind of frame in the low one."""

    DATA = 0x11
    INFO = 0x12
    ASK_INFO = 0x18
    START = 0x19
    STOP = 0x1A


def crc16(data: bytes) -> int:
    """Return CRC-16/IBM-3740: polynomial 0x1021, start 0xFFFF, high bit first; of ``123456789``: 0x29B1."""
    return crc_hqx(data, 0xFFFF)


def seal(kind: FrameType, payload: bytes = b"") -> bytes:
    """Return the frame around a payload of at most 255 bytes."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a frame holds {MAX_PAYLOAD} bytes, not {len(payload)}")
    body = bytes((kind, len(payload))) + payload
    return SYNC + body + crc16(body).to_bytes(CRC_BYTES, "little")


# What the host may say. A firmware need not obey; its info frame says whether it does.
ASK_INFO = seal(FrameType.ASK_INFO)
START = seal(FrameType.START)
STOP = seal(FrameType.STOP)
