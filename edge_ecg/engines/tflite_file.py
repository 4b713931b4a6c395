"""What a TFLite file may hold before LiteRT sees it, found without a package that reads FlatBuffers.

The runtime is native code; a file can ask it for operators of other libraries ("custom" ones, and with them
all of TensorFlow: "Flex"), for loops, and for tensors of any size. An encoder needs none of that. Tables,
vectors and offsets as in FlatBuffers' internals (flatbuffers.dev/internals), field numbers of TensorFlow
Lite's schema.fbs, version 3.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

IDENTIFIER = b"TFL3"
# Many times what an encoder of 10 s of ECG needs, and what the smallest Raspberry Pi has.
MAX_TENSOR_BYTES = 256 * 1024 * 1024

_MAX_ITEMS = 100_000
_MAX_DIMENSIONS = 8
_CUSTOM, _DELEGATE = 32, 51
_LARGEST_VALUE_BYTES = 16

# Field numbers, by table.
_MODEL_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 1, 2, 4
_CODE_OLD, _CODE_CUSTOM, _CODE_NEW = 0, 1, 3
_SUBGRAPH_TENSORS = 0
_TENSOR_SHAPE, _TENSOR_TYPE = 0, 1
_BUFFER_OFFSET, _BUFFER_SIZE = 1, 2
_VALUE_BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 8: 8, 9: 1, 10: 8, 12: 8, 15: 4, 16: 2, 17: 1}


def check_tflite(model: bytes) -> None:
    """Do nothing for a file that holds one graph of TFLite's own operators, of moderate size.

    Raises
    ------
    ValueError
        When it is no TFLite file, or holds anything else: custom, Flex or delegated operators, several graphs
        (loops and branches), buffers behind its end, tensors of more than ``MAX_TENSOR_BYTES`` in all.

    """
    try:
        _check(model)
    except struct.error as error:
        raise ValueError("it is no TFLite file, or cut short") from error


def _check(data: bytes) -> None:
    if data[4:8] != IDENTIFIER:
        raise ValueError("it is no TFLite file")
    root = _offset(data, 0)
    for code in _tables(data, root, _MODEL_CODES):
        number = max(_number(data, code, _CODE_OLD, "<b"), _number(data, code, _CODE_NEW, "<i"))
        if number == _CUSTOM or _field(data, code, _CODE_CUSTOM):
            raise ValueError("it needs an operator that is not TFLite's own")
        if number == _DELEGATE:
            raise ValueError("it needs a delegate")
    for buffer in _tables(data, root, _MODEL_BUFFERS):
        # 0 and 1 both say "not there" in files of over 2 GiB that were read and written again.
        if any(_number(data, buffer, field, "<Q") > 1 for field in (_BUFFER_OFFSET, _BUFFER_SIZE)):
            raise ValueError("its weights lie behind its end")
    subgraphs = list(_tables(data, root, _MODEL_SUBGRAPHS))
    if len(subgraphs) != 1:
        raise ValueError(f"it holds {len(subgraphs)} graphs, as for loops and branches")
    total = sum(_tensor_bytes(data, tensor) for tensor in _tables(data, subgraphs[0], _SUBGRAPH_TENSORS))
    if total > MAX_TENSOR_BYTES:
        raise ValueError(f"its tensors need {total >> 20} MiB; {MAX_TENSOR_BYTES >> 20} are allowed")


def _tensor_bytes(data: bytes, tensor: int) -> int:
    size = _VALUE_BYTES.get(_number(data, tensor, _TENSOR_TYPE, "<b"), _LARGEST_VALUE_BYTES)
    at = _field(data, tensor, _TENSOR_SHAPE)
    if not at:
        return size
    start, count = _vector(data, at)
    if count > _MAX_DIMENSIONS:
        raise ValueError(f"a tensor has {count} dimensions")
    shape: tuple[int, ...] = struct.unpack_from(f"<{count}i", data, start)
    return size * math.prod(max(length, 1) for length in shape)


def _tables(data: bytes, table: int, field: int) -> Iterator[int]:
    """Where each table of a vector of tables begins."""
    at = _field(data, table, field)
    if at:
        start, count = _vector(data, at)
        for index in range(count):
            yield _offset(data, start + 4 * index)


def _vector(data: bytes, at: int) -> tuple[int, int]:
    """Where a vector's items begin, and how many there are."""
    start = _offset(data, at)
    (count,) = struct.unpack_from("<I", data, start)
    if count > _MAX_ITEMS:
        raise ValueError(f"it holds more than {_MAX_ITEMS} items of one kind")
    return start + 4, count


def _number(data: bytes, table: int, field: int, layout: str) -> int:
    at = _field(data, table, field)
    return int(struct.unpack_from(layout, data, at)[0]) if at else 0


def _field(data: bytes, table: int, field: int) -> int:
    """Where a field of a table lies; 0 when it is left out."""
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    if vtable < 0:
        raise ValueError("it is no TFLite file")
    (size,) = struct.unpack_from("<H", data, vtable)
    slot = 4 + 2 * field
    if slot + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", data, vtable + slot)
    return table + int(offset) if offset else 0


def _offset(data: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", data, at)[0])
