"""A model: one encoder and the heads that share its embedding."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .bundle import Bundle, Manifest, TrustedKeys, read_bundle
from .engines import AUTO, Encoder, open_encoder
from .errors import BundleError
from .heads import (
    INTERVAL_FEATURES,
    PERSONAL_FEATURES,
    SOURCES,
    MlpHead,
    interval_features_of,
    personal_features,
)

if TYPE_CHECKING:
    from .profile import Profile

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
        One head a task, for a person of whom nothing is known.
    personal_heads:
        The head of each task that has one for people whose baseline is known; its inputs are those of
        :meth:`personal_inputs`.

    """

    def __init__(
        self,
        bundle: Bundle,
        encoder: Encoder,
        heads: Mapping[str, MlpHead],
        personal_heads: Mapping[str, MlpHead] | None = None,
    ) -> None:
        self.bundle = bundle
        self.manifest: Manifest = bundle.manifest
        self.name_at_sha = bundle.name_at_sha
        self.encoder = encoder
        self.heads = dict(heads)
        self.personal_heads = dict(personal_heads or {})

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
        (n, d) float32; the manifest's encoder says how many values d.

        Raises
        ------
        ValueError
            When the shape is another, or a value is not finite.

        """
        return self.encoder.embed(windows)

    def head_inputs(self, task: str, embeddings: ArrayLike, windows: ArrayLike | None = None) -> Float32Array:
        """Put together what the heads of a task see.

        Parameters
        ----------
        task:
            Its name; its interval features stand in the manifest.
        embeddings:
            (n, d).
        windows:
            (n, 2560) of which they are; may be left out where the task has no interval features.

        Returns
        -------
        (n, d + k) float32: the embedding, then the interval features (NaN where beats are missing).

        Raises
        ------
        ValueError
            When the windows are missing, or not as many as the embeddings.

        """
        values = np.asarray(embeddings, dtype=np.float32)
        features = self.manifest.tasks[task].features
        if not features:
            return values
        if windows is None or len(np.asarray(windows)) != len(values):
            raise ValueError(f"the task {task!r} needs the window of each embedding for its features")
        intervals = interval_features_of(np.asarray(windows), features)
        return np.concatenate([values, intervals.astype(np.float32)], axis=1)

    def personal_inputs(
        self,
        task: str,
        embeddings: ArrayLike,
        windows: ArrayLike,
        rest_embedding: ArrayLike,
        rest_sources: ArrayLike,
    ) -> Float32Array:
        """Put together what the head for known people of a task sees.

        Parameters
        ----------
        task:
            Its name; its personal features stand in the manifest.
        embeddings, windows:
            (n, d) and (n, 2560).
        rest_embedding:
            (d,) the median of the person's embeddings at rest.
        rest_sources:
            (3,) the medians of the interval features ``SOURCES`` at rest.

        Returns
        -------
        (n, d + k) float32: embeddings minus that at rest, then the personal features (NaN where beats are
        missing).

        Raises
        ------
        ValueError
            When the shapes do not fit each other.

        """
        change = np.asarray(embeddings, dtype=np.float32) - np.asarray(rest_embedding, dtype=np.float32)
        names = self.manifest.tasks[task].personal_features
        if not names:
            return change
        sources = interval_features_of(np.asarray(windows), SOURCES)
        features = personal_features(sources, rest_sources, names).astype(np.float32)
        return np.concatenate([change, features], axis=1)

    def decide(self, embeddings: ArrayLike, windows: ArrayLike | None = None) -> dict[str, Float32Array]:
        """Probabilities by task, (n, labels) each, by the heads for people of whom nothing is known.

        Parameters and errors are those of :meth:`head_inputs`.
        """
        return {
            task: head.probabilities(self.head_inputs(task, embeddings, windows))
            for task, head in self.heads.items()
        }

    def predict(self, windows: ArrayLike, profile: Profile | None = None) -> dict[str, Float32Array]:
        """Probabilities by task, (n, labels) each; one encoder pass serves all tasks.

        Parameters
        ----------
        windows:
            (n, 2560), as for :meth:`embed`, each judged by itself.
        profile:
            The baseline of the person whose windows they are (:func:`edge_ecg.load_profile`): tasks that have
            a personal head, the model's or a refitted one, are decided by it.

        Raises
        ------
        ValueError
            As :meth:`embed`.
        BundleError, UsageError
            When the profile belongs to another model, or was taken behind another filter.

        """
        embeddings = self.embed(windows)
        found = self.decide(embeddings, windows)
        if profile is None:
            return found
        profile.require_fit(self, self.manifest.input.preprocessing.notch_hz)
        for task, head in self.personal_heads.items():
            refitted = profile.heads.get(task)
            inputs = self.personal_inputs(task, embeddings, windows, profile.embedding, profile.sources)
            found[task] = (refitted.head if refitted else head).probabilities(inputs)
        return found


def load_model(
    path: str | os.PathLike[str] | IO[bytes] | None = None, engine: str = AUTO, *, untrusted: bool = False
) -> Model:
    """Load a model from a bundle.

    Parameters
    ----------
    path:
        An ``.ecgb`` file or a binary stream of one; None for the model that comes with edge-ecg.
    engine:
        ``auto``, a runtime (``litert``, ``onnx``) or an engine's full name (``litert-int8``).
    untrusted:
        Load it even where this machine trusts keys and none of them signed it. The model that comes with
        edge-ecg needs no signature: it is part of the installed program.

    Raises
    ------
    BundleError
        When the bundle is damaged, foreign or too new, or holds no encoder for the engine; when this machine
        trusts keys and none of them signed it.
    UsageError
        When no installed package runs the engine.

    """
    bundle = bundled() if path is None else read_bundle(path, trust=TrustedKeys() if untrusted else None)
    return open_model(bundle, engine, load_heads(bundle), load_personal_heads(bundle))


def open_model(
    bundle: Bundle,
    engine: str,
    heads: Mapping[str, MlpHead],
    personal_heads: Mapping[str, MlpHead] | None = None,
) -> Model:
    """Open a bundle that has been read already, with its heads; raises as :func:`load_model`."""
    return Model(bundle, open_encoder(bundle, engine), heads, personal_heads)


def load_heads(bundle: Bundle) -> dict[str, MlpHead]:
    """Return the head of each task.

    Raises
    ------
    BundleError
        When one is not readable or does not fit the manifest, or wants a feature that this version does not
        have.

    """
    return {
        name: _head(bundle, name, task.head, task.features, INTERVAL_FEATURES)
        for name, task in bundle.manifest.tasks.items()
    }


def load_personal_heads(bundle: Bundle) -> dict[str, MlpHead]:
    """Return the head for known people of each task that has one; raises as :func:`load_heads`."""
    return {
        name: _head(bundle, name, task.personal_head, task.personal_features, PERSONAL_FEATURES)
        for name, task in bundle.manifest.tasks.items()
        if task.personal_head is not None
    }


def bundled() -> Bundle:
    """Read the bundle that comes with edge-ecg; as installed code it is read whoever is trusted here.

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
        return read_bundle(path, trust=TrustedKeys())


def _head(bundle: Bundle, task: str, file: str, features: Sequence[str], known: Sequence[str]) -> MlpHead:
    spec = bundle.manifest.tasks[task]
    unknown = [name for name in features if name not in known]
    if unknown:
        raise BundleError(
            f"The task {task!r} in {bundle.source} needs {', '.join(unknown)}.",
            why=f"This version of edge-ecg computes {', '.join(known)}.",
            remedy="pip install --upgrade edge-ecg",
        )
    head = MlpHead.load(bundle.open(file))
    inputs = bundle.manifest.encoder.embedding + len(features)
    if head.inputs != inputs or head.classes != len(spec.labels):
        raise BundleError(
            f"The head of the task {task!r} in {bundle.source} does not fit.",
            why=f"{file} maps {head.inputs} values to {head.classes} labels; the manifest says {inputs} "
            f"and {len(spec.labels)}.",
            remedy="Export the bundle again.",
        )
    return head
