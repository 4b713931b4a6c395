"""``golden.npz``: a few windows and what each engine is expected to make of them (a self-test)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleError
from ..heads import read_npz
from .manifest import GOLDEN_NAME
from .reader import Bundle

Float32Array = NDArray[np.float32]

_EMBEDDING = "embedding."
_PROBABILITIES = "probabilities."


@dataclass(frozen=True, slots=True)
class Golden:
    """Golden windows and expectations.

    Attributes
    ----------
    windows:
        (k, 2560) float32, normalised.
    embeddings:
        (k, d) float32 by engine name.
    probabilities:
        (k, classes) float32 by task, of the plain heads (no baseline).

    """

    windows: Float32Array
    embeddings: Mapping[str, Float32Array] = field(default_factory=dict)
    probabilities: Mapping[str, Float32Array] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the ``.npz`` file."""
        arrays = {"windows": self.windows}
        arrays |= {_EMBEDDING + engine: values for engine, values in self.embeddings.items()}
        arrays |= {_PROBABILITIES + task: values for task, values in self.probabilities.items()}
        stream = io.BytesIO()
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # the stubs mistake a name for allow_pickle
        return stream.getvalue()

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> Self:
        """Read the golden windows of a bundle.

        Raises
        ------
        BundleError
            When the bundle holds none, or they do not fit its manifest.

        """
        data = bundle.read(GOLDEN_NAME)
        try:
            # What is too large for float32 becomes infinite, which is refused; no need to warn of it.
            with np.errstate(over="ignore"):
                read = {
                    name: np.asarray(values, dtype=np.float32)
                    for name, values in read_npz(io.BytesIO(data)).items()
                }
            if "windows" not in read:
                raise ValueError("it holds no windows")
            golden = cls(
                windows=read["windows"],
                embeddings=_named(read, _EMBEDDING),
                probabilities=_named(read, _PROBABILITIES),
            )
            golden._check(bundle)
        except (ValueError, TypeError) as error:
            raise BundleError(
                f"The golden windows of {bundle.source} are not readable.",
                why=f"{error}.",
                remedy="Export the bundle again.",
            ) from error
        return golden

    def _check(self, bundle: Bundle) -> None:
        count = len(self.windows)
        expected = {"windows": (self.windows, bundle.manifest.input.window_samples)}
        for engine, values in self.embeddings.items():
            expected[_EMBEDDING + engine] = (values, bundle.manifest.encoder.embedding)
        for task, values in self.probabilities.items():
            if task not in bundle.manifest.tasks:
                raise ValueError(f"{task!r} is no task of the bundle")
            expected[_PROBABILITIES + task] = (values, len(bundle.manifest.tasks[task].labels))
        for name, (values, width) in expected.items():
            if count == 0 or values.shape != (count, width) or not np.isfinite(values).all():
                raise ValueError(
                    f"{name} has shape {values.shape}, expected ({count}, {width}) finite values"
                )


def _named(arrays: Mapping[str, Float32Array], prefix: str) -> dict[str, Float32Array]:
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}
