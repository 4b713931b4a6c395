"""The golden windows: whether an engine says on this machine what it said where the bundle was made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bundle import Golden
from ..errors import BundleError
from ..model import Model

Float32Array = NDArray[np.float32]

# Kernels may round differently (tflite-runtime is up to 2 LSB off); a wrong model is far below this.
MIN_COSINE = 0.999


@dataclass(frozen=True, slots=True)
class Agreement:
    """One engine against its own golden embeddings.

    Attributes
    ----------
    windows:
        How many windows were compared.
    min_cosine:
        The lowest cosine between an embedding and the one expected.
    equal:
        Fraction of the values that are equal to the last bit.
    max_lsb:
        The largest difference in steps of the int8 output, as far as the values show them; None for a float
        engine.
    max_abs:
        The largest absolute difference.
    decisions_equal:
        Whether each task's label is the expected one in each window.

    """

    windows: int
    min_cosine: float
    equal: float
    max_lsb: int | None
    max_abs: float
    decisions_equal: bool

    @property
    def passed(self) -> bool:
        """Whether the model is the model that was exported."""
        return self.min_cosine >= MIN_COSINE and self.decisions_equal


def check_engine(model: Model, golden: Golden) -> Agreement:
    """Run the golden windows through a model and compare.

    Raises
    ------
    BundleError
        When the bundle holds no golden embeddings for the model's engine.

    """
    expected = golden.embeddings.get(model.engine)
    if expected is None:
        raise BundleError(
            f"The bundle holds no golden embeddings for the engine {model.engine!r}.",
            why="Without them nobody can tell whether it computes the right thing here.",
            remedy="Export the bundle again.",
        )
    found = model.embed(golden.windows)
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = np.sum(found * expected, axis=1) / np.maximum(norms, np.finfo(np.float32).tiny)
    here, there = model.decide(found), model.decide(expected)
    difference = float(np.abs(found - expected).max())
    return Agreement(
        windows=len(expected),
        min_cosine=float(cosines.min()),
        equal=float(np.mean(found == expected)),
        max_lsb=_steps_apart(found, expected) if model.engine.endswith("int8") else None,
        max_abs=difference,
        decisions_equal=all(
            np.array_equal(here[task].argmax(axis=1), there[task].argmax(axis=1)) for task in here
        ),
    )


def _steps_apart(found: Float32Array, expected: Float32Array) -> int:
    """Return the largest distance in quantisation steps.

    Each of the 128 outputs has its own step, which the file does not tell: it is taken to be the smallest
    distance between two values that occur in that output.
    """
    farthest = 0.0
    for column, wanted in zip(found.T, expected.T, strict=True):
        distances = np.diff(np.unique(np.concatenate([column, wanted])))
        # Products of the same scale differ in the last bits of a float32.
        steps = distances[distances > 1e-6 * np.abs(wanted).max()]
        if len(steps):
            farthest = max(farthest, float(np.abs(column - wanted).max() / steps.min()))
    return round(farthest)
