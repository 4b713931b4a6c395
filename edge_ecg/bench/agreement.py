"""The golden windows: whether an engine says on this machine what it said where the bundle was made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..bundle import Golden
from ..engines.base import BUILT_IN
from ..errors import BundleError
from ..model import Model

# Of the kernels that bundles are made with (XNNPACK, ONNX Runtime) int8 gives the same bits, fp32 almost.
MIN_COSINE = 0.999
# TFLite's own kernels (tflite-runtime, or LiteRT without /sys) round twice where XNNPACK rounds once, and
# that adds up over the layers: 0.9926 on golden windows of the model that comes along, 0.9898 on 80 others.
MIN_COSINE_BUILT_IN = 0.98


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
    max_abs:
        The largest absolute difference.
    decisions_equal:
        Whether each task's label is the expected one in each window.
    least_cosine:
        What is asked of ``min_cosine`` of this engine's kernels.

    """

    windows: int
    min_cosine: float
    equal: float
    max_abs: float
    decisions_equal: bool
    least_cosine: float = MIN_COSINE

    @property
    def passed(self) -> bool:
        """Whether the model is the model that was exported."""
        return self.min_cosine >= self.least_cosine and self.decisions_equal


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
    here, there = model.decide(found, golden.windows), model.decide(expected, golden.windows)
    difference = float(np.abs(found - expected).max())
    return Agreement(
        windows=len(expected),
        min_cosine=float(cosines.min()),
        equal=float(np.mean(found == expected)),
        max_abs=difference,
        decisions_equal=all(
            np.array_equal(here[task].argmax(axis=1), there[task].argmax(axis=1)) for task in here
        ),
        least_cosine=MIN_COSINE_BUILT_IN if model.encoder.backend == BUILT_IN else MIN_COSINE,
    )
