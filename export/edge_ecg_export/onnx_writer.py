"""The trunk as ONNX files, fp32 and int8 (QDQ), written with nothing but the ``onnx`` package.

Convolutions are written as images of height 1: ONNX Runtime's fast float kernels serve only two-dimensional
ones (1-D takes 1.7 times as long), and int8 does not care. The batch dimension is free.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

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
    QMIN,
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

OPSET = 18
IR_VERSION = 9
INPUT_NAME, OUTPUT_NAME = "window", "embedding"
_BATCH = "n"


def fp32_onnx(trunk: Trunk) -> bytes:
    """Return the float trunk as an ONNX file: ``window`` (n, 2560) to ``embedding`` (n, d)."""
    graph = _Graph(trunk.embedding)
    x = graph.image()
    for step in trunk.steps:
        match step:
            case Conv():
                x = graph.conv(step, x)
            case Pool():
                x = graph.add("MaxPool", [x], step.name, **_POOL)
            case GlobalMax():
                x = graph.add("GlobalMaxPool", [x], step.name)
            case Leaky():
                x = graph.add("LeakyRelu", [x], step.name, alpha=SLOPE)
            case GlobalStats():
                x = _stats(graph, step.name, x)
    graph.flatten(x, OUTPUT_NAME)
    return graph.encode()


def int8_onnx(trunk: QuantisedTrunk) -> bytes:
    """Return the int8 trunk as an ONNX file with float input and output.

    Every int8 step stands between DequantizeLinear and QuantizeLinear, which ONNX Runtime fuses into its
    integer kernels.
    """
    graph = _Graph(trunk.embedding)
    x = graph.image()
    for step in trunk.steps:
        name = step.name
        match step:
            case Grid():
                if step.reach is not None:
                    x = graph.clip(name, x, -step.reach, step.reach)
                x = graph.round(name, x, step)
            case GridConv():
                x = graph.conv(step, x)
            case Pool():
                x = graph.add("MaxPool", [x], name, **_POOL)
            case Leaky():
                x = graph.add("LeakyRelu", [x], name, alpha=SLOPE)
            case Digits():
                x = _digits(graph, step, x)
            case QConv():
                inputs = [graph.dequantise(x, f"{name}.in", step.source), *_int8_weights(graph, step)]
                x = graph.add("Conv", inputs, name, **_conv_attributes(step))
                x = graph.quantise(x, name, step.target)
            case QPool():
                x = graph.add("MaxPool", [graph.dequantise(x, f"{name}.in", step.tensor)], name, **_POOL)
                x = graph.quantise(x, name, step.tensor)
            case QLeaky():
                x = _leaky(graph, step, x)
            case QGlobalMax():
                x = graph.largest(name, x, step.tensor, step.steps)
            case QGlobalStats():
                x = _whole_stats(graph, step, x)
    x = graph.flatten(x, "flat")
    x = graph.add("Mul", [x, graph.constant("gain", trunk.gain)], "scaled")
    maxima = isinstance(trunk.pool, QGlobalMax)
    x = graph.add("Add", [x, graph.constant("offset", trunk.offset)], "shifted" if maxima else OUTPUT_NAME)
    if maxima:
        graph.add("LeakyRelu", [x], OUTPUT_NAME, alpha=SLOPE)
    return graph.encode()


_POOL = {"kernel_shape": [1, POOL_SIZE], "strides": [1, POOL_STRIDE]}


def _stats(graph: _Graph, name: str, x: str) -> str:
    """Pool (n, 128, 1, steps) as (n, 384, 1, 1)."""
    axis = graph.constant(f"{name}.axis", np.array([3]))
    least = graph.constant(f"{name}.least", np.float32(LEAST_VARIANCE))
    largest = graph.add("GlobalMaxPool", [x], f"{name}.max")
    mean = graph.add("ReduceMean", [x, axis], f"{name}.mean")
    rest = graph.add("Sub", [x, mean], f"{name}.rest")
    square = graph.add("Mul", [rest, rest], f"{name}.square")
    variance = graph.add("ReduceMean", [square, axis], f"{name}.mean_square")
    variance = graph.add("Max", [variance, least], f"{name}.variance")
    deviation = graph.add("Sqrt", [variance], f"{name}.std")
    return graph.add("Concat", [largest, mean, deviation], name, axis=1)


def _whole_stats(graph: _Graph, step: QGlobalStats, x: str) -> str:
    """Pool int8 whole numbers (n, 128, 1, steps) as float (n, 384, 1, 1): see ``QGlobalStats``."""
    name, grid = step.name, step.root_grid

    def op(kind: str, part: str, *inputs: str, **attributes: object) -> str:
        return graph.add(kind, list(inputs), f"{name}.{part}", **attributes)

    def number(part: str, value: float) -> str:
        return graph.constant(f"{name}.{part}", np.float32(value))

    axis = graph.constant(f"{name}.axis", np.array([3]))
    share, zero = number("share", step.share), graph.constant(f"{name}.zero", step.zero[:, None, None])
    floor = graph.constant(f"{name}.floor", -step.zero[:, None, None])

    def mean_and_variance(part: str, values: str) -> tuple[str, str]:
        mean = op("Mul", f"{part}.mean", op("ReduceSum", f"{part}.sum", values, axis), share)
        squares = op("ReduceSumSquare", f"{part}.squares", values, axis)
        square = op("Mul", f"{part}.square", squares, share)
        return mean, op("Sub", f"{part}.variance", square, op("Mul", f"{part}.mean2", mean, mean))

    # ONNX Runtime computes conv6 in int8 only if what follows the dequantised values is one operation, so
    # this maximum stands there, which changes nothing.
    q = op("Max", "q", graph.dequantise(x, f"{name}.in", step.tensor), number("least", QMIN))
    mean_q, variance_q = mean_and_variance("q", q)
    mean_m, variance_m = mean_and_variance("m", op("Max", "m", q, floor))
    positive = op("Add", "positive", mean_m, zero)
    four_times = op("Mul", "positive4", number("four", 4.0), positive)
    mean = op("Add", "mean", op("Add", "negative", mean_q, zero), four_times)
    spread = op("Add", "spread", variance_q, op("Mul", "spread_m", number("24", 24.0), variance_m))
    between = op("Mul", "between", op("Sub", "distance", mean_m, mean_q), positive)
    variance = op("Add", "variance", spread, op("Mul", "between8", number("eight", 8.0), between))
    assert grid.reach is not None
    variance = graph.clip(f"{name}.variance", variance, 0.0, grid.reach**2)
    near = graph.round(f"{name}.near", op("Sqrt", "root", variance), grid)
    beyond = op("Sub", "beyond", variance, op("Mul", "near2", near, near))
    beyond = op("Mul", "beyond.magnified", beyond, number("magnify", MAGNIFY))
    deviation = op("Add", "std", near, graph.clip(f"{name}.down", beyond, -grid.step, 0.0))
    largest = op("Add", "max.shifted", op("ReduceMax", "max", q, axis), zero)
    largest = op("LeakyRelu", "max.leaky", largest, alpha=SLOPE)
    return graph.add("Concat", [largest, mean, deviation], name, axis=1)


def _leaky(graph: _Graph, step: QLeaky, x: str) -> str:
    x = graph.dequantise(x, f"{step.name}.in", step.source)
    x = graph.add("LeakyRelu", [x], step.name, alpha=step.slope)
    return graph.quantise(x, step.name, step.target)


def _conv_attributes(step: Conv | GridConv | QConv) -> dict[str, list[int]]:
    left, right = step.padding
    return {"kernel_shape": [1, step.weight.shape[2]], "pads": [0, left, 0, right]}


def _digits(graph: _Graph, step: Digits, x: str) -> str:
    rounded = graph.quantise(x, f"{step.name}.rounded", step.tensor)
    rounded = graph.dequantise(rounded, f"{step.name}.rounded", step.tensor)
    residue = graph.add("Sub", [x, rounded], f"{step.name}.residue")
    digits = [x]
    for gain in step.gains:
        factor = graph.constant(f"{step.name}.gain{gain}", np.float32(gain))
        digits.append(graph.add("Mul", [residue, factor], f"{step.name}.residue{gain}"))
    return graph.quantise(graph.add("Concat", digits, step.name, axis=1), step.name, step.tensor)


def _int8_weights(graph: _Graph, step: QConv) -> list[str]:
    weight = graph.constant(f"{step.name}.weight", step.weight[:, :, None, :])
    bias = graph.constant(f"{step.name}.bias", step.bias)
    return [
        graph.dequantise_channels(weight, step.weight_scales, np.int8),
        graph.dequantise_channels(bias, step.bias_scales, np.int32),
    ]


class _Graph:
    """Collects nodes and constants; every value is named after the step that makes it."""

    def __init__(self, embedding: int) -> None:
        self.embedding = embedding
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: ArrayLike) -> str:
        array = np.asarray(values)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def image(self) -> str:
        shape = self.constant("image_shape", np.array([0, 1, 1, WINDOW_SAMPLES]))
        return self.add("Reshape", [INPUT_NAME, shape], "image")

    def flatten(self, x: str, name: str) -> str:
        return self.add("Reshape", [x, self.constant("flat_shape", [0, self.embedding])], name)

    def conv(self, step: Conv | GridConv, x: str) -> str:
        weight = self.constant(f"{step.name}.weight", step.weight[:, :, None, :])
        bias = self.constant(f"{step.name}.bias", step.bias)
        return self.add("Conv", [x, weight, bias], step.name, **_conv_attributes(step))

    def add(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def clip(self, name: str, x: str, low: float, high: float) -> str:
        bounds = [
            self.constant(f"{name}.{side}", np.float32(bound))
            for side, bound in (("low", low), ("high", high))
        ]
        return self.add("Clip", [x, *bounds], f"{name}.clip")

    def round(self, name: str, x: str, grid: Grid) -> str:
        magic = self.constant(f"{name}.magic", np.float32(grid.magic))
        return self.add("Sub", [self.add("Add", [x, magic], f"{name}.sum"), magic], name)

    def largest(self, name: str, x: str, tensor: Affine, steps: int) -> str:
        """Maxima of int8 values, as float: a pool over all steps has an int8 kernel, GlobalMaxPool none."""
        x = self.dequantise(x, f"{name}.in", tensor)
        x = self.add("MaxPool", [x], name, kernel_shape=[1, steps], strides=[1, steps])
        return self.dequantise(self.quantise(x, name, tensor), f"{name}.out", tensor)

    def quantise(self, value: str, name: str, tensor: Affine) -> str:
        return self.add("QuantizeLinear", [value, *self._affine(f"{name}.q", tensor)], f"{name}.int8")

    def dequantise(self, value: str, name: str, tensor: Affine) -> str:
        return self.add("DequantizeLinear", [value, *self._affine(f"{name}.dq", tensor)], f"{name}.float")

    def dequantise_channels(self, value: str, scales: ArrayLike, zero: type[np.generic]) -> str:
        scale = self.constant(f"{value}.scale", scales)
        zeros = self.constant(f"{value}.zero", np.zeros(np.shape(scales), zero))
        return self.add("DequantizeLinear", [value, scale, zeros], f"{value}.float", axis=0)

    def _affine(self, name: str, tensor: Affine) -> list[str]:
        scale = self.constant(f"{name}.scale", np.float32(tensor.scale))
        return [scale, self.constant(f"{name}.zero", np.int8(tensor.zero_point))]

    def encode(self) -> bytes:
        given = helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [_BATCH, WINDOW_SAMPLES])
        made = helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, [_BATCH, self.embedding])
        graph = helper.make_graph(self.nodes, "trunk", [given], [made], self.constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="edge-ecg",
        )
        return bytes(model.SerializeToString())
