"""A Transformer encoder as an ONNX graph, written from its parameters with nothing but the ``onnx`` package.

PyTorch's own exporter gives the same function (a test compares the two), but takes half a minute, wants a
further package, and spreads the attention's products over nodes without names; here every product that may be
quantised has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_ecg_train.networks import WINDOW_SAMPLES
from edge_ecg_train.transformer.network import DECIMATION, TransformerConfig, TransformerNetwork

from .onnx_writer import INPUT_NAME, IR_VERSION, OPSET, OUTPUT_NAME

FILTER_NODE = "decimate"
"""The filter in front; never quantised."""
_BATCH = "n"
_NORM_EPSILON = 1e-5
_LEAST_VARIANCE = 1e-8

Arrays = dict[str, NDArray[np.float32]]


def transformer_onnx(network: TransformerNetwork) -> bytes:
    """Return the encoder as an ONNX file: ``window`` (n, 2560) to ``embedding`` (n, d), n free."""
    config = network.config
    arrays: Arrays = {
        name: np.asarray(value.detach().cpu().float().numpy()) for name, value in network.state_dict().items()
    }
    graph = _Graph(arrays)
    x = graph.add("Unsqueeze", [INPUT_NAME, graph.integers("axes", [1, 2])], "image")
    fir = graph.constant("fir", network.fir.cpu().numpy())
    taps = network.fir.shape[-1]
    x = graph.add("Conv", [x, fir], FILTER_NODE, **_image(taps, DECIMATION))
    x = _convolutions(graph, config, x)
    x = _with_cls(graph, x, network.positions.cpu().numpy())
    for index in range(config.layers):
        x = _layer(graph, config, f"layers.{index}", x)
    _pool(graph, config, x)
    return graph.encode(config.embedding)


def product_nodes(config: TransformerConfig) -> tuple[str, ...]:
    """Return the names of the nodes that multiply by parameters: convolutions and the layers' dense parts."""
    convs = [f"convs.{index}" for index in range(len(config.taps))]
    parts = ("query", "key", "value", "out", "dense1", "dense2")
    return (*convs, *(f"layers.{index}.{part}" for index in range(config.layers) for part in parts))


def relu_of(convolution: str) -> str:
    """Return the name of the node that rectifies a convolution's result."""
    return f"{convolution}.relu"


def _convolutions(graph: _Graph, config: TransformerConfig, x: str) -> str:
    for index, (taps, stride) in enumerate(zip(config.taps, config.strides, strict=True)):
        name = f"convs.{index}"
        inputs = [x, graph.parameter(f"{name}.conv.weight"), graph.parameter(f"{name}.conv.bias")]
        x = graph.add("Relu", [graph.add("Conv", inputs, name, **_image(taps, stride))], relu_of(name))
        x = graph.norm(graph.add("Transpose", [x], f"{name}.last", perm=[0, 2, 3, 1]), f"{name}.norm")
        if index < len(config.taps) - 1:
            x = graph.add("Transpose", [x], f"{name}.first", perm=[0, 3, 1, 2])
    return graph.add("Squeeze", [x, graph.integers("height", [1])], "tokens")


def _with_cls(graph: _Graph, x: str, positions: NDArray[np.float32]) -> str:
    batch = graph.add("Shape", [x], "batch", start=0, end=1)
    one = graph.add(
        "Concat", [batch, graph.integers("one_token", [1, positions.shape[1]])], "cls.shape", axis=0
    )
    cls = graph.add("Expand", [graph.parameter("cls"), one], "cls.expanded")
    x = graph.add("Concat", [cls, x], "with_cls", axis=1)
    return graph.add("Add", [x, graph.constant("positions", positions)], "placed")


def _layer(graph: _Graph, config: TransformerConfig, name: str, x: str) -> str:
    """One post-norm encoder layer (Vaswani et al. 2017, section 3)."""
    each = config.width // config.heads
    weights = np.split(graph.arrays[f"{name}.self_attn.in_proj_weight"], 3)
    biases = np.split(graph.arrays[f"{name}.self_attn.in_proj_bias"], 3)
    # The scores' division by sqrt(d) is carried out on the queries' parameters.
    sharpness = np.float32(1.0 / np.sqrt(each))
    weights[0], biases[0] = weights[0] * sharpness, biases[0] * sharpness
    split = graph.integers("heads", [0, 0, config.heads, each])
    placed = []
    for part, weight, bias, order in zip(
        ("query", "key", "value"), weights, biases, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True
    ):
        dense = graph.dense(x, f"{name}.{part}", weight, bias)
        heads = graph.add("Reshape", [dense, split], f"{name}.{part}.heads")
        placed.append(graph.add("Transpose", [heads], f"{name}.{part}.placed", perm=order))
    query, key, value = placed
    scores = graph.add("MatMul", [query, key], f"{name}.scores")
    attention = graph.add("Softmax", [scores], f"{name}.attention", axis=-1)
    seen = graph.add("MatMul", [attention, value], f"{name}.seen")
    seen = graph.add("Transpose", [seen], f"{name}.seen.placed", perm=[0, 2, 1, 3])
    seen = graph.add("Reshape", [seen, graph.integers("width", [0, 0, config.width])], f"{name}.seen.joined")
    seen = graph.dense(seen, f"{name}.out", *graph.linear(f"{name}.self_attn.out_proj"))
    x = graph.norm(graph.add("Add", [x, seen], f"{name}.sum1"), f"{name}.norm1")
    hidden = graph.dense(x, f"{name}.dense1", *graph.linear(f"{name}.linear1"))
    hidden = graph.add("Relu", [hidden], f"{name}.relu")
    hidden = graph.dense(hidden, f"{name}.dense2", *graph.linear(f"{name}.linear2"))
    return graph.norm(graph.add("Add", [x, hidden], f"{name}.sum2"), f"{name}.norm2")


def _pool(graph: _Graph, config: TransformerConfig, x: str) -> None:
    if config.pooling == "cls":
        graph.add("Gather", [x, graph.constant("zero", np.int64(0))], OUTPUT_NAME, axis=1)
        return
    axis = graph.integers("token_axis", [1])
    ends = (graph.integers("after_cls", [1]), graph.integers("end", [config.tokens + 1]), axis)
    x = graph.add("Slice", [x, *ends], "without_cls")
    if config.pooling == "mean":
        graph.add("ReduceMean", [x, axis], OUTPUT_NAME, keepdims=0)
        return
    mean = graph.add("ReduceMean", [x, axis], "mean", keepdims=1)
    apart = graph.add("Sub", [x, mean], "apart")
    variance = graph.add(
        "ReduceMean", [graph.add("Mul", [apart, apart], "square"), axis], "variance", keepdims=0
    )
    least = graph.constant("least_variance", np.float32(_LEAST_VARIANCE))
    sd = graph.add("Sqrt", [graph.add("Max", [variance, least], "clamped")], "sd")
    flat = graph.add("Squeeze", [mean, axis], "mean.flat")
    graph.add("Concat", [flat, sd], OUTPUT_NAME, axis=1)


def _image(taps: int, stride: int) -> dict[str, Any]:
    return {"kernel_shape": [1, taps], "strides": [1, stride], "pads": [0, taps // 2, 0, taps // 2]}


class _Graph:
    """Nodes and constants, in the order in which they are needed."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: ArrayLike) -> str:
        self._constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def integers(self, name: str, values: Sequence[int]) -> str:
        return self.constant(name, np.array(values, np.int64))

    def parameter(self, name: str) -> str:
        return self.constant(name, self.arrays[name])

    def linear(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self.arrays[f"{name}.weight"], self.arrays[f"{name}.bias"]

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def dense(self, x: str, name: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        product = self.add("MatMul", [x, self.constant(f"{name}.weight", weight.T)], name)
        return self.add("Add", [product, self.constant(f"{name}.bias", bias)], f"{name}.biased")

    def norm(self, x: str, name: str) -> str:
        inputs = [x, self.parameter(f"{name}.weight"), self.parameter(f"{name}.bias")]
        return self.add("LayerNormalization", inputs, f"{name}.normed", axis=-1, epsilon=_NORM_EPSILON)

    def encode(self, embedding: int) -> bytes:
        graph = helper.make_graph(
            self._nodes,
            "transformer",
            [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [_BATCH, WINDOW_SAMPLES])],
            [helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, [_BATCH, embedding])],
            list(self._constants.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="edge-ecg",
        )
        onnx.checker.check_model(model, full_check=True)
        encoded: bytes = model.SerializeToString()
        return encoded
