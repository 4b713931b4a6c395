"""The trunk as a plain list of steps, which both writers, the reference and the quantiser walk.

LeakyReLU rises, so it commutes with a maximum: it stands after the pools here, where four times fewer values
(and, after the global maximum, 635 times fewer) go through it. Weights keep PyTorch's layout
(outputs, inputs, taps); "same" padding puts (taps - 1) // 2 zeros on the left and taps // 2 on the right, as
PyTorch, TensorFlow and TFLite all do for even kernels.
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
EMBEDDING = 128
LAST_STEPS = 635
SLOPE = 0.2
POOL_SIZE = 8
POOL_STRIDE = 2
CONV_SHAPES = ((32, 1, 32), (32, 32, 32), (64, 32, 16), (64, 64, 16), (128, 64, 8), (128, 128, 8))
_POOLED = (2, 4)


@dataclass(frozen=True, eq=False)
class Conv:
    """A convolution with stride 1 and "same" padding: weight (outputs, inputs, taps), bias (outputs,)."""

    name: str
    weight: Float32Array
    bias: Float32Array

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros on the left and on the right."""
        taps = self.weight.shape[2]
        return (taps - 1) // 2, taps // 2


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


Step = Conv | Pool | Leaky | GlobalMax


@dataclass(frozen=True, eq=False)
class Trunk:
    """The float trunk: (n, 2560) windows to (n, 128) embeddings."""

    steps: tuple[Step, ...]

    @property
    def convs(self) -> tuple[Conv, ...]:
        """The six convolutions."""
        return tuple(step for step in self.steps if isinstance(step, Conv))


def make_trunk(arrays: Mapping[str, NDArray[np.generic]]) -> Trunk:
    """Build the trunk from ``conv1.weight``, ``conv1.bias`` … ``conv6.bias``.

    Raises
    ------
    DataError
        When an array is missing, has another shape, or holds a value that is not finite.
    """
    return Trunk(tuple(_steps(arrays)))


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


def _steps(arrays: Mapping[str, NDArray[np.generic]]) -> Iterator[Step]:
    for index, shape in enumerate(CONV_SHAPES, start=1):
        weight = _array(arrays, f"conv{index}.weight", shape)
        bias = _array(arrays, f"conv{index}.bias", shape[:1])
        yield Conv(f"conv{index}", weight, bias)
        if index in _POOLED:
            yield Pool(f"pool{index}")
        if index == len(CONV_SHAPES):
            yield GlobalMax(f"max{index}")
        yield Leaky(f"leaky{index}")


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
