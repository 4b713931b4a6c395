"""What a profile holds, and whether it belongs to a model."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..bundle import Manifest
from ..errors import BundleError, UsageError
from ..heads import SOURCES, MlpHead
from ..model import Model
from ..signal.normalise import Scale

Float32Array = NDArray[np.float32]

_ENROL_AGAIN = "Take a new baseline with this model: edge-ecg enrol"


@dataclass(frozen=True, slots=True, eq=False)
class RefittedHead:
    """A task's personal head after ``enrol --refit``, the marked windows of each label it saw, and when."""

    head: MlpHead
    examples: Mapping[str, int]
    created: str


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """One person at rest, as one model sees them.

    Attributes
    ----------
    model:
        ``NAME@SHA12`` of the model that the baseline was taken with.
    encoder_sha256:
        :func:`encoder_sha256` of that model; with another encoder the numbers mean nothing.
    created:
        When, ISO 8601 in UTC.
    seconds:
        How long the person sat at rest.
    windows:
        How many good windows the medians are of.
    scale, blocks:
        The normaliser's scale at the end of the rest, and of how many non-overlapping windows it is. For
        information: a session finds its own, because electrodes are put on anew.
    notch_hz:
        The mains frequency that was removed, or None.
    heart_rate_bpm:
        Median over the windows, or None where no window gave one.
    embedding:
        (d,) float32, the median embedding.
    features:
        Median interval features by name; NaN where no window gave one.
    heads:
        Refitted heads by task.
    person:
        The pseudonym of whoever sat at rest; None in files older than that entry.
    name:
        What records call it: ``person``, or the stem of the file in older ones. Not kept in the file.

    """

    model: str
    encoder_sha256: str
    created: str
    seconds: float
    windows: int
    scale: Scale
    blocks: int
    notch_hz: float | None
    heart_rate_bpm: float | None
    embedding: Float32Array
    features: Mapping[str, float]
    heads: Mapping[str, RefittedHead] = field(default_factory=dict)
    person: str | None = None
    name: str = "profile"

    def require_fit(self, model: Model, notch_hz: float | None = None) -> None:
        """Check that differences from this baseline mean what ``model`` was trained to take them for.

        Raises
        ------
        BundleError
            When the encoder is another one, a feature is missing, or a head was refitted from another model.
        UsageError
            When another mains frequency is removed than at rest.

        """
        here, encoder = model.name_at_sha, encoder_sha256(model.manifest)
        if self.encoder_sha256 != encoder:
            raise BundleError(
                f"The profile {self.name!r} belongs to another model.",
                why=f"It was taken with {self.model} (encoder {self.encoder_sha256[:12]}); "
                f"this is {here} (encoder {encoder[:12]}).",
                remedy=f"{_ENROL_AGAIN}, or give the profile's model with --model",
            )
        if self.heads and self.model != here:
            raise BundleError(
                f"The profile {self.name!r} holds heads that were refitted from another model.",
                why=f"They started from the heads of {self.model}; this is {here}.",
                remedy=f"{_ENROL_AGAIN}, then refit again",
            )
        missing = [name for name in SOURCES if name not in self.features]
        sizes_fit = self.embedding.shape == (model.manifest.encoder.embedding,)
        heads_fit = all(
            task in model.personal_heads
            and one.head.inputs == model.personal_heads[task].inputs
            and one.head.classes == model.personal_heads[task].classes
            for task, one in self.heads.items()
        )
        if missing or not sizes_fit or not heads_fit:
            raise BundleError(
                f"The profile {self.name!r} does not fit {here}.",
                why=f"It lacks {', '.join(missing)}." if missing else "Its arrays have other sizes.",
                remedy=_ENROL_AGAIN,
            )
        if self.notch_hz != notch_hz:
            asked = "without --notch" if self.notch_hz is None else f"with --notch {self.notch_hz:g}"
            raise UsageError(
                f"The profile {self.name!r} was taken {asked}.",
                why="A baseline holds only behind the filters that it was taken behind.",
                remedy=f"Run {asked} too, or take a new baseline: edge-ecg enrol",
            )

    @property
    def sources(self) -> NDArray[np.float64]:
        """(3,) the features ``SOURCES`` at rest, that relative ones are made of."""
        return np.array([self.features[name] for name in SOURCES])


def encoder_sha256(manifest: Manifest) -> str:
    """SHA-256 over the hashes of all encoder files: the same for all engines, another for another encoder.

    New heads on the same encoder leave it as it is, so a baseline outlives them.
    """
    lines = [f"{engine} {manifest.files[file].sha256}\n" for engine, file in sorted(manifest.engines.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
