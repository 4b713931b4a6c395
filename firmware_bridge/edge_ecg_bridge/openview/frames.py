"""Finding OpenView frames among text and damage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..stream import BoolArray, ByteArray

BAUD = 57600
HEADER, FOOTER = b"\x0a\xfa", b"\x00\x0b"
TYPE_DATA = 0x02
HEAD_BYTES = 5
PAYLOAD_BYTES = 8
_ENOUGH_FRAMES = 3
_MIN_PAYLOAD, _MAX_PAYLOAD = 2, 64
_TEXT = np.zeros(256, dtype=bool)
_TEXT[[9, 10, 13, *range(32, 127)]] = True


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames one after another.

    Attributes
    ----------
    rows:
        (n, size) bytes.
    damaged:
        Frames of which damaged bytes stood before, by their number; at least 1 where there were any.

    """

    rows: ByteArray
    damaged: int


class OpenViewFramer:
    """Turns a byte stream into frames; all must be as long as the first.

    Attributes
    ----------
    bytes_skipped, packets_rejected:
        Bytes that belonged to no frame, text included; headers that no whole frame followed.

    """

    def __init__(self) -> None:
        self.bytes_skipped = 0
        self.packets_rejected = 0
        self._buffer = bytearray()
        self._size: int | None = None
        self._between = 0
        self._between_text = True

    def feed(self, data: bytes) -> list[Frames]:
        """Take bytes in any pieces; return the frames that are whole by now."""
        self._buffer += data
        out: list[Frames] = []
        while self._take(out):
            pass
        return out

    def _take(self, out: list[Frames]) -> bool:
        """Move frames, or what is none, from the buffer's start; False when more bytes are needed."""
        if self._size is not None and self._take_frames(self._size, out):
            return True
        begin = self._buffer.find(HEADER)
        if begin < 0:
            self._drop(len(self._buffer) - self._buffer.endswith(HEADER[:1]))
            return False
        if begin > 0:
            self._drop(begin)
            return True
        if len(self._buffer) < HEAD_BYTES:
            return False
        payload = int.from_bytes(self._buffer[2:4], "little")
        size = HEAD_BYTES + payload + len(FOOTER)
        likely = self._buffer[4] == TYPE_DATA and _MIN_PAYLOAD <= payload <= _MAX_PAYLOAD
        if likely and size == (self._size or size):
            if len(self._buffer) < size:
                return False
            if self._buffer[size - 2 : size] == FOOTER:
                self._size = size
                return True
        self.packets_rejected += 1
        self._drop(1)
        return True

    def _take_frames(self, size: int, out: list[Frames]) -> bool:
        n = len(self._buffer) // size
        rows = np.frombuffer(bytes(self._buffer[: n * size]), dtype=np.uint8).reshape(n, size)
        well = _well_formed(rows)
        count = n if well.all() else int(np.argmin(well))
        if not count:
            return False
        damaged = 0 if self._between_text else max(round(self._between / size), 1)
        self._between, self._between_text = 0, True
        out.append(Frames(rows[:count], damaged))
        del self._buffer[: count * size]
        return True

    def _drop(self, n: int) -> None:
        if n:
            self.bytes_skipped += n
            self._between += n
            dropped = np.frombuffer(bytes(self._buffer[:n]), dtype=np.uint8)
            self._between_text = self._between_text and bool(_TEXT[dropped].all())
            del self._buffer[:n]


def _well_formed(rows: ByteArray) -> BoolArray:
    """Whether each of (n, size) rows begins and ends as a frame of its size does."""
    payload = rows.shape[1] - HEAD_BYTES - len(FOOTER)
    head = np.frombuffer(HEADER + payload.to_bytes(2, "little") + bytes((TYPE_DATA,)), dtype=np.uint8)
    well: BoolArray = (rows[:, :HEAD_BYTES] == head).all(axis=1)
    well &= (rows[:, -2] == FOOTER[0]) & (rows[:, -1] == FOOTER[1])
    return well


def recognise(seen: bytes) -> bool:
    """Whether an OpenView board has sent this."""
    return sum(len(frames.rows) for frames in OpenViewFramer().feed(seen)) >= _ENOUGH_FRAMES


def ecg_counts(rows: ByteArray) -> NDArray[np.int64]:
    """Return the ECG (n,) of frames (n, size)."""
    raw = rows[:, HEAD_BYTES].astype(np.int64) | rows[:, HEAD_BYTES + 1].astype(np.int64) << 8
    return raw - ((raw & 0x8000) << 1)


def electrode_off(rows: ByteArray) -> BoolArray:
    """Whether the whole payload is zero."""
    off: BoolArray = (rows[:, HEAD_BYTES:-2] == 0).all(axis=1)
    return off
