"""A profile as text: JSON with one top-level entry a line, so that a person can read it and compare two."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.fields import FieldError, Fields
from ..heads import MlpHead
from ..signal.normalise import Scale
from .base import Float32Array, Profile, RefittedHead

KIND = "edge-ecg profile"
SCHEMA = 1


def encode(profile: Profile, replaces: str | None) -> str:
    """Return the text of a profile; ``replaces`` is when the one before it was made, None for the first."""
    entries: dict[str, Any] = {
        "type": KIND,
        "schema": SCHEMA,
        "person": profile.person,
        "created": profile.created,
        "replaces": replaces,
        "model": profile.model,
        "encoder_sha256": profile.encoder_sha256,
        "seconds": profile.seconds,
        "windows": profile.windows,
        "scale": {
            "mean_mv": profile.scale.mean_mv,
            "sd_mv": profile.scale.sd_mv,
            "blocks": profile.blocks,
        },
        "notch_hz": profile.notch_hz,
        "heart_rate_bpm": profile.heart_rate_bpm,
        "features": {name: None if math.isnan(value) else value for name, value in profile.features.items()},
        "embedding": _numbers(profile.embedding),
        "heads": {task: _head_entries(one) for task, one in profile.heads.items()},
    }
    lines = [f' "{key}": {json.dumps(value, allow_nan=False)}' for key, value in entries.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def decode(value: Mapping[str, Any], name: str) -> Profile:
    """Check plain JSON values and return the profile that they describe. Unknown extra keys are ignored.

    ``name`` is for profiles that do not say whose they are.

    Raises
    ------
    FieldError
        When a value is missing or wrong.

    """
    top = Fields(value, "profile")
    person = top.optional_text("person")
    scale, features = top.child("scale"), top.child("features")
    return Profile(
        model=top.text("model"),
        encoder_sha256=top.text("encoder_sha256"),
        created=top.text("created"),
        seconds=top.number("seconds", above=0),
        windows=top.integer("windows", above=0),
        scale=Scale(scale.number("mean_mv"), scale.number("sd_mv", above=0)),
        blocks=scale.integer("blocks", above=0),
        notch_hz=top.optional_number("notch_hz", above=0),
        heart_rate_bpm=top.optional_number("heart_rate_bpm", above=0),
        embedding=_array(value.get("embedding"), "profile.embedding"),
        features={feature: _number_or_nan(features, feature) for feature in top.free("features")},
        heads={task: _head(one, top.free("heads")[task]) for task, one in top.child("heads").children()},
        person=person,
        name=person or name,
    )


def _number_or_nan(features: Fields, name: str) -> float:
    number = features.optional_number(name)
    return math.nan if number is None else number


def _numbers(values: NDArray[np.float32]) -> Any:
    """Nested lists whose numbers read back to the same float32."""
    if values.ndim > 1:
        return [_numbers(row) for row in values]
    return [_shortest(value) for value in values]


def _shortest(value: np.float32) -> float:
    short = float(str(value))
    return short if np.float32(short) == value else float(value)


def _array(value: object, where: str, ndim: int = 1) -> Float32Array:
    try:
        # Too large a number becomes infinite, and is refused as such.
        with np.errstate(over="ignore"):
            array = np.asarray(value, dtype=np.float32)
    except (ValueError, TypeError, OverflowError):
        array = np.zeros(0, dtype=np.float32)
    if array.ndim != ndim or array.size == 0 or not np.isfinite(array).all():
        raise FieldError(f"{where} must be {'rows of numbers' if ndim > 1 else 'a list of numbers'}")
    return array


def _head_entries(one: RefittedHead) -> dict[str, Any]:
    head = one.head
    return {
        "created": one.created,
        "examples": dict(one.examples),
        "mean": _numbers(head.mean),
        "scale": _numbers(head.scale),
        "weights": [_numbers(weight) for weight in head.weights],
        "biases": [_numbers(bias) for bias in head.biases],
        "temperature": head.temperature,
    }


def _head(fields: Fields, raw: Mapping[str, Any]) -> RefittedHead:
    weights, biases = raw.get("weights"), raw.get("biases")
    if not isinstance(weights, list) or not isinstance(biases, list):
        raise FieldError(f"{fields.where} must hold weights and biases")
    examples = fields.child("examples")
    try:
        head = MlpHead(
            _array(raw.get("mean"), f"{fields.where}.mean"),
            _array(raw.get("scale"), f"{fields.where}.scale"),
            [_array(weight, f"{fields.where}.weights", ndim=2) for weight in weights],
            [_array(bias, f"{fields.where}.biases") for bias in biases],
            fields.number("temperature", above=0),
        )
    except ValueError as error:
        raise FieldError(f"{fields.where}: {error}") from error
    counts = {label: examples.integer(label) for label in fields.free("examples")}
    return RefittedHead(head, counts, fields.text("created"))
