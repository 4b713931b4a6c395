"""The trunk in NumPy: the float network, and the int8 network in integer arithmetic, step by step.

Slow and plain, with every step's output in reach. Sums of int8 products are formed in float64, where they are
exact; requantisation follows the engines to the bit (see :mod:`edge_ecg_export.quantised`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .graph import (
    LEAST_VARIANCE,
    POOL_SIZE,
    POOL_STRIDE,
    SLOPE,
    Conv,
    GlobalMax,
    GlobalStats,
    Leaky,
    Pool,
    Step,
    Trunk,
)
from .quantised import (
    MAGNIFY,
    UNITY,
    Digits,
    Float32Array,
    Grid,
    GridConv,
    Int8Array,
    QConv,
    QGlobalMax,
    QGlobalStats,
    QLeaky,
    QPool,
    QuantisedTrunk,
    to_int8,
)

FloatArray = NDArray[np.float64]
_T = TypeVar("_T", bound=np.generic)


def float_steps(trunk: Trunk, window: NDArray[np.floating]) -> Iterator[tuple[str, FloatArray]]:
    """Yield each step's name and float64 output (channels, steps) for one window (2560,)."""
    x = np.asarray(window, dtype=np.float64)[None, :]
    for step in trunk.steps:
        x = float_step(step, x)
        yield step.name, x


def float_step(step: Step, x: FloatArray) -> FloatArray:
    """Return a step's float64 output for its input, both (channels, steps)."""
    match step:
        case Conv():
            return correlate(np.pad(x, ((0, 0), step.padding)), step.weight) + step.bias[:, None]
        case Pool():
            return _pool(x)
        case GlobalMax():
            return np.asarray(x.max(axis=1, keepdims=True))
        case GlobalStats():
            deviation = np.sqrt(np.maximum(x.var(axis=1), LEAST_VARIANCE))
            return np.concatenate([x.max(axis=1), x.mean(axis=1), deviation])[:, None]
        case Leaky():
            return np.where(x >= 0, x, SLOPE * x)


def float_embedding(trunk: Trunk, windows: NDArray[np.floating]) -> FloatArray:
    """Embed (n, 2560) windows as (n, d) in float64."""
    return np.stack([_last(float_steps(trunk, window))[:, 0] for window in windows])


def int8_steps(trunk: QuantisedTrunk, window: NDArray[np.floating]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield each step's name and output (channels, steps) for one window (2560,).

    Outputs are int8 from the digits on, float32 before, and float32 again where means are pooled.
    """
    x: NDArray[Any] = np.asarray(window, dtype=np.float32)[None, :]
    for step in trunk.steps:
        match step:
            case Grid():
                if step.reach is not None:
                    x = np.clip(x, np.float32(-step.reach), np.float32(step.reach))
                x = (x + np.float32(step.magic)) - np.float32(step.magic)
            case GridConv():
                sums = correlate(np.pad(x, ((0, 0), step.padding)), step.weight)
                x = (sums + step.bias[:, None]).astype(np.float32)
            case Leaky():
                x = _float_leaky(x)
            case Digits():
                x = _digits(step, x)
            case QConv():
                x = _convolve(step, x)
            case Pool() | QPool():
                x = _pool(x)
            case QGlobalMax():
                x = x.max(axis=1, keepdims=True)
            case QGlobalStats():
                x = _stats(step, x)[:, None]
            case QLeaky():
                x = _leaky(step, x)
        yield step.name, x


def int8_pooled(trunk: QuantisedTrunk, windows: NDArray[np.floating]) -> Float32Array:
    """Return what the last step pools of (n, 2560) windows, (n, d) float32, before gain and offset."""
    pooled = np.stack([_last(int8_steps(trunk, window))[:, 0] for window in windows])
    return trunk.pool.tensor.dequantise(pooled) if isinstance(trunk.pool, QGlobalMax) else pooled


def int8_embedding(trunk: QuantisedTrunk, windows: NDArray[np.floating]) -> Float32Array:
    """Embed (n, 2560) windows as (n, d) float32, as the engines do."""
    values = int8_pooled(trunk, windows) * trunk.gain + trunk.offset
    if isinstance(trunk.pool, QGlobalMax):
        values = _float_leaky(values)
    return values.astype(np.float32)


def correlate(padded: NDArray[np.generic], weight: NDArray[np.generic]) -> FloatArray:
    """Slide weights (outputs, inputs, taps) over (inputs, steps + taps - 1); float64 (outputs, steps)."""
    x, w = padded.astype(np.float64), weight.astype(np.float64)
    outputs, inputs, taps = w.shape
    if inputs < 8:  # few channels: one product over all taps; many: one a tap, which spares the copies
        columns = sliding_window_view(x, taps, axis=1).transpose(0, 2, 1)
        return np.asarray(w.reshape(outputs, -1) @ columns.reshape(inputs * taps, -1))
    steps = x.shape[1] - taps + 1
    total = np.zeros((outputs, steps))
    for tap in range(taps):
        total += np.ascontiguousarray(w[:, :, tap]) @ x[:, tap : tap + steps]
    return total


def _last(steps: Iterator[tuple[str, NDArray[_T]]]) -> NDArray[_T]:
    *_, (_, output) = steps
    return output


def _digits(step: Digits, x: Float32Array) -> Int8Array:
    rounded = step.tensor.quantise(x)
    residue = x - step.tensor.dequantise(rounded)
    magnified = [step.tensor.quantise(residue * np.float32(gain)) for gain in step.gains]
    return np.concatenate([rounded, *magnified])


def _pool(x: NDArray[_T]) -> NDArray[_T]:
    pooled: NDArray[_T] = sliding_window_view(x, POOL_SIZE, axis=1)[:, ::POOL_STRIDE].max(axis=2)
    return pooled


def _convolve(step: QConv, x: Int8Array) -> Int8Array:
    centred = x.astype(np.float64) - step.source.zero_point
    accumulators = correlate(np.pad(centred, ((0, 0), step.padding)), step.weight) + step.bias[:, None]
    steps = np.rint(accumulators.astype(np.float32) * step.multipliers[:, None])
    return to_int8(steps + step.target.zero_point)


def _float_leaky(x: Float32Array) -> Float32Array:
    return np.where(x >= 0, x, x * np.float32(SLOPE))


def _stats(step: QGlobalStats, x: Int8Array) -> Float32Array:
    """One float32 operation after the other, as in the files; the sums are exact."""
    q = x.astype(np.float32)
    m = np.maximum(q, -step.zero[:, None])
    mean_q, mean_m, square_q, square_m = (
        each.sum(axis=1) * np.float32(step.share) for each in (q, m, q * q, m * m)
    )
    positive = mean_m + step.zero
    mean = (mean_q + step.zero) + np.float32(4.0) * positive
    spread = (square_q - mean_q * mean_q) + np.float32(24.0) * (square_m - mean_m * mean_m)
    grid = step.root_grid
    variance = spread + np.float32(8.0) * ((mean_m - mean_q) * positive)
    variance = np.clip(variance, np.float32(0.0), np.float32((grid.reach or 0.0) ** 2))
    near = (np.sqrt(variance) + np.float32(grid.magic)) - np.float32(grid.magic)
    beyond = (variance - near * near) * np.float32(MAGNIFY)
    deviation = near + np.clip(beyond, np.float32(-grid.step), np.float32(0.0))
    return np.concatenate([_float_leaky(q.max(axis=1) + step.zero), mean, deviation])


def _leaky(step: QLeaky, x: Int8Array) -> Int8Array:
    centred = x.astype(np.int32) - step.source.zero_point
    scaled = centred * np.where(centred >= 0, step.positive, step.negative) + UNITY // 2
    return to_int8((scaled >> 8) + step.target_zero_point)
