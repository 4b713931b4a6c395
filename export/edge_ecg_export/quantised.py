"""The int8 trunk as a plain list of steps: the one table from which both writers and the reference work.

A quantised value ``q`` stands for ``scale * (q - zero_point)``. Four constructions make ONNX Runtime and
LiteRT compute the same int8 values, and keep close to the float network:

The input in digits. R peaks reach ten times the standard deviation, so that 8 bits over the whole range are
too coarse for all else (they cost more than all later roundings together). The first convolution therefore
gets four channels: the window in steps of 1/8, and what that rounding left over, times 32, 8 and 2. Its weights
are split the same way. All steps are powers of two, so every float operation before the rounding is exact.

Convolutions. Accumulators are int32; both engines convert them to float32, multiply by
``source * weight / target``, round half to even, add the zero point and saturate.

LeakyReLU. XNNPACK computes ``(x * m + 128) >> 8`` with one integer multiplier a sign (k for positive x, m for
negative x); ONNX Runtime computes in float and rounds half to even. With k and m odd (or k = 256) a tie
can only arise at |x| = 128, and both factors are given to the engines a few millionths off, so that a tie falls
the same way in both.

The output. Each feature is quantised over its own range of *maxima* (a smaller value never is a global
maximum), and brought back by a float product and sum; its LeakyReLU is computed in float.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
Int8Array = NDArray[np.int8]
Int32Array = NDArray[np.int32]

QMIN, QMAX = -128, 127
UNITY = 256
_TIE_BREAK = 4e-6


@dataclass(frozen=True)
class Affine:
    """The two constants of a quantised tensor; ``scale`` is a float32 value."""

    scale: float
    zero_point: int

    def quantise(self, values: NDArray[np.floating]) -> Int8Array:
        """Round half to even, shift, saturate; the division in float32, as the engines do."""
        steps = np.rint(np.asarray(values, dtype=np.float32) / np.float32(self.scale))
        return np.clip(steps + self.zero_point, QMIN, QMAX).astype(np.int8)

    def dequantise(self, values: NDArray[np.integer]) -> Float32Array:
        """Return the float32 values that int8 values stand for."""
        return (values.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


# One step is 1/8 of the trimmed standard deviation: saturation beyond ±16, and exact in float32.
INPUT = Affine(0.125, 0)
RESIDUE_GAINS = (32, 8, 2)


@dataclass(frozen=True, eq=False)
class QConv:
    """An int8 convolution.

    Attributes
    ----------
    weight:
        (outputs, inputs, taps) int8 in -127..127.
    weight_scales:
        (outputs,) float32.
    bias:
        (outputs,) int32 in units of ``source.scale * weight_scales``.
    source, target:
        Of its input and of its output.
    """

    name: str
    weight: Int8Array
    weight_scales: Float32Array
    bias: Int32Array
    source: Affine
    target: Affine

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros (zero points) on the left and on the right."""
        taps = self.weight.shape[2]
        return (taps - 1) // 2, taps // 2

    @property
    def bias_scales(self) -> Float32Array:
        """(outputs,) float32: what one unit of the accumulator stands for."""
        return np.float32(self.source.scale) * self.weight_scales

    @property
    def multipliers(self) -> Float32Array:
        """(outputs,) float32: accumulator to steps of the target."""
        return self.bias_scales / np.float32(self.target.scale)


@dataclass(frozen=True)
class QPool:
    """The maximum over 8 steps, every 2; int8 in, the same int8 out."""

    name: str
    tensor: Affine


@dataclass(frozen=True)
class QLeaky:
    """LeakyReLU from ``source`` to a target whose scale follows from ``positive`` = 256 source / target.

    ``positive`` (k) and ``negative`` (m, about 0.2 k) are XNNPACK's integer multipliers.
    """

    name: str
    source: Affine
    target_zero_point: int
    positive: int
    negative: int

    def __post_init__(self) -> None:
        if self.negative % 2 == 0 or (self.positive % 2 == 0 and self.positive != UNITY):
            raise ValueError(f"multipliers {self.positive}, {self.negative}: an even one makes ties")

    @property
    def target(self) -> Affine:
        """Of the output. The scale is a little small, so that a positive tie rounds up in float, too."""
        exact = self.source.scale * UNITY / self.positive
        nudge = 0.0 if self.positive == UNITY else _TIE_BREAK
        return Affine(float(np.float32(exact * (1.0 - nudge))), self.target_zero_point)

    @property
    def slope(self) -> float:
        """The float slope to write into a file: a negative tie rounds towards zero, as XNNPACK does."""
        return float(np.float32(self.negative / self.positive * (1.0 - 2.0 * _TIE_BREAK)))


@dataclass(frozen=True)
class QGlobalMax:
    """The maximum over all steps; int8 in, the same int8 out."""

    name: str
    tensor: Affine


QStep = QConv | QPool | QLeaky | QGlobalMax


@dataclass(frozen=True, eq=False)
class QuantisedTrunk:
    """The int8 trunk.

    The embedding is ``leaky(dequantised maximum * gain + offset)``, in float32; gain and offset are (128,).
    """

    steps: tuple[QStep, ...]
    gain: Float32Array
    offset: Float32Array

    @property
    def convs(self) -> tuple[QConv, ...]:
        """The six convolutions."""
        return tuple(step for step in self.steps if isinstance(step, QConv))
