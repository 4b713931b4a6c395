"""The float trunk to the int8 trunk: equalised channels, rounded weights, a corrected output.

Channels are equalised before rounding (cross-layer equalisation, Nagel et al., ICCV 2019): LeakyReLU and the
maximum commute with positive factors, so each channel is divided by its own reach over the calibration
windows, and the next convolution's weights are multiplied by it. All channels of a tensor then use all of its
8 bits, and the constants of all inner tensors are the same: the ranges stand in the weights.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .calibrate import Calibration, floored
from .graph import Conv, GlobalMax, GlobalStats, Leaky, Pool, Trunk
from .quantised import (
    QMAX,
    QMIN,
    Affine,
    Digits,
    Grid,
    GridConv,
    QConv,
    QGlobalMax,
    QGlobalStats,
    QLeaky,
    QPool,
    QStep,
    QuantisedTrunk,
)
from .reference import FloatArray, int8_pooled

# The window in steps of 1/8 of the trimmed standard deviation: it saturates beyond ±16.
WINDOW_DIGITS = Digits("digits", Affine(2.0**-3, 0), (32, 8, 2))
# Activations behind a LeakyReLU: a sixth of the range is negative.
ACTIVATION_DIGITS = Digits("digits", Affine(2.0**-7, -86), (16,))

# Before a LeakyReLU, and maxima: ±1. Behind it: steps of 256/425 of that, a sixth of the range negative.
UNIT = Affine(2.0**-7, 0)
LEAKY_POSITIVE, LEAKY_NEGATIVE, LEAKY_ZERO = 425, 85, -85

# The last convolution's outputs where means are pooled, and how far beyond the calibration windows' largest
# and smallest values a channel reaches. Maxima of new people exceed them, and cost most when they saturate.
WHOLE = Affine(1.0, 0)
WHOLE_HIGH, WHOLE_LOW = 2.0, 1.25

WEIGHT_MAX = 127

# Integers in float32: a window of ±16 in steps of 1/256, activations of ±1 in steps of 1/1024. Magnitudes may
# sum to 2^25: the sums themselves, of terms of both signs that never all reach their maxima, stay below 2^24.
WINDOW_REACH = 16.0
WINDOW_GRID = Grid("grid", 2.0**-8, WINDOW_REACH)
ACTIVATION_GRID_STEP = 2.0**-10
MAGNITUDE_SUM = 2.0**25
# A maximum hides that a sum was rounded, a mean shows it: here no order of additions can reach 2^24.
MAGNITUDE_SUM_FOR_MEANS = 2.0**24

_TRIM = 0.05


def quantise(trunk: Trunk, calibration: Calibration, float_convs: int = 0) -> QuantisedTrunk:
    """Quantise the trunk.

    Parameters
    ----------
    trunk, calibration:
        The float trunk and what its calibration windows did in it.
    float_convs:
        How many leading convolutions compute on integers in float32: 0, 2 or 4 (whole blocks).
    """
    divisors = _divisors(trunk, calibration, float_convs)
    last, shift = trunk.convs[-1].name, np.zeros(trunk.embedding)
    if trunk.pooling == "max":
        low, high = calibration.maxima(f"max{len(trunk.convs)}")
        shift = (low + high) / 2.0
        divisors[last] = (high - low) / 2.0 / UNIT.high
    zero, magnitude_sum = np.zeros(0), MAGNITUDE_SUM
    if trunk.pooling != "max":
        divisors[last], zero = _whole_numbers(calibration, last)
        magnitude_sum = MAGNITUDE_SUM_FOR_MEANS
    steps: list[QStep] = [WINDOW_GRID if float_convs else WINDOW_DIGITS]
    reach, previous, conv_name = WINDOW_REACH, np.ones(1), ""
    named: dict[str, FloatArray] = {}
    for step in trunk.steps:
        before = steps[-1]
        match step:
            case Conv():
                conv_name = step.name
                divisor = divisors[conv_name]
                weight = step.weight * previous[None, :, None] / divisor[:, None, None]
                bias = step.bias / divisor
                if conv_name == last:
                    bias = (step.bias - shift) / divisor if trunk.pooling == "max" else bias - zero
                if isinstance(before, Grid):
                    steps.append(_grid_conv(step, weight, bias, before.step, reach, magnitude_sum))
                else:
                    target = WHOLE if conv_name == last and trunk.pooling != "max" else UNIT
                    steps.append(_int8_conv(step, weight, bias, before, target))
                previous, reach = divisor, 1.0
            case Pool():
                steps.append(QPool(step.name, UNIT) if isinstance(before, QConv) else step)
            case GlobalMax():
                steps.append(QGlobalMax(step.name, UNIT, trunk.last_steps))
            case GlobalStats():
                steps.append(QGlobalStats(step.name, WHOLE, zero.astype(np.float32), trunk.last_steps))
            case Leaky() if conv_name != last:
                steps.extend(_leaky(step, before, is_last_float=conv_name == f"conv{float_convs}"))
        named[step.name] = divisors[conv_name]
        if isinstance(
            step, GlobalStats
        ):  # means and deviations come out as five times those of the LeakyReLU
            named[step.name] = np.concatenate([divisors[last], divisors[last] / 5.0, divisors[last] / 5.0])
    ones, zeros = np.ones(trunk.embedding, np.float32), np.zeros(trunk.embedding, np.float32)
    return _correct_output(QuantisedTrunk(tuple(steps), ones, zeros, named, shift), calibration)


def _whole_numbers(calibration: Calibration, conv: str) -> tuple[FloatArray, FloatArray]:
    """Divisors and zero points, (channels,) each, with which a convolution's outputs fill -128..127."""
    high = WHOLE_HIGH * np.maximum(calibration.highs[conv].max(axis=0), 0.0)
    low = WHOLE_LOW * np.maximum(-calibration.lows[conv].min(axis=0), 0.0)
    divisor = floored(high + low) / (QMAX - QMIN)
    return divisor, np.clip(np.rint(high / divisor) - QMAX, -QMAX, -QMIN)


def _divisors(trunk: Trunk, calibration: Calibration, float_convs: int) -> dict[str, FloatArray]:
    """Divide each convolution's channels by their reach behind the pool, which just fills the tensor."""
    divisors = {}
    for index, (conv, seen) in enumerate(_seen(trunk), start=1):
        # Exact sums of float convolutions bear no outliers beyond the range that their bits were chosen for.
        reach = calibration.reach(seen) if index > float_convs else calibration.peak(seen)
        full_scale = UNIT.high if index > float_convs else 1.0
        if index == float_convs:
            full_scale = ACTIVATION_DIGITS.tensor.high
        divisors[conv] = reach / full_scale
    return divisors


def _seen(trunk: Trunk) -> list[tuple[str, str]]:
    """Convolutions before a LeakyReLU, each with the step whose output the LeakyReLU gets."""
    pairs, conv = [], ""
    for step, following in zip(trunk.steps, trunk.steps[1:], strict=False):
        conv = step.name if isinstance(step, Conv) else conv
        if isinstance(following, Leaky) and not isinstance(step, GlobalMax):
            pairs.append((conv, step.name))
    return pairs


def _grid_conv(
    conv: Conv, weight: FloatArray, bias: FloatArray, input_step: float, reach: float, magnitude_sum: float
) -> GridConv:
    """Round weights to powers of two that are as fine as exact float32 sums allow."""
    magnitudes = np.abs(weight).sum(axis=(1, 2)) * reach / input_step
    steps = 2.0 ** np.ceil(np.log2(np.maximum(magnitudes, 1e-30) / magnitude_sum))
    rounded = np.rint(weight / steps[:, None, None]) * steps[:, None, None]
    bias_steps = steps * input_step
    return GridConv(
        conv.name,
        rounded.astype(np.float32),
        (np.rint(bias / bias_steps) * bias_steps).astype(np.float32),
        conv.padding,
    )


def _int8_conv(conv: Conv, weight: FloatArray, bias: FloatArray, before: QStep, target: Affine) -> QConv:
    assert isinstance(before, Digits | QLeaky)
    source = before.tensor if isinstance(before, Digits) else before.target
    peaks = np.abs(weight).max(axis=(1, 2))
    scales = (np.maximum(peaks, 1e-12) / WEIGHT_MAX).astype(np.float32)
    exact = weight / scales[:, None, None]
    parts = [np.rint(exact)]
    rest = exact
    for gain in before.gains if isinstance(before, Digits) else ():
        # Each residue channel takes what the coarser one's rounded weights have left of the wanted weight.
        parts.append(np.rint(rest / gain))
        rest = rest - parts[-1] * gain
    bias_scales = np.float32(source.scale) * scales
    return QConv(
        conv.name,
        np.concatenate(parts, axis=1).astype(np.int8),
        scales,
        np.rint(bias / bias_scales).astype(np.int32),
        conv.padding,
        source,
        target,
    )


def _leaky(step: Leaky, before: QStep, *, is_last_float: bool) -> list[QStep]:
    if isinstance(before, QConv | QPool):
        source = before.target if isinstance(before, QConv) else before.tensor
        return [QLeaky(step.name, source, LEAKY_ZERO, LEAKY_POSITIVE, LEAKY_NEGATIVE)]
    return [step, ACTIVATION_DIGITS if is_last_float else Grid(f"{step.name}.grid", ACTIVATION_GRID_STEP)]


def _correct_output(draft: QuantisedTrunk, calibration: Calibration) -> QuantisedTrunk:
    """Set gain and offset so that each feature is right on average.

    The maximum of values with rounding noise is a little too large, and so is their deviation; the mean over
    the calibration windows, without the outermost ones (they may saturate), takes that out.
    """
    pooled, gain = draft.pool.name, draft.divisors[draft.pool.name]
    values = int8_pooled(draft, calibration.windows).astype(np.float64) * gain + draft.shift
    errors = np.sort(calibration.pooled(pooled) - values, axis=0)
    cut = int(_TRIM * len(errors))
    offset = draft.shift + errors[cut : len(errors) - cut].mean(axis=0)
    return replace(draft, gain=gain.astype(np.float32), offset=offset.astype(np.float32))
