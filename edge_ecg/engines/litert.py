"""Encoders in LiteRT, or in the older tflite-runtime where that is what the machine has."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import BundleError
from .base import INPUT_SAMPLES, Encoder, Float32Array, as_windows
from .quiet import without_info_lines
from .tflite_file import check_tflite

try:
    from ai_edge_litert.interpreter import Interpreter

    _PACKAGE = "ai-edge-litert"
except ModuleNotFoundError:  # 32-bit Raspberry Pi OS and old images: there is no LiteRT wheel
    from tflite_runtime.interpreter import Interpreter

    _PACKAGE = "tflite-runtime"


class LiteRtEncoder:
    """One interpreter; its file takes one window at a time, so a batch is a loop."""

    def __init__(self, name: str, interpreter: Any) -> None:
        self.name = name
        self.version = f"{_PACKAGE} {_installed(_PACKAGE)}"
        self.backend = _backend(interpreter)
        self._interpreter = interpreter
        self._input = interpreter.get_input_details()[0]["index"]
        made = interpreter.get_output_details()[0]
        self._output = made["index"]
        self.embedding = int(made["shape"][1])

    def embed(self, windows: ArrayLike) -> Float32Array:
        """(n, 2560) normalised windows to (n, d) embeddings; ValueError on another shape."""
        values = as_windows(windows)
        embeddings = np.empty((len(values), self.embedding), dtype=np.float32)
        for index in range(len(values)):
            self._interpreter.set_tensor(self._input, values[index : index + 1])
            self._interpreter.invoke()
            embeddings[index] = self._interpreter.get_tensor(self._output)[0]
        return embeddings


def load(name: str, model: bytes, *, threads: int = 1) -> Encoder:
    """Load a TFLite file from memory.

    Raises
    ------
    BundleError
        When LiteRT refuses the file, or it is no encoder of (1, 2560) to (1, d) float32 values.

    """
    try:
        check_tflite(model)
        with without_info_lines():
            interpreter = Interpreter(model_content=model, num_threads=threads)
            interpreter.allocate_tensors()
        (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
        shapes = (list(given["shape"]), list(made["shape"]))
        fits = shapes[0] == [1, INPUT_SAMPLES] and len(shapes[1]) == 2 and shapes[1][0] == 1
        if not fits or given["dtype"] is not np.float32:
            raise ValueError(f"it maps {shapes[0]} to {shapes[1]}")
    except (ValueError, RuntimeError, TypeError) as error:
        raise BundleError(
            f"LiteRT cannot load the encoder {name!r}.",
            why=str(error),
            remedy="Export the bundle again, or choose another --engine.",
        ) from error
    return LiteRtEncoder(name, interpreter)


def _backend(interpreter: Any) -> str:
    """Whether the XNNPACK delegate took the graph over; without /sys, as in some containers, it does not."""
    list_ops = getattr(interpreter, "_get_ops_details", None)  # no public name tells it
    if list_ops is None:
        return "unknown"
    return "XNNPACK" if any(op["op_name"] == "DELEGATE" for op in list_ops()) else "built-in kernels"


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(version unknown)"
