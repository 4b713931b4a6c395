"""The trunk as a plain list of steps, which both writers, the reference and the quantiser walk.

LeakyReLU rises, so it commutes with a maximum: it stands after the pools here, where four times fewer values
(and, after a global maximum, 635 times fewer) go through it. Means and deviations do not commute with it: a
trunk that is pooled by those has it in front. Weights keep PyTorch's layout (outputs, inputs, taps); "same"
padding puts (taps - 1) // 2 zeros on the left and taps // 2 on the right, as PyTorch, TensorFlow and TFLite
all do for even kernels; "valid" puts none.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_ecg.errors import DataError

Float32Array = NDArray[np.float32]

WINDOW_SAMPLES = 2560
CHANNELS = 128
SLOPE = 0.2
POOL_SIZE = 8
POOL_STRIDE = 2
CONV_SHAPES = ((32, 1, 32), (32, 32, 32), (64, 32, 16), (64, 64, 16), (128, 64, 8), (128, 128, 8))
PADDINGS = ("same", "valid")
POOLINGS = ("max", "max-mean-std")
# Below it a feature counts as constant in the window, in training as here.
LEAST_VARIANCE = 1e-8
_POOLED = (2, 4)


@dataclass(frozen=True, eq=False)
class Conv:
    """A convolution with stride 1.

    Attributes
    ----------
    weight, bias:
        (outputs, inputs, taps) and (outputs,).
    padding:
        Zeros on the left and on the right.
    """

    name: str
    weight: Float32Array
    bias: Float32Array
    padding: tuple[int, int]


@dataclass(frozen=True)
class Pool:
    """The maximum over 8 steps, every 2 steps, without padding."""

    name: str


@dataclass(frozen=True)
class Leaky:
    """``x`` where positive, ``0.2 x`` elsewhere."""

    name: str


@dataclass(frozen=True)
class GlobalMax:
    """The maximum over all steps."""

    name: str


@dataclass(frozen=True)
class GlobalStats:
    """Maxima, means and (population) standard deviations over all steps, one after the other.

    Variances below 1e-8 count as 1e-8.
    """

    name: str


Step = Conv | Pool | Leaky | GlobalMax | GlobalStats


@dataclass(frozen=True, eq=False)
class Trunk:
    """The float trunk: (n, 2560) windows to (n, 128 or 384) embeddings."""

    steps: tuple[Step, ...]

    @property
    def pooling(self) -> str:
        """How the time axis ends: "max" or "max-mean-std"."""
        return POOLINGS[isinstance(self.steps[-1], GlobalStats)]

    @property
    def embedding(self) -> int:
        """Length of an embedding."""
        return CHANNELS * (3 if self.pooling == "max-mean-std" else 1)

    @property
    def last_steps(self) -> int:
        """How many steps of time the last convolution makes of a window."""
        steps = WINDOW_SAMPLES
        for step in self.steps:
            if isinstance(step, Conv):
                steps += sum(step.padding) - step.weight.shape[2] + 1
            elif isinstance(step, Pool):
                steps = (steps - POOL_SIZE) // POOL_STRIDE + 1
        return steps

    @property
    def convs(self) -> tuple[Conv, ...]:
        """The six convolutions."""
        return tuple(step for step in self.steps if isinstance(step, Conv))


def make_trunk(arrays: Mapping[str, NDArray[np.generic]]) -> Trunk:
    """Build the trunk from ``conv1.weight``, ``conv1.bias`` … ``conv6.bias``, ``padding`` and ``pooling``.

    Without the last two it is that of Table 1: padded to "same", pooled by the maximum.

    Raises
    ------
    DataError
        When an array is missing, has another shape, or holds a value that is not finite.
    """
    padding, pooling = _choice(arrays, "padding", PADDINGS), _choice(arrays, "pooling", POOLINGS)
    return Trunk(tuple(_steps(arrays, padding, pooling)))


def load_trunk(path: Path) -> Trunk:
    """Build the trunk from ``encoder.npz``.

    Raises
    ------
    DataError
        When the file cannot be read or is no trunk of Table 1.
    """
    try:
        # Opened here: NumPy leaves the file open when it is no whole archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return make_trunk({name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"The encoder {path} cannot be read.",
            why=str(error),
            remedy="Train it with `edge-ecg train pretext STORE -o RUN`.",
        ) from error


def _choice(arrays: Mapping[str, NDArray[np.generic]], name: str, known: tuple[str, ...]) -> str:
    said = str(arrays[name]) if name in arrays else known[0]
    if said not in known:
        raise DataError(f"The {name} {said!r} of the encoder is unknown.", why=f"Known: {', '.join(known)}.")
    return said


def _steps(arrays: Mapping[str, NDArray[np.generic]], padding: str, pooling: str) -> Iterator[Step]:
    for index, shape in enumerate(CONV_SHAPES, start=1):
        weight = _array(arrays, f"conv{index}.weight", shape)
        bias = _array(arrays, f"conv{index}.bias", shape[:1])
        taps = shape[2]
        yield Conv(
            f"conv{index}", weight, bias, ((taps - 1) // 2, taps // 2) if padding == "same" else (0, 0)
        )
        if index in _POOLED:
            yield Pool(f"pool{index}")
        last = index == len(CONV_SHAPES)
        if last and pooling == "max":
            yield GlobalMax(f"max{index}")
        yield Leaky(f"leaky{index}")
        if last and pooling == "max-mean-std":
            yield GlobalStats(f"stats{index}")


def _array(arrays: Mapping[str, NDArray[np.generic]], name: str, shape: tuple[int, ...]) -> Float32Array:
    if name not in arrays:
        raise DataError(f"The encoder holds no array {name!r}.", why=f"It holds {', '.join(sorted(arrays))}.")
    array = np.ascontiguousarray(arrays[name], dtype=np.float32)
    if array.shape != shape:
        raise DataError(f"The array {name!r} of the encoder has shape {array.shape}, not {shape}.")
    if not np.isfinite(array).all():
        raise DataError(
            f"The array {name!r} of the encoder holds values that are not finite.",
            why="The training diverged.",
            remedy="Train it again with a lower learning rate.",
        )
    return array
