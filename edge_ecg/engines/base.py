"""What every engine is, and the checks that all of them share."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float32Array = NDArray[np.float32]

INPUT_SAMPLES = 2560


class EngineSpec(NamedTuple):
    """One row of the table: the runtime that runs it and the number format of the file."""

    runtime: str
    precision: str


class Encoder(Protocol):
    """A loaded encoder."""

    @property
    def name(self) -> str:
        """Which engine it is, e.g. ``litert-int8``."""
        ...

    @property
    def version(self) -> str:
        """Name and version of the package that runs it."""
        ...

    @property
    def backend(self) -> str:
        """What computes inside that package: ``XNNPACK``, ``built-in kernels``, ``CPUExecutionProvider``."""
        ...

    @property
    def embedding(self) -> int:
        """How many values it makes of a window, as its file says."""
        ...

    def embed(self, windows: ArrayLike) -> Float32Array:
        """(n, 2560) normalised windows to (n, d) embeddings; ValueError on another shape."""
        ...


def as_windows(windows: ArrayLike) -> Float32Array:
    """Return windows as (n, 2560) contiguous float32.

    Raises
    ------
    ValueError
        When the shape is another, or a value is not finite.

    """
    values = np.ascontiguousarray(windows, dtype=np.float32)
    if values.ndim != 2 or values.shape[1] != INPUT_SAMPLES:
        raise ValueError(f"windows have shape {values.shape}, expected (n, {INPUT_SAMPLES})")
    if not np.isfinite(values).all():
        raise ValueError("windows hold values that are not finite")
    return values
