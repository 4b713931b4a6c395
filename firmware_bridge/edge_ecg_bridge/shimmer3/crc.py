"""The Shimmer's CRC-16: polynomial 0x1021, start 0xB0CA, MSB first, odd lengths padded with one zero byte."""

from __future__ import annotations

from functools import cache

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
    """Return the CRC of each row of (k, n) bytes, as (k,).

    A CRC is linear: that of a row is that of zeros, changed by each byte by what its place makes of it.
    """
    shares, of_zeros = _shares(rows.shape[1])
    changed: NDArray[np.uint16] = np.bitwise_xor.reduce(shares[np.arange(rows.shape[1]), rows], axis=1)
    return changed ^ of_zeros


@cache
def _shares(n: int) -> tuple[NDArray[np.uint16], np.uint16]:
    """Return what each value of each of ``n`` bytes changes in the CRC, (n, 256), and the CRC of n zeros."""
    share = _TABLE.copy()
    shares = []
    for place in range(n + n % 2):
        if place >= n % 2:  # the padding comes last and is always zero
            shares.append(share)
        share = (share << np.uint16(8)) ^ _TABLE[share >> np.uint16(8)]
    return np.array(shares[::-1], dtype=np.uint16).reshape(n, 256), np.uint16(crc16(bytes(n)))


def seal(message: bytes, crc_bytes: int) -> bytes:
    """Append the lowest ``crc_bytes`` (0, 1 or 2) bytes of the CRC, low byte first."""
    return message + crc16(message).to_bytes(2, "little")[:crc_bytes] if crc_bytes else message


def intact(sealed: bytes, crc_bytes: int) -> bool:
    """Whether the last ``crc_bytes`` bytes are the CRC of those before."""
    return not crc_bytes or seal(sealed[:-crc_bytes], crc_bytes) == sealed
