"""The trunk as TFLite files, fp32 and int8, written with ``flatbuffers`` and LiteRT's generated schema.

Batch 1, float in and out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .graph import LEAST_VARIANCE, SLOPE, Conv, GlobalMax, GlobalStats, Leaky, Pool, Trunk
from .quantised import (
    MAGNIFY,
    Digits,
    Grid,
    GridConv,
    QConv,
    QGlobalMax,
    QGlobalStats,
    QLeaky,
    QPool,
    QuantisedTrunk,
)
from .tflite_graph import Graph

OUTPUT_NAME = "embedding"


def fp32_tflite(trunk: Trunk) -> bytes:
    """Return the float trunk as a TFLite file: ``window`` (1, 2560) to ``embedding`` (1, d)."""
    graph = Graph()
    x = graph.image(graph.input())
    for step in trunk.steps:
        match step:
            case Conv():
                weight = graph.constant(f"{step.name}.weight", _ohwi(step.weight))
                bias = graph.constant(f"{step.name}.bias", step.bias)
                x = graph.conv(step, x, weight, bias)
            case Pool():
                x = graph.pool(step.name, x)
            case GlobalMax():
                x = graph.global_max(step.name, x)
            case Leaky():
                last = step is trunk.steps[-1]
                x = graph.leaky(OUTPUT_NAME if last else step.name, x, SLOPE)
            case GlobalStats():
                x = _stats(graph, step.name, x)
    return graph.encode(x)


def int8_tflite(trunk: QuantisedTrunk) -> bytes:
    """Return the int8 trunk as a TFLite file with float input and output."""
    graph = Graph()
    x = graph.image(graph.input())
    for step in trunk.steps:
        match step:
            case Grid():
                if step.reach is not None:
                    x = graph.clip(f"{step.name}.clip", x, -step.reach, step.reach)
                x = graph.round(step.name, x, step)
            case GridConv():
                weight = graph.constant(f"{step.name}.weight", _ohwi(step.weight))
                x = graph.conv(step, x, weight, graph.constant(f"{step.name}.bias", step.bias))
            case Pool():
                x = graph.pool(step.name, x)
            case Leaky():
                x = graph.leaky(step.name, x, SLOPE)
            case Digits():
                x = _digits(graph, step, x)
            case QConv():
                weight = graph.constant(f"{step.name}.weight", _ohwi(step.weight), step.weight_scales)
                bias = graph.constant(f"{step.name}.bias", step.bias, step.bias_scales)
                x = graph.conv(step, x, weight, bias, step.target)
            case QPool():
                x = graph.pool(step.name, x, step.tensor)
            case QGlobalMax():
                x = graph.dequantise("maxima", graph.global_max(step.name, x, step.tensor))
            case QGlobalStats():
                x = _whole_stats(graph, step, x)
            case QLeaky():
                x = graph.leaky(step.name, x, step.slope, step.target)
    maxima = isinstance(trunk.pool, QGlobalMax)
    x = graph.multiply("scaled", x, graph.constant("gain", trunk.gain[None]))
    x = graph.add("shifted" if maxima else OUTPUT_NAME, x, graph.constant("offset", trunk.offset[None]))
    return graph.encode(graph.leaky(OUTPUT_NAME, x, SLOPE) if maxima else x)


def _stats(graph: Graph, name: str, x: int) -> int:
    """Pool (1, 1, steps, 128) as (1, 384)."""
    largest = graph.global_max(f"{name}.max", x)
    mean = graph.reduce("MEAN", f"{name}.mean", x)
    # Kept as (1, 1, 1, 128) beside the flat one, to be taken from all steps.
    rest = graph.subtract(f"{name}.rest", x, graph.reduce("MEAN", f"{name}.mean.kept", x, keep=True))
    variance = graph.reduce("MEAN", f"{name}.mean_square", graph.multiply(f"{name}.square", rest, rest))
    deviation = graph.root(f"{name}.std", graph.at_least(f"{name}.variance", variance, LEAST_VARIANCE))
    return graph.concatenate(OUTPUT_NAME, [largest, mean, deviation])


def _whole_stats(graph: Graph, step: QGlobalStats, x: int) -> int:
    """Pool int8 whole numbers (1, 1, steps, 128) as float (1, 384): see ``QGlobalStats``."""
    name, grid = step.name, step.root_grid

    def number(part: str, value: float) -> int:
        return graph.constant(f"{name}.{part}", np.array([value], np.float32))

    share, zero = number("share", step.share), graph.constant(f"{name}.zero", step.zero[None])

    def mean_and_variance(part: str, values: int) -> tuple[int, int]:
        total = graph.reduce("SUM", f"{part}.sum", values)
        squares = graph.reduce("SUM", f"{part}.squares", graph.multiply(f"{part}.each2", values, values))
        mean, square = (graph.multiply(f"{part}.share", each, share) for each in (total, squares))
        return mean, graph.subtract(f"{part}.variance", square, graph.multiply(f"{part}.mean2", mean, mean))

    q = graph.dequantise(f"{name}.q", x)
    floor = graph.constant(f"{name}.floor", -step.zero[None, None, None])
    mean_q, variance_q = mean_and_variance(f"{name}.q", q)
    mean_m, variance_m = mean_and_variance(f"{name}.m", graph.maximum(f"{name}.m", q, floor))
    positive = graph.add(f"{name}.positive", mean_m, zero)
    four_times = graph.multiply(f"{name}.positive4", number("four", 4.0), positive)
    mean = graph.add(f"{name}.mean", graph.add(f"{name}.negative", mean_q, zero), four_times)
    spread_m = graph.multiply(f"{name}.spread_m", number("24", 24.0), variance_m)
    spread = graph.add(f"{name}.spread", variance_q, spread_m)
    distance = graph.subtract(f"{name}.distance", mean_m, mean_q)
    between = graph.multiply(f"{name}.between", distance, positive)
    between = graph.multiply(f"{name}.between8", number("eight", 8.0), between)
    assert grid.reach is not None
    variance = graph.add(f"{name}.variance", spread, between)
    variance = graph.clip(f"{name}.variance.clip", variance, 0.0, grid.reach**2)
    near = graph.round(f"{name}.near", graph.root(f"{name}.root", variance), grid)
    beyond = graph.subtract(f"{name}.beyond", variance, graph.multiply(f"{name}.near2", near, near))
    beyond = graph.multiply(f"{name}.beyond.magnified", beyond, number("magnify", MAGNIFY))
    deviation = graph.add(f"{name}.std", near, graph.clip(f"{name}.down", beyond, -grid.step, 0.0))
    largest = graph.dequantise(f"{name}.max.float", graph.global_max(f"{name}.max", x, step.tensor))
    largest = graph.leaky(f"{name}.max.leaky", graph.add(f"{name}.max.shifted", largest, zero), SLOPE)
    return graph.concatenate(name, [largest, mean, deviation])


def _digits(graph: Graph, step: Digits, x: int) -> int:
    rounded = graph.quantise(f"{step.name}.rounded", x, step.tensor)
    rounded = graph.dequantise(f"{step.name}.rounded.float", rounded)
    residue = graph.subtract(f"{step.name}.residue", x, rounded)
    digits = [x]
    for gain in step.gains:
        factor = graph.constant(f"{step.name}.gain{gain}", np.array([gain], np.float32))
        digits.append(graph.multiply(f"{step.name}.residue{gain}", residue, factor))
    return graph.quantise(step.name, graph.concatenate(f"{step.name}.float", digits), step.tensor)


def _ohwi(weight: NDArray[np.generic]) -> NDArray[np.generic]:
    """(outputs, inputs, taps) to TFLite's (outputs, 1, taps, inputs)."""
    return weight.transpose(0, 2, 1)[:, None]
