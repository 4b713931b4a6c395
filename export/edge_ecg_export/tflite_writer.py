"""The trunk as TFLite files, fp32 and int8, written with ``flatbuffers`` and LiteRT's generated schema.

Batch 1, float in and out. What makes every runtime accept the files: operator versions of the int8 kernels,
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

from .graph import (
    LEAST_VARIANCE,
    POOL_SIZE,
    POOL_STRIDE,
    SLOPE,
    WINDOW_SAMPLES,
    Conv,
    GlobalMax,
    GlobalStats,
    Leaky,
    Pool,
    Trunk,
)
from .quantised import (
    MAGNIFY,
    Affine,
    Digits,
    Grid,
    GridConv,
    QConv,
    QGlobalMax,
    QGlobalStats,
    QLeaky,
    QPool,
    QuantisedTrunk,
)

SCHEMA_MODULE = "ai_edge_litert.schema_py_generated"
SCHEMA_VERSION = 3
IDENTIFIER = b"TFL3"
INPUT_NAME, OUTPUT_NAME = "window", "embedding"
_LAST_DEPRECATED_CODE = 127  # PLACEHOLDER_FOR_GREATER_OP_CODES


def fp32_tflite(trunk: Trunk) -> bytes:
    """Return the float trunk as a TFLite file: ``window`` (1, 2560) to ``embedding`` (1, d)."""
    graph = _Graph()
    x = graph.image(graph.input())
    for step in trunk.steps:
        match step:
            case Conv():
                weight = graph.constant(f"{step.name}.weight", _ohwi(step.weight))
                bias = graph.constant(f"{step.name}.bias", step.bias)
                x = graph.conv(step, x, weight, bias)
            case Pool():
                x = graph.pool(step.name, x)
            case GlobalMax():
                x = graph.global_max(step.name, x)
            case Leaky():
                last = step is trunk.steps[-1]
                x = graph.leaky(OUTPUT_NAME if last else step.name, x, SLOPE)
            case GlobalStats():
                x = _stats(graph, step.name, x)
    return graph.encode(x)


def int8_tflite(trunk: QuantisedTrunk) -> bytes:
    """Return the int8 trunk as a TFLite file with float input and output."""
    graph = _Graph()
    x = graph.image(graph.input())
    for step in trunk.steps:
        match step:
            case Grid():
                if step.reach is not None:
                    x = graph.clip(f"{step.name}.clip", x, -step.reach, step.reach)
                x = graph.round(step.name, x, step)
            case GridConv():
                weight = graph.constant(f"{step.name}.weight", _ohwi(step.weight))
                x = graph.conv(step, x, weight, graph.constant(f"{step.name}.bias", step.bias))
            case Pool():
                x = graph.pool(step.name, x)
            case Leaky():
                x = graph.leaky(step.name, x, SLOPE)
            case Digits():
                x = _digits(graph, step, x)
            case QConv():
                weight = graph.constant(f"{step.name}.weight", _ohwi(step.weight), step.weight_scales)
                bias = graph.constant(f"{step.name}.bias", step.bias, step.bias_scales)
                x = graph.conv(step, x, weight, bias, step.target)
            case QPool():
                x = graph.pool(step.name, x, step.tensor)
            case QGlobalMax():
                x = graph.dequantise("maxima", graph.global_max(step.name, x, step.tensor))
            case QGlobalStats():
                x = _whole_stats(graph, step, x)
            case QLeaky():
                x = graph.leaky(step.name, x, step.slope, step.target)
    maxima = isinstance(trunk.pool, QGlobalMax)
    x = graph.multiply("scaled", x, graph.constant("gain", trunk.gain[None]))
    x = graph.add("shifted" if maxima else OUTPUT_NAME, x, graph.constant("offset", trunk.offset[None]))
    return graph.encode(graph.leaky(OUTPUT_NAME, x, SLOPE) if maxima else x)


def _stats(graph: _Graph, name: str, x: int) -> int:
    """Pool (1, 1, steps, 128) as (1, 384)."""
    largest = graph.global_max(f"{name}.max", x)
    mean = graph.reduce("MEAN", f"{name}.mean", x)
    # Kept as (1, 1, 1, 128) beside the flat one, to be taken from all steps.
    rest = graph.subtract(f"{name}.rest", x, graph.reduce("MEAN", f"{name}.mean.kept", x, keep=True))
    variance = graph.reduce("MEAN", f"{name}.mean_square", graph.multiply(f"{name}.square", rest, rest))
    deviation = graph.root(f"{name}.std", graph.at_least(f"{name}.variance", variance, LEAST_VARIANCE))
    return graph.concatenate(OUTPUT_NAME, [largest, mean, deviation])


def _whole_stats(graph: _Graph, step: QGlobalStats, x: int) -> int:
    """Pool int8 whole numbers (1, 1, steps, 128) as float (1, 384); sums are exact in any order."""
    name = step.name
    share = graph.constant(f"{name}.share", np.array([step.share], np.float32))
    largest = graph.global_max(f"{name}.max", x, step.leaky.source)
    largest = graph.leaky(f"{name}.max.leaky", graph.dequantise(f"{name}.max.float", largest), SLOPE)
    whole = graph.leaky(step.leaky.name, x, step.leaky.slope, step.leaky.target)
    whole = graph.dequantise(f"{name}.whole", whole)
    total = graph.reduce("SUM", f"{name}.sum", whole)
    squares = graph.reduce("SUM", f"{name}.sum_square", graph.multiply(f"{name}.square", whole, whole))
    mean = graph.multiply(f"{name}.mean", total, share)
    square = graph.multiply(f"{name}.mean_square", squares, share)
    variance = graph.subtract(f"{name}.difference", square, graph.multiply(f"{name}.square_mean", mean, mean))
    variance = graph.at_least(f"{name}.variance", variance, 0.0)
    grid, magnify = step.root_grid, graph.constant(f"{name}.magnify", np.array([MAGNIFY], np.float32))
    near = graph.round(f"{name}.near", graph.root(f"{name}.root", variance), grid)
    beyond = graph.subtract(f"{name}.beyond", variance, graph.multiply(f"{name}.near2", near, near))
    beyond = graph.multiply(f"{name}.beyond.magnified", beyond, magnify)
    down = graph.clip(f"{name}.down", beyond, -grid.step, 0.0)
    return graph.concatenate(name, [largest, mean, graph.add(f"{name}.std", near, down)])


def _digits(graph: _Graph, step: Digits, x: int) -> int:
    rounded = graph.quantise(f"{step.name}.rounded", x, step.tensor)
    rounded = graph.dequantise(f"{step.name}.rounded.float", rounded)
    residue = graph.subtract(f"{step.name}.residue", x, rounded)
    digits = [x]
    for gain in step.gains:
        factor = graph.constant(f"{step.name}.gain{gain}", np.array([gain], np.float32))
        digits.append(graph.multiply(f"{step.name}.residue{gain}", residue, factor))
    return graph.quantise(step.name, graph.concatenate(f"{step.name}.float", digits), step.tensor)


def _ohwi(weight: NDArray[np.generic]) -> NDArray[np.generic]:
    """(outputs, inputs, taps) to TFLite's (outputs, 1, taps, inputs)."""
    return weight.transpose(0, 2, 1)[:, None]


def _load_schema() -> Any:
    try:
        return import_module(SCHEMA_MODULE)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"TFLite files cannot be written: there is no module {SCHEMA_MODULE}.",
            why="The package ai-edge-litert is missing, or its release keeps the schema elsewhere.",
            remedy="pip install 'edge-ecg[export]' 'ai-edge-litert>=2.1'",
        ) from error


class _Graph:
    """Collects tensors, buffers and operators of one subgraph; tensors are known by their index."""

    def __init__(self) -> None:
        self.schema = _load_schema()
        self.buffers: list[Any] = [self.schema.BufferT()]
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: list[tuple[int, int]] = []

    def input(self) -> int:
        return self.tensor(INPUT_NAME, (1, WINDOW_SAMPLES))

    def image(self, x: int) -> int:
        shape = (1, 1, WINDOW_SAMPLES, 1)
        options = self.schema.ReshapeOptionsT()
        options.newShape = list(shape)
        target = self.constant("image_shape", np.array(shape, np.int32))
        return self._operator("RESHAPE", 1, [x, target], self.tensor("image", shape), "Reshape", options)

    def conv(
        self, step: Conv | GridConv | QConv, x: int, weight: int, bias: int, target: Affine | None = None
    ) -> int:
        options = self.schema.Conv2DOptionsT()
        options.padding = self.schema.Padding.SAME if any(step.padding) else self.schema.Padding.VALID
        options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
        outputs, _, taps, _ = self._shape(weight)
        steps = self._steps(x) + sum(step.padding) - taps + 1
        y = self.tensor(step.name, (1, 1, steps, outputs), target)
        return self._operator("CONV_2D", 3 if target else 1, [x, weight, bias], y, "Conv2D", options)

    def pool(self, name: str, x: int, target: Affine | None = None) -> int:
        options = self.schema.Pool2DOptionsT()
        options.padding = self.schema.Padding.VALID
        options.strideH, options.strideW = 1, POOL_STRIDE
        options.filterHeight, options.filterWidth = 1, POOL_SIZE
        steps = (self._steps(x) - POOL_SIZE) // POOL_STRIDE + 1
        y = self.tensor(name, (1, 1, steps, self._shape(x)[-1]), target)
        return self._operator("MAX_POOL_2D", 2 if target else 1, [x], y, "Pool2D", options)

    def global_max(self, name: str, x: int, target: Affine | None = None) -> int:
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
        return self._operator("SQRT", 1, [x], self.tensor(name, self._shape(x)), "NONE", None)

    def at_least(self, name: str, x: int, bound: float) -> int:
        return self._bound("MAXIMUM", name, x, bound)

    def _bound(self, kind: str, name: str, x: int, bound: float) -> int:
        limit = self.constant(f"{name}.limit", np.array([bound], np.float32))
        options = self.schema.MaximumMinimumOptionsT()
        return self._elementwise(kind, name, x, limit, "MaximumMinimum", options)

    def leaky(self, name: str, x: int, slope: float, target: Affine | None = None) -> int:
        options = self.schema.LeakyReluOptionsT()
        options.alpha = slope
        y = self.tensor(name, self._shape(x), target)
        return self._operator("LEAKY_RELU", 2 if target else 1, [x], y, "LeakyRelu", options)

    def quantise(self, name: str, x: int, target: Affine) -> int:
        y = self.tensor(name, self._shape(x), target)
        return self._operator("QUANTIZE", 1, [x], y, "Quantize", self.schema.QuantizeOptionsT())

    def dequantise(self, name: str, x: int) -> int:
        y = self.tensor(name, self._shape(x))
        return self._operator("DEQUANTIZE", 2, [x], y, "Dequantize", self.schema.DequantizeOptionsT())

    def subtract(self, name: str, a: int, b: int) -> int:
        return self._elementwise("SUB", name, a, b, "Sub", self.schema.SubOptionsT())

    def multiply(self, name: str, a: int, b: int) -> int:
        return self._elementwise("MUL", name, a, b, "Mul", self.schema.MulOptionsT())

    def add(self, name: str, a: int, b: int) -> int:
        return self._elementwise("ADD", name, a, b, "Add", self.schema.AddOptionsT())

    def clip(self, name: str, x: int, low: float, high: float) -> int:
        return self.at_least(f"{name}.maximum", self._bound("MINIMUM", f"{name}.minimum", x, high), low)

    def round(self, name: str, x: int, grid: Grid) -> int:
        magic = self.constant(f"{name}.magic", np.array([grid.magic], np.float32))
        return self.subtract(name, self.add(f"{name}.sum", x, magic), magic)

    def concatenate(self, name: str, parts: list[int]) -> int:
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
