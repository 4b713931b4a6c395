"""A head: standardise its inputs, a few dense layers with ReLU between, a temperature, probabilities.

It is stored as plain arrays in an ``.npz`` (``mean``, ``scale``, ``w0``, ``b0``, ``w1``, ``b1``, …,
``temperature``), never pickled, so that a bundle can carry no code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import BundleError
from .arrays import read_npz

Float32Array = NDArray[np.float32]


class MlpHead:
    """Inputs (n, d) to probabilities (n, classes): embeddings, with interval features behind them or not.

    Parameters
    ----------
    mean, scale:
        (d,) standardisation of the inputs: ``(input - mean) / scale``; ``scale`` is positive. An input that
        is NaN (an interval feature of a window in which too few beats were found) counts as its mean.
    weights, biases:
        One (inputs, outputs) and one (outputs,) array a layer. One output in the last layer is the logit of
        the second of two labels (sigmoid); k >= 2 outputs are k labels (softmax).
    temperature:
        Logits are divided by it (Guo et al., ICML 2017), so that confidence means what it says.

    Raises
    ------
    ValueError
        When the shapes do not fit each other, or a value is not finite.

    """

    def __init__(
        self,
        mean: ArrayLike,
        scale: ArrayLike,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike],
        temperature: float = 1.0,
    ) -> None:
        self.mean = np.asarray(mean, dtype=np.float32)
        self.scale = np.asarray(scale, dtype=np.float32)
        self.weights = [np.asarray(weight, dtype=np.float32) for weight in weights]
        self.biases = [np.asarray(bias, dtype=np.float32) for bias in biases]
        self.temperature = float(temperature)
        self._check()

    @property
    def inputs(self) -> int:
        """How many values the head takes: the embedding's, and those of its interval features."""
        return int(self.mean.shape[0])

    @property
    def classes(self) -> int:
        """Number of labels that the head tells apart."""
        return max(2, int(self.weights[-1].shape[1]))

    def logits(self, inputs: ArrayLike) -> Float32Array:
        """Calibrated logits of (n, d) inputs: (n, 1) for a binary head, else (n, classes)."""
        values = (np.asarray(inputs, dtype=np.float32) - self.mean) / self.scale
        values = np.where(np.isnan(values), np.float32(0.0), values)
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = values @ weight + bias
            if index < last:
                values = np.maximum(values, 0.0)
        return np.asarray(values / np.float32(self.temperature), dtype=np.float32)

    def probabilities(self, inputs: ArrayLike) -> Float32Array:
        """Probabilities (n, classes) of (n, d) inputs; each row sums to 1."""
        logits = self.logits(inputs).astype(np.float64)
        if logits.shape[1] == 1:
            # A sigmoid is the softmax of (0, logit).
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    def save(self, path: str | Path | IO[bytes]) -> None:
        """Write the head as an ``.npz`` of plain arrays."""
        arrays: dict[str, Float32Array] = {
            "mean": self.mean,
            "scale": self.scale,
            "temperature": np.array(self.temperature, dtype=np.float32),
        }
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            arrays[f"w{index}"] = weight
            arrays[f"b{index}"] = bias
        np.savez(path, **arrays)  # type: ignore[arg-type]  # the stubs mistake a name for allow_pickle

    @classmethod
    def load(cls, file: str | Path | IO[bytes]) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        BundleError
            When the file is no such head.

        """
        try:
            arrays = read_npz(file)
            layers = sum(name.startswith("w") for name in arrays)
            expected = {"mean", "scale", "temperature"}
            expected |= {f"{kind}{index}" for kind in "wb" for index in range(layers)}
            if set(arrays) != expected or not layers:
                raise ValueError(f"it holds the arrays {', '.join(sorted(arrays)) or '(none)'}")
            # What is too large for float32 becomes infinite, which is refused; no need to warn of it.
            with np.errstate(over="ignore"):
                return cls(
                    arrays["mean"],
                    arrays["scale"],
                    [arrays[f"w{index}"] for index in range(layers)],
                    [arrays[f"b{index}"] for index in range(layers)],
                    arrays["temperature"].item(),
                )
        except (ValueError, TypeError) as error:
            raise BundleError(
                "A head file is not readable.", why=f"{error}.", remedy="Export the bundle again."
            ) from error

    def _check(self) -> None:
        if self.mean.ndim != 1 or self.scale.shape != self.mean.shape:
            raise ValueError(f"mean {self.mean.shape} and scale {self.scale.shape} must be one vector each")
        if not self.weights or len(self.weights) != len(self.biases):
            raise ValueError(f"{len(self.weights)} weights and {len(self.biases)} biases")
        width = self.inputs
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if weight.ndim != 2 or weight.shape[0] != width or bias.shape != weight.shape[1:]:
                raise ValueError(f"layer {index}: {weight.shape} and {bias.shape} after a width of {width}")
            width = int(weight.shape[1])
        arrays = [self.mean, self.scale, *self.weights, *self.biases]
        if not all(np.isfinite(array).all() for array in arrays) or not np.isfinite(self.temperature):
            raise ValueError("a value is not finite")
        if not (self.scale > 0).all() or not self.temperature > 0:
            raise ValueError("scale and temperature must be positive")
