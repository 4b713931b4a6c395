"""The trunk as ONNX files, fp32 and int8 (QDQ), written with nothing but the ``onnx`` package.

Convolutions are written as images of height 1: ONNX Runtime's fast float kernels serve only two-dimensional
ones (1-D takes 1.7 times as long), and int8 does not care. The batch dimension is free.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from .graph import EMBEDDING, POOL_SIZE, POOL_STRIDE, SLOPE, WINDOW_SAMPLES, Conv, GlobalMax, Leaky, Pool, Trunk
from .quantised import INPUT, RESIDUE_GAINS, Affine, QConv, QGlobalMax, QLeaky, QPool, QuantisedTrunk

OPSET = 18
IR_VERSION = 9
INPUT_NAME, OUTPUT_NAME = "window", "embedding"
_BATCH = "n"


def fp32_onnx(trunk: Trunk) -> bytes:
    """Return the float trunk as an ONNX file: ``window`` (n, 2560) to ``embedding`` (n, 128)."""
    graph = _Graph()
    x = graph.add("Reshape", [INPUT_NAME, graph.constant("image_shape", [0, 1, 1, WINDOW_SAMPLES])])
    for step in trunk.steps:
        match step:
            case Conv():
                weight = graph.constant(f"{step.name}.weight", step.weight[:, :, None, :])
                bias = graph.constant(f"{step.name}.bias", step.bias)
                x = graph.add("Conv", [x, weight, bias], step.name, **_conv_attributes(step))
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
    x = graph.add("Reshape", [INPUT_NAME, graph.constant("image_shape", [0, 1, 1, WINDOW_SAMPLES])])
    rounded = graph.dequantise(graph.quantise(x, "rounded", INPUT), "rounded", INPUT)
    residue = graph.add("Sub", [x, rounded], "residue")
    gains = graph.constant("residue_gains", np.array(RESIDUE_GAINS, np.float32)[None, :, None, None])
    digits = graph.add("Concat", [x, graph.add("Mul", [residue, gains], "residues")], "digits", axis=1)
    x = graph.quantise(digits, "digits", INPUT)
    for step in trunk.steps:
        name = step.name
        match step:
            case QConv():
                inputs = [graph.dequantise(x, f"{name}.in", step.source), *_int8_weights(graph, step)]
                x = graph.add("Conv", inputs, name, **_conv_attributes(step))
                x = graph.quantise(x, name, step.target)
            case QPool():
                x = graph.add("MaxPool", [graph.dequantise(x, f"{name}.in", step.tensor)], name, **_POOL)
                x = graph.quantise(x, name, step.tensor)
            case QLeaky():
                x = graph.add(
                    "LeakyRelu", [graph.dequantise(x, f"{name}.in", step.source)], name, alpha=step.slope
                )
                x = graph.quantise(x, name, step.target)
            case QGlobalMax():
                # A pool over all steps has an int8 kernel; GlobalMaxPool has none.
                steps = _LAST_STEPS
                x = graph.add(
                    "MaxPool",
                    [graph.dequantise(x, f"{name}.in", step.tensor)],
                    name,
                    kernel_shape=[1, steps],
                    strides=[1, steps],
                )
                x = graph.dequantise(graph.quantise(x, name, step.tensor), f"{name}.out", step.tensor)
    x = graph.add("Reshape", [x, graph.constant("flat_shape", [0, EMBEDDING])], "flat")
    x = graph.add("Mul", [x, graph.constant("gain", trunk.gain)], "scaled")
    x = graph.add("Add", [x, graph.constant("offset", trunk.offset)], "shifted")
    graph.add("LeakyRelu", [x], OUTPUT_NAME, alpha=SLOPE)
    return graph.encode()


_POOL = {"kernel_shape": [1, POOL_SIZE], "strides": [1, POOL_STRIDE]}
_LAST_STEPS = 635


def _conv_attributes(step: Conv | QConv) -> dict[str, list[int]]:
    left, right = step.padding
    return {"kernel_shape": [1, step.weight.shape[2]], "pads": [0, left, 0, right]}


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

    def add(self, kind: str, inputs: list[str], output: str | None = None, **attributes: object) -> str:
        output = output or kind.lower()
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
