"""What a microcontroller computes around the int8 core, in NumPy: one float32 operation after the other.

The C sources (:mod:`.c_around`) do the very same, so that both agree to the bit, and with LiteRT's reference
kernels on the bundle's whole file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..graph import SLOPE
from ..quantised import MAGNIFY, QMAX, QMIN
from .core import Core

Float32Array = NDArray[np.float32]
Int8Array = NDArray[np.int8]

# The multiples that a deviation is brought down to, and its limit (edge_ecg_export.quantised.QGlobalStats).
ROOT_STEP, ROOT_REACH = 2.0**-4, 2.0**8
ROOT_MAGIC = 1.5 * 2.0**23 * ROOT_STEP

_F = np.float32


def digits(core: Core, window: Float32Array) -> Int8Array:
    """Quantise one normalised window (2560,) as the core's input (1, 1, 2560, digits).

    TFLite's reference kernel rounds halves away from zero.
    """
    values = np.asarray(window, dtype=np.float32)
    scale = _F(core.source.scale)
    coarse = _rounded(values / scale) + _F(core.source.zero_point)
    coarse = np.clip(coarse, QMIN, QMAX)
    residue = values - (coarse - _F(core.source.zero_point)) * scale
    parts = [values, *(residue * _F(gain) for gain in core.gains)]
    steps = [np.clip(_rounded(part / scale) + _F(core.source.zero_point), QMIN, QMAX) for part in parts]
    return np.stack(steps, axis=-1).astype(np.int8).reshape(core.input_shape)


def embedding(core: Core, output: Int8Array) -> Float32Array:
    """Pool the core's output as an embedding (d,)."""
    if core.zero is None or core.share is None:
        values = (output.reshape(-1).astype(np.float32) - _F(core.target.zero_point)) * _F(core.target.scale)
        shifted = values * core.gain + core.offset
        return np.where(shifted > 0, shifted, shifted * _F(SLOPE)).astype(np.float32)
    return _statistics(core.zero, _F(core.share), output.reshape(-1, core.channels)) * core.gain + core.offset


def _statistics(zero: Float32Array, share: np.float32, output: Int8Array) -> Float32Array:
    """Maxima, means and deviations (3 channels,) of whole numbers (steps, channels); sums are exact."""
    q = output.astype(np.int64)
    m = np.maximum(q, -zero.astype(np.int64))
    mean_q, square_q, mean_m, square_m = (
        total.sum(axis=0).astype(np.float32) * share for total in (q, q * q, m, m * m)
    )
    variance_q, variance_m = square_q - mean_q * mean_q, square_m - mean_m * mean_m
    positive = mean_m + zero
    mean = (mean_q + zero) + positive * _F(4.0)
    between = ((mean_m - mean_q) * positive) * _F(8.0)
    variance = np.clip((variance_q + variance_m * _F(24.0)) + between, _F(0.0), _F(ROOT_REACH**2))
    near = (np.sqrt(variance) + _F(ROOT_MAGIC)) - _F(ROOT_MAGIC)
    beyond = (variance - near * near) * _F(MAGNIFY)
    deviation = near + np.clip(beyond, _F(-ROOT_STEP), _F(0.0))
    largest = q.max(axis=0).astype(np.float32) + zero
    largest = np.where(largest > 0, largest, largest * _F(SLOPE))
    return np.concatenate([largest, mean, deviation]).astype(np.float32)


def _rounded(values: Float32Array) -> Float32Array:
    """Round halves away from zero."""
    return np.copysign(np.floor(np.abs(values) + _F(0.5)), values).astype(np.float32)
