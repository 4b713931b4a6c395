"""The int8 trunk as a plain list of steps: the one table from which both writers and the reference work.

A quantised value ``q`` stands for ``scale * (q - zero_point)``. Five constructions make ONNX Runtime and
LiteRT compute the same int8 values, and keep those close to the float network:

Digits. R peaks reach ten times the standard deviation of the signal: 8 bits over that range are too coarse
for all else, and cost more than all later roundings together. So a float tensor is quantised as several
channels: its value in coarse steps, and what that rounding left over, magnified. The weights of the next
convolution are split the same way. All steps are powers of two: every float operation here is exact.

Integers in float. Where even that is not enough, leading convolutions are computed in float32 on integers:
inputs and weights are multiples of powers of two, few enough bits for sums to stay below 2^24, where float32
additions are exact in any order. So engines agree to the bit although they add in different orders.

Int8 convolutions. Accumulators are int32; both engines convert them to float32, multiply by
``source * weight / target``, round half to even, add the zero point and saturate.

LeakyReLU. XNNPACK computes ``(x * m + 128) >> 8`` with one integer multiplier a sign (k for positive x, m for
negative x); ONNX Runtime computes in float and rounds half to even. With k and m odd a tie can only arise at
|x| = 128, and both factors stand in the files a few millionths off, so that a tie falls the same way in both.

The output, pooled by maxima. Each feature is quantised over its own range of *maxima* (a smaller value never
is a global maximum), and brought back by a float product and sum; its LeakyReLU is computed in float.

The output, pooled by maxima, means and deviations. conv6's outputs are whole numbers q in -128..127, each
channel with a zero point of its own. Over 591 steps of time such numbers, and even their squares, sum to less
than 2^24, where float32 additions are exact in any order. LeakyReLU is linear in q and in its positive part,
so four sums give its mean and deviation without another rounding (:class:`QGlobalStats`). What follows is one
rounded float32 operation after the other, the same in all engines; all but the square root, which some
approximate. So a deviation is brought down to a multiple of 1/16 whose square is not above the variance:
squares of such numbers are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .graph import Leaky, Pool

Float32Array = NDArray[np.float32]
Int8Array = NDArray[np.int8]
Int32Array = NDArray[np.int32]

QMIN, QMAX = -128, 127
UNITY = 256
_TIE_BREAK = 4e-6

# The smallest difference of a variance and a square of float32 numbers, times this, is more than any step.
MAGNIFY = 2.0**60


@dataclass(frozen=True)
class Affine:
    """The two constants of a quantised tensor; ``scale`` is a float32 value."""

    scale: float
    zero_point: int

    @property
    def high(self) -> float:
        """The largest value that can be represented."""
        return self.scale * (QMAX - self.zero_point)

    def quantise(self, values: NDArray[np.floating]) -> Int8Array:
        """Round half to even, shift, saturate; the division in float32, as the engines do."""
        steps = np.rint(np.asarray(values, dtype=np.float32) / np.float32(self.scale))
        return to_int8(steps + self.zero_point)

    def dequantise(self, values: NDArray[np.integer]) -> Float32Array:
        """Return the float32 values that int8 values stand for."""
        return (values.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


@dataclass(frozen=True)
class Digits:
    """Float channels c to int8 channels c * (1 + len(gains)): rounded values, then magnified residues.

    All channels share ``tensor``, whose scale is a power of two.
    """

    name: str
    tensor: Affine
    gains: tuple[int, ...]


@dataclass(frozen=True)
class Grid:
    """Float values rounded to multiples of ``step``, a power of two, half to even.

    Values beyond ``reach`` saturate, where it is given.
    """

    name: str
    step: float
    reach: float | None = None

    @property
    def magic(self) -> float:
        """Adding this float32 value and taking it away again rounds: there float32 is spaced by ``step``."""
        return 1.5 * 2.0**23 * self.step


@dataclass(frozen=True, eq=False)
class GridConv:
    """A float convolution whose weights and bias are multiples of powers of two; padding as in ``Conv``."""

    name: str
    weight: Float32Array
    bias: Float32Array
    padding: tuple[int, int]


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
    padding:
        Zero points on the left and on the right.
    source, target:
        Of its input and of its output.
    """

    name: str
    weight: Int8Array
    weight_scales: Float32Array
    bias: Int32Array
    padding: tuple[int, int]
    source: Affine
    target: Affine

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
    """LeakyReLU to a target whose scale follows from ``positive``: 256 source / target.

    ``positive`` (k) and ``negative`` (m, about 0.2 k) are XNNPACK's integer multipliers.
    """

    name: str
    source: Affine
    target_zero_point: int
    positive: int
    negative: int

    def __post_init__(self) -> None:
        if self.negative % 2 == 0 or self.positive % 2 == 0:
            raise ValueError(f"multipliers {self.positive}, {self.negative}: an even one makes ties")

    @property
    def target(self) -> Affine:
        """Of the output. The scale is a little small, so that a positive tie rounds up in float, too."""
        exact = self.source.scale * UNITY / self.positive
        return Affine(float(np.float32(exact * (1.0 - _TIE_BREAK))), self.target_zero_point)

    @property
    def slope(self) -> float:
        """The float slope to write into a file: a negative tie rounds towards zero, as XNNPACK does."""
        return float(np.float32(self.negative / self.positive * (1.0 - 2.0 * _TIE_BREAK)))


@dataclass(frozen=True)
class QGlobalMax:
    """The maximum over all ``steps``; int8 in, the same int8 out."""

    name: str
    tensor: Affine
    steps: int


@dataclass(frozen=True, eq=False)
class QGlobalStats:
    """Maxima, means and standard deviations over time of the LeakyReLU of whole numbers, in float32.

    A channel's int8 value q stands for p = q + zero, and five times its LeakyReLU is p + 4 max(p, 0). With
    m = max(q, -zero), so that max(p, 0) = m + zero and cov(q, m) = var(m) + (mean m - mean q)(mean m + zero),
    both moments follow from sums of q, q², m and m²::

        mean = (mean q + zero) + 4 (mean m + zero)
        variance = var(q) + 24 var(m) + 8 (mean m - mean q)(mean m + zero)

    Attributes
    ----------
    tensor:
        Of the int8 values; its scale is 1.
    zero:
        (channels,) float32 whole numbers in -127..128.
    steps:
        How many there are in time.
    """

    name: str
    tensor: Affine
    zero: Float32Array
    steps: int

    def __post_init__(self) -> None:
        if self.tensor != Affine(1.0, 0) or self.steps * QMIN**2 >= 2**24:
            raise ValueError(f"sums over {self.steps} values of {self.tensor} would not be exact")
        if (self.zero != np.clip(np.rint(self.zero), -QMAX, -QMIN)).any():
            raise ValueError("a zero point is no whole number, or out of reach")

    @property
    def share(self) -> float:
        """What one step counts in a mean; a float32 value."""
        return float(np.float32(1.0 / self.steps))

    @property
    def root_grid(self) -> Grid:
        """The multiples that a deviation is brought down to; with at most 12 bits, so that squares are exact.

        Deviations beyond its reach saturate: 256, two fifths of what the largest value can be.
        """
        return Grid(f"{self.name}.std", 2.0**-4, 2.0**8)


QStep = Grid | GridConv | Pool | Leaky | Digits | QConv | QPool | QLeaky | QGlobalMax | QGlobalStats


@dataclass(frozen=True, eq=False)
class QuantisedTrunk:
    """The int8 trunk: float steps (none, or leading convolutions), digits, int8 steps.

    Attributes
    ----------
    steps:
        In order, named as in the float trunk.
    gain, offset:
        (d,): the embedding is ``pooled * gain + offset`` in float32, and for maxima its LeakyReLU; maxima
        alone are pooled before the LeakyReLU.
    divisors:
        Step name to (channels,): a channel stands for the float trunk's value divided by this.
    shift:
        (128,): what was taken from conv6's outputs before that division; 0 unless maxima alone are pooled.
    """

    steps: tuple[QStep, ...]
    gain: Float32Array
    offset: Float32Array
    divisors: Mapping[str, NDArray[np.float64]]
    shift: NDArray[np.float64]

    @property
    def embedding(self) -> int:
        """Length of an embedding."""
        return len(self.gain)

    @property
    def pool(self) -> QGlobalMax | QGlobalStats:
        """The last step."""
        last = self.steps[-1]
        assert isinstance(last, QGlobalMax | QGlobalStats)
        return last


def to_int8(values: NDArray[np.generic]) -> Int8Array:
    """Saturate whole numbers of any type."""
    saturated: Int8Array = np.clip(values, QMIN, QMAX).astype(np.int8)
    return saturated
