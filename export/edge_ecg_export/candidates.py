"""What may be shipped of an encoder, in the order in which the gate sees it: the fastest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from edge_ecg_train.run_dir import RunDir

from .calibrate import Calibration, calibrate
from .fidelity import LayerFidelity, layer_fidelity
from .graph import Trunk, load_trunk
from .onnx_writer import fp32_onnx, int8_onnx
from .quantised import QuantisedTrunk
from .tflite_writer import fp32_tflite, int8_tflite
from .transformer import is_transformer_run, transformer_encoders

Windows = NDArray[np.float32]
Quantise = Callable[[Trunk, Calibration, int], QuantisedTrunk]


@dataclass(frozen=True, eq=False)
class Candidate:
    """One set of encoder files.

    Attributes
    ----------
    text:
        What is special about it, for people.
    float_convs:
        How many leading convolutions compute on integers in float32.
    encoders:
        Engine to file.
    layers:
        (n, 2560) windows to how good each int8 layer is; empty where that is not known.
    """

    text: str
    float_convs: int
    encoders: Mapping[str, bytes]
    layers: Callable[[Windows], Sequence[LayerFidelity]]


def candidates(
    run: RunDir,
    calibrating: Windows,
    float_convs: Sequence[int],
    quantiser: Quantise,
    on_window: Callable[[], None],
) -> Iterator[Candidate]:
    """Yield the candidates of a run.

    Parameters
    ----------
    run:
        Its encoder is a trunk or a Transformer.
    calibrating:
        (n, 2560) windows to calibrate with.
    float_convs:
        Of a trunk: how many leading convolutions compute on integers in float32, one after the other.
    quantiser, on_window:
        See ``export_run``.

    Raises
    ------
    DataError
        When the encoder cannot be read.
    """
    if is_transformer_run(run):
        encoders = transformer_encoders(run, calibrating)
        yield Candidate("products in int8", 0, encoders, lambda windows: ())
        return
    trunk = load_trunk(run.encoder)
    # Thousands of small products: BLAS threads wait for each other, on a busy machine forty times as long.
    with threadpool_limits(limits=1, user_api="blas"):
        calibration = calibrate(trunk, calibrating, on_window)
    floats = {"litert-fp32": fp32_tflite(trunk), "onnx-fp32": fp32_onnx(trunk)}
    for count in float_convs:
        with threadpool_limits(limits=1, user_api="blas"):
            quantised = quantiser(trunk, calibration, count)
        yield Candidate(
            f"the first {count} convolutions in float32" if count else "all layers in int8",
            count,
            {"litert-int8": int8_tflite(quantised), "onnx-int8": int8_onnx(quantised), **floats},
            partial(layer_fidelity, trunk, quantised),
        )
