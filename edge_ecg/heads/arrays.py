"""Reading an ``.npz`` that may come from anywhere: plain numbers, in no more memory than the file has bytes.

``numpy.load`` is not made for files of strangers: it unpacks compressed members of any size, evaluates the
header of an array as Python, and allocates what that header claims before it looks for the values. Here a
member must be stored as it is (as ``numpy.savez`` does), the header must read as NumPy writes it, and its
shape must account for every byte behind it.
"""

from __future__ import annotations

import io
import math
import os
import re
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 64 * 1024 * 1024
MAX_ARRAYS = 256

# The end of central directory record (APPNOTE.TXT 4.3.16), without a comment behind it.
_END = struct.Struct("<4s4H2IH")
_MAX_DIRECTORY_BYTES = 64 * 1024
_LOCATOR_BYTES, _LOCATOR_MAGIC = 20, b"PK\x06\x07"  # ZIP64 (4.3.15): it would overrule that record

# NEP 1: magic, version, length of the header; the header as numpy.save writes it. Numbers of 4 or 8 bytes
# only, so that nothing grows when it is turned into float32.
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    r"\{'descr': '(<[fiu][48])', 'fortran_order': (True|False), "
    r"'shape': \((|\d{1,9},|\d{1,9}(?:, \d{1,9}){1,3})\), \} *\n"
)


def read_npz(file: str | Path | IO[bytes]) -> dict[str, NDArray[Any]]:
    """Return all arrays of an ``.npz`` of plain numbers.

    Raises
    ------
    ValueError
        When the file is missing, damaged or no ``.npz``; when it is compressed, holds Python objects or
        anything else but numbers of 4 or 8 bytes in up to four dimensions; when it is larger than
        ``MAX_BYTES`` or claims to hold more than it has bytes.

    """
    try:
        if isinstance(file, str | Path):
            with open(file, "rb") as stream:
                # Not MAX_BYTES in any case: a buffer of the size that is asked for is made at once.
                data = stream.read(min(os.fstat(stream.fileno()).st_size, MAX_BYTES) + 1)
        else:
            data = file.read(MAX_BYTES + 1)
        _check_directory(data)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            _check_members(members, len(data))
            return {member.filename[:-4]: _array(archive.read(member)) for member in members}
    # What zipfile raises on hostile bytes is no closed list.
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _check_directory(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES // 2**20} MiB")
    if len(data) < _END.size:
        raise ValueError("it is no ZIP file")
    magic, *_, total, size, _, comment = _END.unpack(data[-_END.size :])
    if magic != b"PK\x05\x06" or comment:
        raise ValueError("it is no ZIP file, or has a comment")
    locator = len(data) - _END.size - _LOCATOR_BYTES
    if data[max(locator, 0) :].startswith(_LOCATOR_MAGIC):
        raise ValueError("it is a ZIP64 file")
    if total > MAX_ARRAYS or size > _MAX_DIRECTORY_BYTES:
        raise ValueError(f"it holds more than {MAX_ARRAYS} arrays")


def _check_members(members: list[zipfile.ZipInfo], available: int) -> None:
    if any(one.compress_type != zipfile.ZIP_STORED or one.flag_bits & 1 for one in members):
        raise ValueError("an array in it is compressed or encrypted")
    names = {one.filename for one in members}
    if len(names) != len(members) or len(members) > MAX_ARRAYS:
        raise ValueError("an array in it stands twice, or there are too many")
    if not all(name.endswith(".npy") for name in names):
        raise ValueError("a member of it is not an array")
    # Members that overlap each other could claim a multiple of the file.
    if sum(one.file_size for one in members) > available:
        raise ValueError("it claims to hold more than it has bytes")


def _array(content: bytes) -> NDArray[Any]:
    if not content.startswith(_MAGIC) or len(content) < len(_MAGIC) + 2:
        raise ValueError("an array in it has another format than numpy.savez gives it")
    start = len(_MAGIC) + 2
    offset = start + int.from_bytes(content[len(_MAGIC) : start], "little")
    match = _HEADER.fullmatch(content[start:offset].decode("latin-1"))
    if match is None:
        raise ValueError("an array in it holds something else than plain numbers of 4 or 8 bytes")
    kind, by_columns, dimensions = match.groups()
    dtype = np.dtype(kind)
    shape = tuple(int(size) for size in dimensions.replace(" ", "").split(",") if size)
    if math.prod(shape) * dtype.itemsize != len(content) - offset:
        raise ValueError("the shape of an array in it does not fit its size")
    values = np.frombuffer(content, dtype=dtype, offset=offset)
    return values.reshape(shape, order="F" if by_columns == "True" else "C").copy()
