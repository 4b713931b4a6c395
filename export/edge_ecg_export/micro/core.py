"""The int8 core of a TFLite encoder: from the quantised digits of a window to the last int8 tensor.

A microcontroller has little memory, and whole windows of float values do not fit: between a window's samples
and the first convolution, and between the last one and the embedding, the file holds float tensors of up to
1 MB. So these ends are cut off. What is left takes int8, gives int8, and needs three or four operators; the
ends are computed outside, sample by sample and channel by channel (:mod:`.around`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import GateError

from ..quantised import Affine
from ..tflite_graph import IDENTIFIER, load_schema

Float32Array = NDArray[np.float32]

# What the ends look like, as edge_ecg_export.tflite_writer writes them.
_FRONT = ("RESHAPE", "QUANTIZE", "DEQUANTIZE", "SUB")
_CORE = ("CONV_2D", "LEAKY_RELU", "MAX_POOL_2D", "REDUCE_MAX")
_BACK_OF_MAXIMA = ("DEQUANTIZE", "MUL", "ADD", "LEAKY_RELU")


@dataclass(frozen=True, eq=False)
class Core:
    """The part of an encoder that runs in TFLite-Micro, and the constants of its ends.

    Attributes
    ----------
    model:
        The TFLite file: int8 in, int8 out.
    operators:
        Names of the operators that it uses, each once.
    source, target:
        Quantisation of its input and its output.
    input_shape, output_shape:
        (1, 1, 2560, digits) and (1, 1, steps, channels), or (1, channels) where maxima are pooled inside.
    gains:
        Of the digits behind the first: see :class:`~edge_ecg_export.quantised.Digits`.
    zero:
        (channels,) whole numbers that a channel's values are off by, where means and deviations are pooled;
        None where maxima are.
    share:
        What one step counts in a mean; None where maxima are pooled.
    gain, offset:
        (d,): the embedding is ``pooled * gain + offset``.

    """

    model: bytes
    operators: tuple[str, ...]
    source: Affine
    target: Affine
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    gains: tuple[float, ...]
    zero: Float32Array | None
    share: float | None
    gain: Float32Array
    offset: Float32Array

    @property
    def embedding(self) -> int:
        """Length of an embedding."""
        return len(self.gain)

    @property
    def channels(self) -> int:
        """How many channels the last int8 tensor has."""
        return self.output_shape[-1]


def cut_core(tflite: bytes) -> Core:
    """Cut the core out of an encoder's int8 TFLite file.

    Raises
    ------
    GateError
        When not all of its convolutions are in int8, or it is no trunk of edge-ecg.

    """
    schema = load_schema()
    model = schema.ModelT.InitFromPackedBuf(tflite, 0)
    graph = model.subgraphs[0]
    names = {value: key for key, value in vars(schema.BuiltinOperator).items() if not key.startswith("_")}
    kinds = [names[model.operatorCodes[operator.opcodeIndex].builtinCode] for operator in graph.operators]
    first, end = _ends(kinds)
    operators = graph.operators[first:end]
    source, target = operators[0].inputs[0], operators[-1].outputs[0]
    constants = _Constants(model)
    zero, share = None, None
    if kinds[end - 1] != "REDUCE_MAX":
        zero, share = constants.named("stats6.zero"), float(constants.named("stats6.share")[0])
    inside, outside = graph.tensors[source], graph.tensors[target]
    return Core(
        operators=tuple(dict.fromkeys(kinds[first:end])),
        source=_affine(inside),
        target=_affine(outside),
        input_shape=tuple(map(int, inside.shape)),
        output_shape=tuple(map(int, outside.shape)),
        gains=tuple(
            float(constants.of(operator.inputs)[0])
            for operator, kind in zip(graph.operators[:first], kinds, strict=False)
            if kind == "MUL"
        ),
        zero=zero,
        share=share,
        gain=constants.named("gain"),
        offset=constants.named("offset"),
        model=_pack(schema, model, operators, source, target),  # last: it takes the graph apart
    )


def _ends(kinds: Sequence[str]) -> tuple[int, int]:
    """Return where the core begins and ends in the list of operators."""
    convolutions = [index for index, kind in enumerate(kinds) if kind == "CONV_2D"]
    if len(convolutions) != 6:
        raise _refused(f"It has {len(convolutions)} convolutions, not six.")
    first, end = convolutions[0], convolutions[-1] + 1
    digits = kinds[len(_FRONT) : first - 2]
    if tuple(kinds[: len(_FRONT)]) != _FRONT or set(digits) - {"MUL"}:
        raise _refused(
            "Its first convolutions compute in float32: in 8 bits the model did not pass its gate."
        )
    if kinds[end] == "REDUCE_MAX" and tuple(kinds[end + 1 :]) == _BACK_OF_MAXIMA:
        end += 1
    if set(kinds[first:end]) - set(_CORE):
        raise _refused(
            f"Between its convolutions stand {', '.join(sorted(set(kinds[first:end]) - set(_CORE)))}."
        )
    return first, end


def _refused(why: str) -> GateError:
    return GateError(
        "This encoder has no int8 core for a microcontroller.",
        why=why,
        remedy="Export an encoder of edge-ecg's convolutional kind that passes the gate in int8 throughout.",
    )


class _Constants:
    """The contents of constant tensors."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._tensors = model.subgraphs[0].tensors
        self._names = {(tensor.name or b"").decode(): index for index, tensor in enumerate(self._tensors)}

    def of(self, indices: Sequence[int]) -> Float32Array:
        """The values of the one constant among an operator's inputs."""
        data = next(data for index in indices if (data := self._data(index)) is not None)
        return np.frombuffer(data.tobytes(), np.float32)

    def named(self, name: str) -> Float32Array:
        """The values of a float constant; GateError when there is none of that name."""
        index = self._names.get(name)
        data = None if index is None else self._data(index)
        if data is None:
            raise _refused(f"It has no constant {name!r}.")
        return np.frombuffer(data.tobytes(), np.float32)

    def _data(self, index: int) -> NDArray[np.uint8] | None:
        data: NDArray[np.uint8] | None = self._model.buffers[self._tensors[index].buffer].data
        return None if data is None or not len(data) else np.asarray(data, np.uint8)


def _affine(tensor: Any) -> Affine:
    return Affine(float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0]))


def _pack(schema: Any, model: Any, operators: list[Any], source: int, target: int) -> bytes:
    """Write these operators, and only the tensors, buffers and operator codes that they use, as a file."""
    graph = model.subgraphs[0]
    used = list(dict.fromkeys(index for one in operators for index in (*one.inputs, *one.outputs)))
    codes = list(dict.fromkeys(one.opcodeIndex for one in operators))
    buffers = [schema.BufferT()]  # buffer 0 is empty
    tensors = []
    for index in used:
        tensor = graph.tensors[index]
        data = model.buffers[tensor.buffer].data
        if data is None or not len(data):
            tensor.buffer = 0
        else:
            buffers.append(model.buffers[tensor.buffer])
            tensor.buffer = len(buffers) - 1
        tensors.append(tensor)
    for one in operators:
        one.inputs = [used.index(index) for index in one.inputs]
        one.outputs = [used.index(index) for index in one.outputs]
        one.opcodeIndex = codes.index(one.opcodeIndex)
    model.operatorCodes = [model.operatorCodes[code] for code in codes]
    model.buffers = buffers
    graph.tensors, graph.operators = tensors, operators
    graph.inputs, graph.outputs = [used.index(source)], [used.index(target)]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
