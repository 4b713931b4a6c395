"""What an ONNX file may hold before ONNX Runtime sees it, found without a package that reads ONNX.

The runtime is native code that a file can ask for more than arithmetic: weights in other files, operators of
other libraries, loops. An encoder needs none of that. The file is walked as protocol buffers (wire format:
protobuf.dev/programming-guides/encoding; messages and field numbers: onnx/onnx.proto).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

STANDARD_DOMAINS = frozenset({"", "ai.onnx"})
# A file of so many fields is not an encoder but an attempt to keep us busy; a real one has some hundreds.
_MAX_FIELDS = 200_000

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_Value = int | tuple[int, int]

# Field numbers, by message.
_MODEL_GRAPH, _MODEL_OPSETS, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE, _NODE_DOMAIN = 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS = 5, 10
_ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (6, 11), (22, 23)
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_OPSET_DOMAIN = 1


class _Walker:
    """One walk through one file."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._left = _MAX_FIELDS

    def model(self) -> None:
        graphs = 0
        for number, value in self._fields((0, len(self._data))):
            if number == _MODEL_GRAPH:
                graphs += 1
                self._graph(_span(value))
            elif number == _MODEL_OPSETS:
                self._domain(_span(value), _OPSET_DOMAIN)
            elif number == _MODEL_TRAINING:
                raise ValueError("it holds instructions for training")
            elif number == _MODEL_FUNCTIONS:
                raise ValueError("it defines operators of its own")
        if graphs != 1:
            raise ValueError(f"it holds {graphs} graphs")

    def _graph(self, span: tuple[int, int]) -> None:
        visit: dict[int, Callable[[tuple[int, int]], None]] = {
            _GRAPH_NODE: self._node,
            _GRAPH_TENSOR: self._tensor,
        }
        for number, value in self._fields(span):
            if number in visit:
                visit[number](_span(value))
            elif number == _GRAPH_SPARSE:
                raise ValueError("it holds sparse weights")

    def _node(self, span: tuple[int, int]) -> None:
        self._domain(span, _NODE_DOMAIN)
        for number, value in self._fields(span):
            if number == _NODE_ATTRIBUTE:
                self._attribute(_span(value))

    def _attribute(self, span: tuple[int, int]) -> None:
        for number, value in self._fields(span):
            if number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                self._tensor(_span(value))
            elif number in _ATTRIBUTE_GRAPHS:
                raise ValueError("it holds a loop or a branch")
            elif number in _ATTRIBUTE_SPARSE:
                raise ValueError("it holds sparse weights")

    def _tensor(self, span: tuple[int, int]) -> None:
        for number, value in self._fields(span):
            if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value != 0):
                raise ValueError("its weights lie in another file")

    def _domain(self, span: tuple[int, int], field: int) -> None:
        for number, value in self._fields(span):
            if number == field:
                start, end = _span(value)
                domain = self._data[start:end][:100].decode("utf-8", errors="replace")
                if domain not in STANDARD_DOMAINS:
                    raise ValueError(f"it needs operators of the domain {domain!r}, not of ONNX itself")

    def _fields(self, span: tuple[int, int]) -> Iterator[tuple[int, _Value]]:
        at, end = span
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise ValueError(f"it has more than {_MAX_FIELDS} fields")
            tag, at = self._varint(at, end)
            number, kind = tag >> 3, tag & 7
            value: _Value
            if kind == _VARINT:
                value, at = self._varint(at, end)
            else:
                size = {_FIXED64: 8, _FIXED32: 4}.get(kind, 0)
                if kind == _BYTES:
                    size, at = self._varint(at, end)
                elif not size:
                    raise ValueError("it is no ONNX file")
                value, at = (at, at + size), at + size
            if at > end or not number:
                raise ValueError("it is no ONNX file, or cut short")
            yield number, value

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for index in range(10):
            if at + index >= end:
                break
            byte = self._data[at + index]
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                return value, at + index + 1
        raise ValueError("it is no ONNX file, or cut short")


def check_onnx(model: bytes) -> None:
    """Do nothing for a file that holds one graph of ONNX's own operators and all its weights.

    Raises
    ------
    ValueError
        When it is no ONNX file, or holds anything else: weights in other files, operators of other domains
        or of its own, loops and branches, sparse weights, instructions for training.

    """
    _Walker(model).model()


def _span(value: _Value) -> tuple[int, int]:
    if isinstance(value, int):
        raise ValueError("it is no ONNX file")
    return value
