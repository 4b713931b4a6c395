"""A Transformer run to encoders: ONNX in float32 and in int8.

int8 here is: weights of convolutions and dense layers in int8, one scale an output channel; their inputs in
int8, one scale a tensor, its range taken over calibration windows; sums in int32. The filter in front,
attention's own two products, softmax, layer norms and sums stay in float32. All scales are fixed at export: a
window's embedding depends neither on the other windows of a batch nor on the machine's rounding of ranges.

There is no TFLite of a Transformer: the writer of this package knows the trunk's operators only, and the
converters that would know these (litert-torch, onnx2tf) bring 0.7 to 2.6 GB of packages.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_ecg.errors import DataError
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.transformer.encoder_file import is_transformer, load_transformer
from edge_ecg_train.transformer.network import TransformerConfig

from .onnx_writer import INPUT_NAME
from .transformer_graph import product_nodes, relu_of, transformer_onnx

FLOAT_NODES = ("convs.0",)
"""Products that stay in float32 beside the filter: the first convolution sees R peaks of 10 deviations beside
waves of a tenth of one, and costs half a percent of the arithmetic."""


def is_transformer_run(run: RunDir) -> bool:
    """Say whether a run's encoder is a Transformer."""
    return is_transformer(run.encoder)


def transformer_encoders(run: RunDir, calibration: NDArray[np.float32]) -> dict[str, bytes]:
    """Return a run's encoder files by engine: ``onnx-fp32`` and ``onnx-int8``.

    Parameters
    ----------
    run:
        Its encoder is a Transformer.
    calibration:
        (n, 2560) windows of people whom no check of the int8 file uses.

    Raises
    ------
    DataError
        If the run has no readable encoder, or there are no windows.

    """
    network = load_transformer(run.encoder)
    whole = transformer_onnx(network)
    return {"onnx-fp32": whole, "onnx-int8": quantised_onnx(whole, network.config, calibration)}


def quantised_onnx(
    whole: bytes,
    config: TransformerConfig,
    calibration: NDArray[np.float32],
    *,
    float_nodes: tuple[str, ...] = FLOAT_NODES,
) -> bytes:
    """Quantise what ``transformer_onnx`` wrote.

    Parameters
    ----------
    whole, config:
        The float32 file, and the form of its network.
    calibration:
        (n, 2560) windows.
    float_nodes:
        Products by parameters that stay in float32.

    Raises
    ------
    DataError
        If there are no windows.

    """
    if not len(calibration):
        raise DataError(
            "There are no windows to take the ranges of int8 from.", remedy="Give a store with windows."
        )
    products = [name for name in product_nodes(config) if name not in float_nodes]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

        source, target = Path(folder) / "whole.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(whole)
        quantize_static(
            source,
            target,
            _Windows(calibration),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_quantize=[*products, *(relu_of(name) for name in products if name.startswith("convs."))],
            # A dense part's result goes on in float32: ONNX Runtime multiplies in int8 all the same, and
            # rounding it would gain nothing. A convolution is in int8 only if its result is too: it is
            # rounded behind the ReLU, where its range is half as wide.
            extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]},
        )
        data = target.read_bytes()
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    return data


class _Windows:
    """Calibration windows, a few at a time, as onnxruntime asks for them."""

    def __init__(self, windows: NDArray[np.float32]) -> None:
        self._parts = iter(np.array_split(windows, -(-len(windows) // 8)))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        part = next(self._parts, None)
        return None if part is None else {INPUT_NAME: np.ascontiguousarray(part, np.float32)}

    def __iter__(self) -> Iterator[dict[str, NDArray[np.float32]]]:
        while (part := self.get_next()) is not None:
            yield part


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice (to simplify the graph first) off the user's screen."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
