"""Finding frames in a damaged byte stream.

A frame is believed when its CRC is right. When it is not, the search goes on one byte behind its first one,
not behind its end: its length may be what was damaged, and the good frame that follows it must not be lost.
"""

from __future__ import annotations

from .info import Info
from .packets import SMALLEST
from .wire import CRC_BYTES, HEAD_BYTES, SYNC, FrameType, crc16


class FrameFinder:
    """Turns a byte stream into the payloads of whole frames; never holds more than one frame.

    Attributes
    ----------
    bytes_skipped:
        Bytes that belonged to no frame.
    frames_rejected:
        What looked like a frame and had a wrong CRC.

    """

    def __init__(self) -> None:
        self.bytes_skipped = 0
        self.frames_rejected = 0
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take bytes in any pieces, return type and payload of the frames that are whole by now."""
        self._buffer += data
        found: list[tuple[int, bytes]] = []
        at = 0  # everything before is done with
        buffer = bytes(self._buffer)
        while True:
            sync = buffer.find(SYNC, at)
            if sync < 0:
                keep = len(buffer) - 1 if buffer.endswith(SYNC[:1]) else len(buffer)
                keep = max(keep, at)
                self.bytes_skipped += keep - at
                at = keep
                break
            self.bytes_skipped += sync - at
            at = sync
            if len(buffer) < at + HEAD_BYTES:
                break
            kind, length = buffer[at + 2], buffer[at + 3]
            end = at + HEAD_BYTES + length + CRC_BYTES
            if not _possible(kind, length):
                self.bytes_skipped += 1
                at += 1
            elif end > len(buffer):
                break
            elif crc16(buffer[at + 2 : end - CRC_BYTES]) == buffer[end - 2] | buffer[end - 1] << 8:
                found.append((kind, buffer[at + HEAD_BYTES : end - CRC_BYTES]))
                at = end
            else:
                self.frames_rejected += 1
                self.bytes_skipped += 1
                at += 1
        del self._buffer[:at]
        return found


def _possible(kind: int, length: int) -> bool:
    """Whether a frame of this type may be this long; a lie here would make the finder wait for nothing."""
    if kind == FrameType.DATA:
        return length >= SMALLEST
    return kind == FrameType.INFO and Info.possible(length)


def recognise(data: bytes) -> bool:
    """Whether ``data``, cut from a stream anywhere, comes from a board that speaks this format."""
    return bool(FrameFinder().feed(data))
