"""The Shimmer's CRC-16: polynomial 0x1021, start 0xB0CA, MSB first, odd lengths padded with one zero byte."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..stream import ByteArray

_START = 0xB0CA


def _table() -> NDArray[np.uint16]:
    values = np.arange(256, dtype=np.uint32) << 8
    for _ in range(8):
        values = np.where(values & 0x8000, (values << 1) ^ 0x1021, values << 1) & 0xFFFF
    return values.astype(np.uint16)


_TABLE = _table()
_PLAIN_TABLE: list[int] = _TABLE.tolist()


def crc16(data: bytes) -> int:
    """Return the CRC of ``data``."""
    crc = _START
    for byte in data + b"\0" * (len(data) % 2):
        crc = ((crc << 8) & 0xFFFF) ^ _PLAIN_TABLE[(crc >> 8) ^ byte]
    return crc


def crc16_rows(rows: ByteArray) -> NDArray[np.uint16]:
    """Return the CRC of each row of (k, n) bytes, as (k,)."""
    crc = np.full(rows.shape[0], _START, dtype=np.uint16)
    columns = [*rows.T, np.zeros(rows.shape[0], dtype=np.uint8)] if rows.shape[1] % 2 else list(rows.T)
    for column in columns:
        crc = (crc << np.uint16(8)) ^ _TABLE[(crc >> np.uint16(8)) ^ column]
    return crc


def seal(message: bytes, crc_bytes: int) -> bytes:
    """Append the lowest ``crc_bytes`` (0, 1 or 2) bytes of the CRC, low byte first."""
    return message + crc16(message).to_bytes(2, "little")[:crc_bytes] if crc_bytes else message


def intact(sealed: bytes, crc_bytes: int) -> bool:
    """Whether the last ``crc_bytes`` bytes are the CRC of those before."""
    return not crc_bytes or seal(sealed[:-crc_bytes], crc_bytes) == sealed
