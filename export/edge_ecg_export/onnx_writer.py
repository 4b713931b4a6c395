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
    EMBEDDING,
    LAST_STEPS,
    POOL_SIZE,
    POOL_STRIDE,
    SLOPE,
    WINDOW_SAMPLES,
    Conv,
    GlobalMax,
    Leaky,
    Pool,
    Trunk,
)
from .quantised import Affine, Digits, Grid, GridConv, QConv, QGlobalMax, QLeaky, QPool, QuantisedTrunk

OPSET = 18
IR_VERSION = 9
INPUT_NAME, OUTPUT_NAME = "window", "embedding"
_BATCH = "n"


def fp32_onnx(trunk: Trunk) -> bytes:
    """Return the float trunk as an ONNX file: ``window`` (n, 2560) to ``embedding`` (n, 128)."""
    graph = _Graph()
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
    graph.add("Reshape", [x, graph.constant("flat_shape", [0, EMBEDDING])], OUTPUT_NAME)
    return graph.encode()


def int8_onnx(trunk: QuantisedTrunk) -> bytes:
    """Return the int8 trunk as an ONNX file with float input and output.

    Every int8 step stands between DequantizeLinear and QuantizeLinear, which ONNX Runtime fuses into its
    integer kernels.
    """
    graph = _Graph()
    x = graph.image()
    for step in trunk.steps:
        name = step.name
        match step:
            case Grid():
                if step.reach is not None:
                    low = graph.constant(f"{name}.low", np.float32(-step.reach))
                    high = graph.constant(f"{name}.high", np.float32(step.reach))
                    x = graph.add("Clip", [x, low, high], f"{name}.clip")
                magic = graph.constant(f"{name}.magic", np.float32(step.magic))
                x = graph.add("Sub", [graph.add("Add", [x, magic], f"{name}.sum"), magic], name)
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
                x = graph.dequantise(x, f"{name}.in", step.source)
                x = graph.add("LeakyRelu", [x], name, alpha=step.slope)
                x = graph.quantise(x, name, step.target)
            case QGlobalMax():
                # A pool over all steps has an int8 kernel; GlobalMaxPool has none.
                x = graph.dequantise(x, f"{name}.in", step.tensor)
                x = graph.add("MaxPool", [x], name, kernel_shape=[1, LAST_STEPS], strides=[1, LAST_STEPS])
                x = graph.dequantise(graph.quantise(x, name, step.tensor), f"{name}.out", step.tensor)
    x = graph.add("Reshape", [x, graph.constant("flat_shape", [0, EMBEDDING])], "flat")
    x = graph.add("Mul", [x, graph.constant("gain", trunk.gain)], "scaled")
    x = graph.add("Add", [x, graph.constant("offset", trunk.offset)], "shifted")
    graph.add("LeakyRelu", [x], OUTPUT_NAME, alpha=SLOPE)
    return graph.encode()


_POOL = {"kernel_shape": [1, POOL_SIZE], "strides": [1, POOL_STRIDE]}


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

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: ArrayLike) -> str:
        array = np.asarray(values)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def image(self) -> str:
        shape = self.constant("image_shape", np.array([0, 1, 1, WINDOW_SAMPLES]))
        return self.add("Reshape", [INPUT_NAME, shape], "image")

    def conv(self, step: Conv | GridConv, x: str) -> str:
        weight = self.constant(f"{step.name}.weight", step.weight[:, :, None, :])
        bias = self.constant(f"{step.name}.bias", step.bias)
        return self.add("Conv", [x, weight, bias], step.name, **_conv_attributes(step))

    def add(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

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
        made = helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, [_BATCH, EMBEDDING])
        graph = helper.make_graph(self.nodes, "trunk", [given], [made], self.constants)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="edge-ecg",
        )
        return bytes(model.SerializeToString())
