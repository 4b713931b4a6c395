"""Encoders in ONNX Runtime."""

from __future__ import annotations

import os

import numpy as np

# Since 1.32 the wheels for Linux report to their maker over HTTPS and keep a device's number below ~/.cache,
# unless this is set before they are loaded. Nothing leaves a machine that nobody asked for.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from numpy.typing import ArrayLike

from ..errors import BundleError
from .base import INPUT_SAMPLES, Encoder, Float32Array, as_windows
from .onnx_file import check_onnx


class OnnxEncoder:
    """One inference session on the CPU; takes any number of windows in one call."""

    def __init__(self, name: str, session: onnxruntime.InferenceSession, embedding: int) -> None:
        self.name = name
        self.embedding = embedding
        self.version = f"onnxruntime {onnxruntime.__version__}"
        self.backend = ", ".join(session.get_providers())
        self._session = session
        self._input = session.get_inputs()[0].name

    def embed(self, windows: ArrayLike) -> Float32Array:
        """(n, 2560) normalised windows to (n, d) embeddings; ValueError on another shape."""
        values = as_windows(windows)
        if not len(values):
            return np.zeros((0, self.embedding), dtype=np.float32)
        (embedding,) = self._session.run(None, {self._input: values})
        return np.asarray(embedding, dtype=np.float32)


def load(name: str, model: bytes, *, threads: int = 1) -> Encoder:
    """Load an ONNX file from memory.

    Raises
    ------
    BundleError
        When ONNX Runtime refuses the file, or it is no encoder of 2560 samples to so many values.

    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Waiting threads must sleep: a device in the field runs on a battery and shares its cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        check_onnx(model)
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        (given,), (made,) = session.get_inputs(), session.get_outputs()
        # A dimension that is free has a name instead of a number.
        if given.shape[1:] != [INPUT_SAMPLES] or len(made.shape) != 2 or not isinstance(made.shape[1], int):
            raise ValueError(f"it maps {given.shape} to {made.shape}")
    except Exception as error:  # the runtime's exceptions share no base class of their own
        raise BundleError(
            f"ONNX Runtime cannot load the encoder {name!r}.",
            why=str(error),
            remedy="Export the bundle again, or choose another --engine.",
        ) from error
    return OnnxEncoder(name, session, made.shape[1])
