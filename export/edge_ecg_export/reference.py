"""The trunk in NumPy: the float network, and the int8 network in integer arithmetic, step by step.

Slow and plain, with every step's output in reach. Sums of int8 products are formed in float64, where they are
exact; requantisation follows the engines to the bit (see :mod:`edge_ecg_export.quantised`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .graph import POOL_SIZE, POOL_STRIDE, SLOPE, Conv, GlobalMax, Leaky, Pool, Trunk
from .quantised import (
    INPUT,
    QMAX,
    QMIN,
    RESIDUE_GAINS,
    UNITY,
    Float32Array,
    Int8Array,
    QConv,
    QGlobalMax,
    QLeaky,
    QPool,
    QuantisedTrunk,
)

FloatArray = NDArray[np.float64]
_T = TypeVar("_T", bound=np.generic)


def float_steps(trunk: Trunk, window: NDArray[np.floating]) -> Iterator[tuple[str, FloatArray]]:
    """Yield each step's name and float64 output (channels, steps) for one window (2560,)."""
    x = np.asarray(window, dtype=np.float64)[None, :]
    for step in trunk.steps:
        match step:
            case Conv():
                x = _correlate(np.pad(x, ((0, 0), step.padding)), step.weight) + step.bias[:, None]
            case Pool():
                x = _pool(x)
            case GlobalMax():
                x = x.max(axis=1, keepdims=True)
            case Leaky():
                x = np.where(x >= 0, x, SLOPE * x)
        yield step.name, x


def float_embedding(trunk: Trunk, windows: NDArray[np.floating]) -> FloatArray:
    """Embed (n, 2560) windows as (n, 128) in float64."""
    return np.stack([_last(float_steps(trunk, window))[:, 0] for window in windows])


def input_digits(window: NDArray[np.floating]) -> Int8Array:
    """Split one window (2560,) into the (4, 2560) int8 channels of the first convolution."""
    x = np.asarray(window, dtype=np.float32)
    rounded = INPUT.quantise(x)
    residue = x - INPUT.dequantise(rounded)
    return np.stack([rounded, *(INPUT.quantise(residue * np.float32(gain)) for gain in RESIDUE_GAINS)])


def int8_steps(trunk: QuantisedTrunk, window: NDArray[np.floating]) -> Iterator[tuple[str, Int8Array]]:
    """Yield each step's name and int8 output (channels, steps) for one window (2560,)."""
    x = input_digits(window)
    for step in trunk.steps:
        match step:
            case QConv():
                x = _convolve(step, x)
            case QPool():
                x = _pool(x)
            case QGlobalMax():
                x = x.max(axis=1, keepdims=True)
            case QLeaky():
                x = _leaky(step, x)
        yield step.name, x


def int8_embedding(trunk: QuantisedTrunk, windows: NDArray[np.floating]) -> tuple[Int8Array, Float32Array]:
    """Return the int8 maxima and the float32 embeddings, (n, 128) each, of (n, 2560) windows."""
    maxima = np.stack([_last(int8_steps(trunk, window))[:, 0] for window in windows])
    return maxima, finish(trunk, maxima)


def finish(trunk: QuantisedTrunk, maxima: Int8Array) -> Float32Array:
    """Int8 maxima (n, 128) to float32 embeddings (n, 128)."""
    last = trunk.steps[-1]
    assert isinstance(last, QGlobalMax)
    values = last.tensor.dequantise(maxima) * trunk.gain + trunk.offset
    return np.where(values >= 0, values, values * np.float32(SLOPE)).astype(np.float32)


def _last(steps: Iterator[tuple[str, NDArray[np.generic]]]) -> NDArray[np.generic]:
    *_, (_, output) = steps
    return output


def _correlate(padded: NDArray[np.generic], weight: NDArray[np.generic]) -> FloatArray:
    outputs, inputs, taps = weight.shape
    columns = sliding_window_view(padded.astype(np.float64), taps, axis=1)
    columns = columns.transpose(0, 2, 1).reshape(inputs * taps, -1)
    return weight.reshape(outputs, -1).astype(np.float64) @ columns


def _pool(x: NDArray[_T]) -> NDArray[_T]:
    return sliding_window_view(x, POOL_SIZE, axis=1)[:, ::POOL_STRIDE].max(axis=2)


def _convolve(step: QConv, x: Int8Array) -> Int8Array:
    centred = x.astype(np.float64) - step.source.zero_point
    accumulators = _correlate(np.pad(centred, ((0, 0), step.padding)), step.weight) + step.bias[:, None]
    steps = np.rint(accumulators.astype(np.float32) * step.multipliers[:, None])
    return np.clip(steps + step.target.zero_point, QMIN, QMAX).astype(np.int8)


def _leaky(step: QLeaky, x: Int8Array) -> Int8Array:
    centred = x.astype(np.int32) - step.source.zero_point
    scaled = centred * np.where(centred >= 0, step.positive, step.negative) + UNITY // 2
    return np.clip((scaled >> 8) + step.target_zero_point, QMIN, QMAX).astype(np.int8)
