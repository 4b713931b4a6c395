"""The header of an ``.npy`` array, read without evaluating it.

NumPy's own reader runs the header through Python's literal parser; here three patterns suffice, and nothing
that a damaged file claims is allocated. Layout: numpy.lib.format, versions 1.0 to 3.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import IO

import numpy as np

MAGIC = b"\x93NUMPY"
_MAX_HEADER_BYTES = 1 << 16
_DESCR = re.compile(r"'descr'\s*:\s*'([<>|=][iuf]\d{1,2})'")
_ORDER = re.compile(r"'fortran_order'\s*:\s*(True|False)")
_SHAPE = re.compile(r"'shape'\s*:\s*\(([\d\s,]*)\)")


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """What an array is and where its first byte stands."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    fortran_order: bool
    data_offset: int

    @property
    def data_bytes(self) -> int:
        """The length of the data, by the header's claim."""
        return prod(self.shape) * self.dtype.itemsize


def read_array_header(stream: IO[bytes]) -> ArrayHeader:
    """Read the header at the beginning of ``stream``.

    Raises
    ------
    ValueError
        When it is not one, or the array does not hold numbers.

    """
    start = stream.read(8)
    if len(start) < 8 or not start.startswith(MAGIC):
        raise ValueError("it does not begin like a NumPy array")
    width = 2 if start[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > _MAX_HEADER_BYTES:
        raise ValueError(f"it claims a header of {length} bytes")
    raw = stream.read(length)
    if len(raw) < length:
        raise ValueError("it ends within its header")
    text = raw.decode("latin-1")
    descr, order, shape = _DESCR.search(text), _ORDER.search(text), _SHAPE.search(text)
    if descr is None or order is None or shape is None:
        raise ValueError(f"it is no array of numbers: {text.strip()[:80]}")
    sizes = tuple(int(size) for size in shape[1].replace(",", " ").split())
    if len(sizes) > 8 or any(size > 1 << 48 for size in sizes):
        raise ValueError(f"it claims the shape {shape[1][:40]}")
    try:
        dtype = np.dtype(descr[1])
    except TypeError as error:
        raise ValueError(f"it holds {descr[1]}, which is no type of number") from error
    return ArrayHeader(dtype, sizes, order[1] == "True", 8 + width + length)
