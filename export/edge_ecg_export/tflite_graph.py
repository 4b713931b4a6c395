"""A TFLite graph of one subgraph, put together operator by operator and encoded as a flatbuffer.

Batch 1. What makes every runtime accept the files: operator versions of the int8 kernels,
``deprecatedBuiltinCode`` (tflite-runtime 2.14 reads only that), buffer 0 empty, the identifier ``TFL3``, and
the weights inside the flatbuffer (TFLite Micro silently computes garbage when they lie behind it).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import UsageError

from .graph import POOL_SIZE, POOL_STRIDE, WINDOW_SAMPLES, Conv
from .quantised import Affine, Grid, GridConv, QConv

SCHEMA_MODULE = "ai_edge_litert.schema_py_generated"
SCHEMA_VERSION = 3
IDENTIFIER = b"TFL3"
INPUT_NAME = "window"
_LAST_DEPRECATED_CODE = 127  # PLACEHOLDER_FOR_GREATER_OP_CODES


def load_schema() -> Any:
    """Return the classes of the TFLite format; UsageError when LiteRT, which brings them, is missing."""
    try:
        return import_module(SCHEMA_MODULE)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"TFLite files cannot be written: there is no module {SCHEMA_MODULE}.",
            why="The package ai-edge-litert is missing, or its release keeps the schema elsewhere.",
            remedy="pip install 'edge-ecg[export]' 'ai-edge-litert>=2.1'",
        ) from error


class Graph:
    """Collects tensors, buffers and operators of one subgraph; tensors are known by their index."""

    def __init__(self) -> None:
        self.schema = load_schema()
        self.buffers: list[Any] = [self.schema.BufferT()]
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: list[tuple[int, int]] = []

    def input(self) -> int:
        """Add the input: one window."""
        return self.tensor(INPUT_NAME, (1, WINDOW_SAMPLES))

    def image(self, x: int) -> int:
        """Reshape a window to an image of height 1 with one channel."""
        shape = (1, 1, WINDOW_SAMPLES, 1)
        options = self.schema.ReshapeOptionsT()
        options.newShape = list(shape)
        target = self.constant("image_shape", np.array(shape, np.int32))
        return self._operator("RESHAPE", 1, [x, target], self.tensor("image", shape), "Reshape", options)

    def conv(
        self, step: Conv | GridConv | QConv, x: int, weight: int, bias: int, target: Affine | None = None
    ) -> int:
        """Add a convolution; int8 where it has a target."""
        options = self.schema.Conv2DOptionsT()
        options.padding = self.schema.Padding.SAME if any(step.padding) else self.schema.Padding.VALID
        options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
        outputs, _, taps, _ = self._shape(weight)
        steps = self._steps(x) + sum(step.padding) - taps + 1
        y = self.tensor(step.name, (1, 1, steps, outputs), target)
        return self._operator("CONV_2D", 3 if target else 1, [x, weight, bias], y, "Conv2D", options)

    def pool(self, name: str, x: int, target: Affine | None = None) -> int:
        """Add a max-pool; int8 where it has a target."""
        options = self.schema.Pool2DOptionsT()
        options.padding = self.schema.Padding.VALID
        options.strideH, options.strideW = 1, POOL_STRIDE
        options.filterHeight, options.filterWidth = 1, POOL_SIZE
        steps = (self._steps(x) - POOL_SIZE) // POOL_STRIDE + 1
        y = self.tensor(name, (1, 1, steps, self._shape(x)[-1]), target)
        return self._operator("MAX_POOL_2D", 2 if target else 1, [x], y, "Pool2D", options)

    def global_max(self, name: str, x: int, target: Affine | None = None) -> int:
        """Add the maximum over time."""
        return self.reduce("REDUCE_MAX", name, x, target)

    def reduce(
        self, kind: str, name: str, x: int, target: Affine | None = None, *, keep: bool = False
    ) -> int:
        """Reduce time; ``keep`` its axes with one step each."""
        options = self.schema.ReducerOptionsT()
        options.keepDims = keep
        axes = self.constant("time_axes", np.array([1, 2], np.int32))
        channels = self._shape(x)[-1]
        y = self.tensor(name, (1, 1, 1, channels) if keep else (1, channels), target)
        return self._operator(kind, 2 if target else 1, [x, axes], y, "Reducer", options)

    def root(self, name: str, x: int) -> int:
        """Add a square root."""
        return self._operator("SQRT", 1, [x], self.tensor(name, self._shape(x)), "NONE", None)

    def at_least(self, name: str, x: int, bound: float) -> int:
        """Raise smaller values to a bound."""
        return self.maximum(name, x, self.constant(f"{name}.limit", np.array([bound], np.float32)))

    def maximum(self, name: str, a: int, b: int, kind: str = "MAXIMUM") -> int:
        """Add the larger of two values, or the smaller (kind ``MINIMUM``)."""
        options = self.schema.MaximumMinimumOptionsT()
        return self._elementwise(kind, name, a, b, "MaximumMinimum", options)

    def leaky(self, name: str, x: int, slope: float, target: Affine | None = None) -> int:
        """Add a LeakyReLU; int8 where it has a target."""
        options = self.schema.LeakyReluOptionsT()
        options.alpha = slope
        y = self.tensor(name, self._shape(x), target)
        return self._operator("LEAKY_RELU", 2 if target else 1, [x], y, "LeakyRelu", options)

    def quantise(self, name: str, x: int, target: Affine) -> int:
        """Round float values to int8."""
        y = self.tensor(name, self._shape(x), target)
        return self._operator("QUANTIZE", 1, [x], y, "Quantize", self.schema.QuantizeOptionsT())

    def dequantise(self, name: str, x: int) -> int:
        """Turn int8 values into what they stand for."""
        y = self.tensor(name, self._shape(x))
        return self._operator("DEQUANTIZE", 2, [x], y, "Dequantize", self.schema.DequantizeOptionsT())

    def subtract(self, name: str, a: int, b: int) -> int:
        """Add ``a - b``."""
        return self._elementwise("SUB", name, a, b, "Sub", self.schema.SubOptionsT())

    def multiply(self, name: str, a: int, b: int) -> int:
        """Add ``a * b``."""
        return self._elementwise("MUL", name, a, b, "Mul", self.schema.MulOptionsT())

    def add(self, name: str, a: int, b: int) -> int:
        """Add ``a + b``."""
        return self._elementwise("ADD", name, a, b, "Add", self.schema.AddOptionsT())

    def clip(self, name: str, x: int, low: float, high: float) -> int:
        """Saturate below and above."""
        limit = self.constant(f"{name}.minimum.limit", np.array([high], np.float32))
        return self.at_least(f"{name}.maximum", self.maximum(f"{name}.minimum", x, limit, "MINIMUM"), low)

    def round(self, name: str, x: int, grid: Grid) -> int:
        """Round to the multiples of a grid."""
        magic = self.constant(f"{name}.magic", np.array([grid.magic], np.float32))
        return self.subtract(name, self.add(f"{name}.sum", x, magic), magic)

    def concatenate(self, name: str, parts: list[int]) -> int:
        """Join along the last axis."""
        options = self.schema.ConcatenationOptionsT()
        *before, _ = self._shape(parts[0])
        options.axis = len(before)
        shape = (*before, sum(self._shape(part)[-1] for part in parts))
        return self._operator("CONCATENATION", 1, parts, self.tensor(name, shape), "Concatenation", options)

    def constant(
        self, name: str, values: NDArray[np.generic], scales: NDArray[np.float32] | None = None
    ) -> int:
        """Add a tensor with contents; ``scales`` quantise it along its first axis, with zero points 0."""
        kinds = {"float32": "FLOAT32", "int8": "INT8", "int32": "INT32"}
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self.buffers.append(buffer)
        index = self.tensor(name, values.shape)
        tensor = self.tensors[index]
        tensor.type = getattr(self.schema.TensorType, kinds[values.dtype.name])
        tensor.buffer = len(self.buffers) - 1
        if scales is not None:
            tensor.quantization = self._quantisation(scales, np.zeros(len(scales), np.int64))
        return index

    def tensor(self, name: str, shape: tuple[int, ...], target: Affine | None = None) -> int:
        """Add a tensor without contents; int8 where it has a target."""
        tensor = self.schema.TensorT()
        tensor.name = name
        tensor.shape = list(shape)
        tensor.type = self.schema.TensorType.INT8 if target else self.schema.TensorType.FLOAT32
        if target:
            scale = np.array([target.scale], np.float32)
            tensor.quantization = self._quantisation(scale, np.array([target.zero_point], np.int64))
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def encode(self, output: int) -> bytes:
        """Return the file whose output is this tensor."""
        subgraph = self.schema.SubGraphT()
        subgraph.name = "trunk"
        subgraph.tensors, subgraph.operators = self.tensors, self.operators
        subgraph.inputs, subgraph.outputs = [0], [output]
        model = self.schema.ModelT()
        model.version = SCHEMA_VERSION
        model.description = "edge-ecg"
        model.operatorCodes = [self._code(*code) for code in self.codes]
        model.subgraphs, model.buffers = [subgraph], self.buffers
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())

    def _shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(self.tensors[tensor].shape)

    def _steps(self, tensor: int) -> int:
        return self._shape(tensor)[2]

    def _quantisation(self, scales: NDArray[np.float32], zero_points: NDArray[np.int64]) -> Any:
        quantisation = self.schema.QuantizationParametersT()
        quantisation.scale, quantisation.zeroPoint = scales, zero_points
        quantisation.quantizedDimension = 0
        return quantisation

    def _elementwise(self, kind: str, name: str, a: int, b: int, options_name: str, options: Any) -> int:
        shape = np.broadcast_shapes(self._shape(a), self._shape(b))
        return self._operator(kind, 1, [a, b], self.tensor(name, shape), options_name, options)

    def _operator(
        self, kind: str, version: int, inputs: list[int], output: int, options_name: str, options: Any
    ) -> int:
        code = (getattr(self.schema.BuiltinOperator, kind), version)
        if code not in self.codes:
            self.codes.append(code)
        operator = self.schema.OperatorT()
        operator.opcodeIndex = self.codes.index(code)
        operator.inputs, operator.outputs = inputs, [output]
        if options is not None:
            operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, f"{options_name}Options")
            operator.builtinOptions = options
        self.operators.append(operator)
        return output

    def _code(self, builtin: int, version: int) -> Any:
        code = self.schema.OperatorCodeT()
        code.builtinCode = builtin
        code.deprecatedBuiltinCode = min(builtin, _LAST_DEPRECATED_CODE)
        code.version = version
        return code
