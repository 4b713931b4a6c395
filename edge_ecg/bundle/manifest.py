"""``manifest.json`` as typed objects: what a bundle holds, what it was made of and what it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ..errors import BundleError
from .fields import FieldError, Fields, is_model_name, is_safe_name, is_text, version_tuple

SCHEMA = 1
MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.sig"
GOLDEN_NAME = "golden.npz"
CARD_NAME = "CARD.md"

_MAX_CONTEXT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The signal chain that the encoder was trained behind.

    ``normalisation`` is ``calibrated`` (causal, for live use) or ``recording`` (whole-recording z-score).
    """

    highpass_hz: float = 0.8
    highpass_order: int = 2
    notch_hz: float | None = None
    normalisation: str = "calibrated"
    trim: float = 0.025


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One window as the encoder takes it."""

    fs_hz: float = 256.0
    window_samples: int = 2560
    unit: str = "mV"
    preprocessing: Preprocessing = field(default_factory=Preprocessing)


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """What the encoder is; the runtime needs ``embedding`` alone, all else is for people.

    ``macs`` are multiply-accumulates for one window, ``embedding`` is its number of values. ``padding`` and
    ``pooling`` say how a convolutional trunk treats a window's edges and its time axis.
    """

    architecture: str = "sarkar-etemad"
    parameters: int = 329_152
    macs: int = 336_887_808
    stride: int = 4
    receptive_field_samples: int = 200
    embedding: int = 128
    pooling: str = "max"
    padding: str = "same"


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One question that the bundle answers: its labels, its heads, and when to say nothing.

    Attributes
    ----------
    labels:
        Two or more, in the order of the head's probabilities.
    head:
        The file of the head that decides as long as nothing is known of the person.
    min_confidence:
        Below this probability nothing is said.
    features:
        Interval features (:mod:`edge_ecg.heads.intervals`) that the head sees behind the embedding.
    personal_head:
        The file of the head that decides once a person's baseline is known; it sees the embedding minus the
        baseline's, and ``personal_features``. None where there is none.
    personal_features:
        Features relative to the baseline (:mod:`edge_ecg.heads.personal`), which that head sees.
    context_s:
        Logits are averaged over the good windows that ended within so many seconds; 0: this window alone.

    """

    labels: tuple[str, ...]
    head: str
    min_confidence: float = 0.5
    features: tuple[str, ...] = ()
    personal_head: str | None = None
    personal_features: tuple[str, ...] = ()
    context_s: float = 0.0

    @property
    def heads(self) -> tuple[str, ...]:
        """The files of its heads."""
        return (self.head,) if self.personal_head is None else (self.head, self.personal_head)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Size and SHA-256 (hexadecimal) of one file in the bundle."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole manifest. ``training`` and ``card`` are free-form JSON objects for people and tools to read.

    ``created`` is an ISO 8601 moment in UTC; ``minimum_runtime`` the lowest version of edge-ecg that can run
    the bundle; ``engines`` maps an engine's name to its encoder file.
    """

    name: str
    version: str
    created: str
    minimum_runtime: str
    input: InputSpec
    encoder: EncoderSpec
    tasks: Mapping[str, TaskSpec]
    engines: Mapping[str, str]
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the manifest as plain JSON values, in the order of docs/bundle.md."""
        steps = self.input.preprocessing
        return {
            "schema": SCHEMA,
            "name": self.name,
            "version": self.version,
            "created": self.created,
            "minimum_runtime": self.minimum_runtime,
            "input": {
                "fs_hz": self.input.fs_hz,
                "window_samples": self.input.window_samples,
                "unit": self.input.unit,
                "preprocessing": {
                    "highpass_hz": steps.highpass_hz,
                    "highpass_order": steps.highpass_order,
                    "notch_hz": steps.notch_hz,
                    "normalisation": steps.normalisation,
                    "trim": steps.trim,
                },
            },
            "encoder": {
                "architecture": self.encoder.architecture,
                "parameters": self.encoder.parameters,
                "macs": self.encoder.macs,
                "stride": self.encoder.stride,
                "receptive_field_samples": self.encoder.receptive_field_samples,
                "embedding": self.encoder.embedding,
                "pooling": self.encoder.pooling,
                "padding": self.encoder.padding,
            },
            "tasks": {
                name: {
                    "labels": list(task.labels),
                    "head": task.head,
                    "min_confidence": task.min_confidence,
                    "features": list(task.features),
                    "personal_head": task.personal_head,
                    "personal_features": list(task.personal_features),
                    "context_s": task.context_s,
                }
                for name, task in self.tasks.items()
            },
            "engines": dict(self.engines),
            "files": {
                name: {"bytes": entry.bytes, "sha256": entry.sha256} for name, entry in self.files.items()
            },
            "training": dict(self.training),
            "card": dict(self.card),
        }

    def encode(self) -> bytes:
        """Return the text of ``manifest.json``."""
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
        return (text + "\n").encode()

    @classmethod
    def from_json(cls, value: object, *, runtime_version: str) -> Self:
        """Check plain JSON values and return the manifest they describe. Unknown extra keys are ignored.

        Raises
        ------
        BundleError
            When the schema is unknown, the runtime is too old, or a value is missing or wrong.

        """
        try:
            top = Fields(value, "manifest.json")
            _check_fit(top, runtime_version)
            return cls(
                name=_name(top),
                version=top.text("version"),
                created=top.text("created"),
                minimum_runtime=top.text("minimum_runtime"),
                input=_input(top.child("input")),
                encoder=_encoder(top.child("encoder")),
                tasks={name: _task(name, task) for name, task in top.child("tasks").children()},
                engines=top.child("engines").texts(),
                files={name: _file(name, entry) for name, entry in top.child("files").children()},
                training=top.free("training"),
                card=top.free("card"),
            )
        except FieldError as error:
            raise BundleError(
                "The manifest of the bundle is not valid.", why=str(error), remedy="Export the bundle again."
            ) from error


def _check_fit(top: Fields, runtime_version: str) -> None:
    schema = top.integer("schema")
    if schema != SCHEMA:
        raise BundleError(
            f"The bundle has schema {schema}; this edge-ecg knows schema {SCHEMA}.",
            remedy="pip install --upgrade edge-ecg",
        )
    wanted = top.text("minimum_runtime")
    if version_tuple(wanted) > version_tuple(runtime_version):
        raise BundleError(
            f"The bundle was made for edge-ecg {wanted} or newer; this is {runtime_version}.",
            remedy="pip install --upgrade edge-ecg",
        )


def _name(top: Fields) -> str:
    name = top.text("name")
    if not is_model_name(name):
        raise FieldError(
            f"{top.where}.name must be 1 to 64 letters, digits, '_', '.' and '-', not beginning with "
            f"one of the last two, not {name!r}"
        )
    return name


def _input(fields: Fields) -> InputSpec:
    steps = fields.child("preprocessing")
    fs_hz = fields.number("fs_hz", above=0)
    return InputSpec(
        fs_hz=fs_hz,
        window_samples=fields.integer("window_samples", above=0),
        unit=fields.text("unit"),
        preprocessing=Preprocessing(
            highpass_hz=steps.number("highpass_hz", above=0, below=fs_hz / 2),
            highpass_order=steps.integer("highpass_order", above=0),
            notch_hz=steps.optional_number("notch_hz", above=0, below=fs_hz / 2),
            normalisation=steps.choice("normalisation", ("calibrated", "recording")),
            trim=steps.number("trim", above=0),
        ),
    )


def _encoder(fields: Fields) -> EncoderSpec:
    return EncoderSpec(
        architecture=fields.text("architecture"),
        parameters=fields.integer("parameters", above=0),
        macs=fields.integer("macs", above=0),
        stride=fields.integer("stride", above=0),
        receptive_field_samples=fields.integer("receptive_field_samples", above=0),
        embedding=fields.integer("embedding", above=0),
        pooling=fields.text("pooling"),
        padding=fields.optional_text("padding") or "same",
    )


def _task(name: str, fields: Fields) -> TaskSpec:
    if not is_text(name):
        raise FieldError(f"a task has a name that cannot be shown: {fields.where}")
    labels = fields.text_list("labels")
    if len(labels) < 2 or len(set(labels)) != len(labels):
        raise FieldError(f"{fields.where}.labels must be two or more different labels")
    confidence = fields.number("min_confidence")
    if not 0 <= confidence <= 1:
        raise FieldError(f"{fields.where}.min_confidence must lie between 0 and 1")
    context_s = fields.optional_number("context_s") or 0.0
    if not 0 <= context_s <= _MAX_CONTEXT_S:
        raise FieldError(f"{fields.where}.context_s must lie between 0 and {_MAX_CONTEXT_S:g}")
    return TaskSpec(
        labels=tuple(labels),
        head=fields.text("head"),
        min_confidence=confidence,
        features=_features(fields, "features"),
        personal_head=fields.optional_text("personal_head"),
        personal_features=_features(fields, "personal_features"),
        context_s=context_s,
    )


def _features(fields: Fields, key: str) -> tuple[str, ...]:
    features = fields.optional_text_list(key)
    if len(set(features)) != len(features):
        raise FieldError(f"{fields.where}.{key} names one feature twice")
    return tuple(features)


def _file(name: str, fields: Fields) -> FileEntry:
    if not is_safe_name(name):
        raise FieldError(f"the file name {name!r} leaves the archive")
    digest = fields.text("sha256")
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise FieldError(f"{fields.where}.sha256 is not a SHA-256 in lower-case hexadecimal")
    return FileEntry(bytes=fields.integer("bytes", above=-1), sha256=digest)
