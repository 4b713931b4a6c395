"""A model: one encoder and the heads that share its embedding."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.resources import as_file, files
from typing import IO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bundle import Bundle, Manifest, read_bundle
from .engines import AUTO, Encoder, open_encoder
from .errors import BundleError
from .heads import MlpHead

Float32Array = NDArray[np.float32]


class Model:
    """An opened bundle, ready to embed and to predict.

    Attributes
    ----------
    manifest:
        What the bundle says of itself.
    name_at_sha:
        ``NAME@SHA12``, the name that stands in records.
    encoder:
        The encoder in the engine that was chosen; ``encoder.name`` says which.
    heads:
        One head a task.

    """

    def __init__(self, bundle: Bundle, encoder: Encoder, heads: Mapping[str, MlpHead]) -> None:
        self.bundle = bundle
        self.manifest: Manifest = bundle.manifest
        self.name_at_sha = bundle.name_at_sha
        self.encoder = encoder
        self.heads = dict(heads)

    @property
    def engine(self) -> str:
        """The engine's name, e.g. ``litert-int8``."""
        return self.encoder.name

    def embed(self, windows: ArrayLike) -> Float32Array:
        """Embed windows.

        Parameters
        ----------
        windows:
            (n, 2560) at 256 Hz, preprocessed and normalised as the manifest says.

        Returns
        -------
        (n, 128) float32.

        Raises
        ------
        ValueError
            When the shape is another, or a value is not finite.

        """
        return self.encoder.embed(windows)

    def decide(self, embeddings: ArrayLike) -> dict[str, Float32Array]:
        """Probabilities by task, (n, labels) each, of (n, 128) embeddings."""
        return {task: head.probabilities(embeddings) for task, head in self.heads.items()}

    def predict(self, windows: ArrayLike) -> dict[str, Float32Array]:
        """Probabilities by task, (n, labels) each, of (n, 2560) windows; one encoder pass serves all tasks.

        Raises
        ------
        ValueError
            As :meth:`embed`.

        """
        return self.decide(self.embed(windows))


def load_model(path: str | os.PathLike[str] | IO[bytes] | None = None, engine: str = AUTO) -> Model:
    """Load a model from a bundle.

    Parameters
    ----------
    path:
        An ``.ecgb`` file or a binary stream of one; None for the model that comes with edge-ecg.
    engine:
        ``auto``, a runtime (``litert``, ``onnx``) or an engine's full name (``litert-int8``).

    Raises
    ------
    BundleError
        When the bundle is damaged, foreign or too new, or holds no encoder for the engine.
    UsageError
        When no installed package runs the engine.

    """
    bundle = bundled() if path is None else read_bundle(path)
    return open_model(bundle, engine, load_heads(bundle))


def open_model(bundle: Bundle, engine: str, heads: Mapping[str, MlpHead]) -> Model:
    """Open a bundle that has been read already, with its heads; raises as :func:`load_model`."""
    return Model(bundle, open_encoder(bundle, engine), heads)


def load_heads(bundle: Bundle) -> dict[str, MlpHead]:
    """Return the head of each task.

    Raises
    ------
    BundleError
        When one is not readable or does not fit the manifest.

    """
    return {name: _head(bundle, name) for name in bundle.manifest.tasks}


def bundled() -> Bundle:
    """Read the bundle that comes with edge-ecg.

    Raises
    ------
    BundleError
        When this installation holds none.

    """
    folder = files("edge_ecg") / "models"
    found = sorted(
        (item for item in folder.iterdir() if item.name.endswith(".ecgb")), key=lambda item: item.name
    )
    if not found:
        raise BundleError(
            "This installation of edge-ecg comes without a model.",
            remedy="Give a bundle with --model, or install the released package: pip install edge-ecg",
        )
    with as_file(found[0]) as path:
        return read_bundle(path)


def _head(bundle: Bundle, task: str) -> MlpHead:
    spec = bundle.manifest.tasks[task]
    head = MlpHead.load(bundle.open(spec.head))
    if head.inputs != bundle.manifest.encoder.embedding or head.classes != len(spec.labels):
        raise BundleError(
            f"The head of the task {task!r} in {bundle.source} does not fit.",
            why=f"It maps {head.inputs} values to {head.classes} labels; the manifest says "
            f"{bundle.manifest.encoder.embedding} and {len(spec.labels)}.",
            remedy="Export the bundle again.",
        )
    return head
