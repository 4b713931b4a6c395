"""Recognising a binary stream by its bytes: several packets in a row, each where the last one ended.

The formats are those of the makers' documents: OpenBCI "Cyton Data Format", ProtoCentral's ADS1292R OpenView
protocol, PLUX' BITalino frame. Only what tells them from noise is looked at; decoding is the codecs' work.
"""

from __future__ import annotations

_CYTON_BYTES, _CYTON_RUN = 33, 4
_OPENVIEW_RUN = 3
_BITALINO_RUN = 12
# Bytes of a BITalino frame with 1 to 6 channels; 5 and 6 channels need 8 bytes both.
_BITALINO_BYTES = (3, 4, 6, 7, 8)


def is_cyton(data: bytes) -> bool:
    """Whether ``data`` holds four packets in a row: A0, a number that counts, …, C0 to C6."""
    return any(_cyton_run(data, at) for at in _positions(data, 0xA0))


def _cyton_run(data: bytes, at: int) -> bool:
    if at + _CYTON_RUN * _CYTON_BYTES > len(data):
        return False
    return all(
        data[begin] == 0xA0
        and 0xC0 <= data[begin + _CYTON_BYTES - 1] <= 0xC6
        and data[begin + 1] == (data[at + 1] + index) % 256
        for index, begin in enumerate(range(at, at + _CYTON_RUN * _CYTON_BYTES, _CYTON_BYTES))
    )


def is_openview(data: bytes) -> bool:
    """Whether ``data`` holds three packets in a row: 0A FA, length, type 02, payload, 00 0B."""
    for at in _positions(data, 0x0A):
        for _ in range(_OPENVIEW_RUN):
            end = _openview_end(data, at)
            if end is None:
                break
            at = end
        else:
            return True
    return False


def _openview_end(data: bytes, at: int) -> int | None:
    if data[at : at + 2] != b"\x0a\xfa" or data[at + 3 : at + 5] != b"\x00\x02":
        return None
    tail = at + 5 + data[at + 2]
    return tail + 2 if data[tail : tail + 2] == b"\x00\x0b" else None


def is_bitalino(data: bytes) -> bool:
    """Whether ``data`` ends in twelve frames of one length, each with its CRC right and the next number."""
    return any(
        _bitalino_run(data[-(_BITALINO_RUN * size + size - 1) :], size, at)
        for size in _BITALINO_BYTES
        for at in range(size)
    )


def _bitalino_run(data: bytes, size: int, at: int) -> bool:
    frames = [data[begin : begin + size] for begin in range(at, at + _BITALINO_RUN * size, size)]
    if len(frames[-1]) < size:
        return False
    first = frames[0][-1] >> 4
    return all(
        frame[-1] >> 4 == (first + index) % 16 and frame[-1] & 15 == crc4(frame)
        for index, frame in enumerate(frames)
    )


def crc4(frame: bytes) -> int:
    """Return the CRC of a BITalino frame: x⁴ + x + 1, high bit first, its own nibble taken as 0."""
    crc = 0
    for byte in (*frame[:-1], frame[-1] & 0xF0):
        for bit in range(7, -1, -1):
            crc = crc << 1 | byte >> bit & 1
            if crc & 0x10:
                crc ^= 0x13
    return crc & 15


def _positions(data: bytes, byte: int) -> list[int]:
    found, at = [], data.find(byte)
    while at >= 0:
        found.append(at)
        at = data.find(byte, at + 1)
    return found
