"""Layer by layer: how far the int8 network is from the float one, and which layer is to blame.

A layer is a convolution with what follows it up to the next one (pool, LeakyReLU, global pooling). Noise
that a layer inherits says nothing about the layer; so its own noise is what it adds to the exact result for
the very input that it got.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .graph import Conv, GlobalMax, Step, Trunk
from .quantised import Affine, Digits, Grid, QConv, QGlobalMax, QLeaky, QPool, QStep, QuantisedTrunk
from .reference import FloatArray, float_step, int8_steps

_SILENT_DB = 200.0


@dataclass(frozen=True, slots=True)
class LayerFidelity:
    """One layer.

    Attributes
    ----------
    name:
        Of its convolution.
    snr_db:
        Its output's power over that of the deviation from the float network.
    own_snr_db:
        Its output's power over that of the noise which the layer itself adds.
    """

    name: str
    snr_db: float
    own_snr_db: float


def layer_fidelity(
    trunk: Trunk, quantised: QuantisedTrunk, windows: NDArray[np.floating]
) -> tuple[LayerFidelity, ...]:
    """Compare the layers of both networks on (n, 2560) windows."""
    layers = list(_layers(trunk))
    power, deviation, added = (np.zeros(len(layers)) for _ in range(3))
    for window in windows:
        outputs = _int8_outputs(quantised, window)
        exact: FloatArray = np.asarray(window, dtype=np.float64)[None, :]
        given = exact
        for index, steps in enumerate(layers):
            for step in steps:
                exact, given = float_step(step, exact), float_step(step, given)
            got = outputs[steps[-1].name]
            power[index] += np.mean(exact**2)
            deviation[index] += np.mean((got - exact) ** 2)
            added[index] += np.mean((got - given) ** 2)
            given = got
    return tuple(
        LayerFidelity(steps[0].name, _db(p, d), _db(p, a))
        for steps, p, d, a in zip(layers, power, deviation, added, strict=True)
    )


def _layers(trunk: Trunk) -> Iterator[list[Step]]:
    """Each convolution with the steps behind it; a LeakyReLU of maxima is computed in float and left out."""
    layer: list[Step] = []
    for step in trunk.steps:
        if isinstance(step, Conv) and layer:
            yield layer
            layer = []
        layer.append(step)
        if isinstance(step, GlobalMax):
            break
    yield layer


def _int8_outputs(quantised: QuantisedTrunk, window: NDArray[np.floating]) -> dict[str, FloatArray]:
    """Step name to what its output stands for, in the float trunk's units."""
    outputs = {}
    steps = {step.name: step for step in quantised.steps}
    for name, values in int8_steps(quantised, window):
        step = steps[name]
        if isinstance(step, Grid | Digits):
            continue
        tensor = _tensor(step)
        real = values if tensor is None else tensor.dequantise(values)
        outputs[name] = np.asarray(real, dtype=np.float64) * quantised.divisors[name][:, None]
        if isinstance(step, QGlobalMax):
            outputs[name] += quantised.shift[:, None]
    return outputs


def _tensor(step: QStep) -> Affine | None:
    match step:
        case QConv() | QLeaky():
            return step.target
        case QPool() | QGlobalMax():
            return step.tensor
        case _:
            return None


def _db(signal: float, noise: float) -> float:
    return float(10.0 * np.log10(signal / noise)) if noise > 0 else _SILENT_DB
