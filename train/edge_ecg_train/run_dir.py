"""A run: the folder that holds everything one training leaves behind.

RUN/encoder.npz      the trunk's weights, plain arrays
RUN/encoder-STEP.npz the same after so many steps, where the recipe asks for it
RUN/heads/TASK.npz   one head a task
RUN/run.json         what was trained, on what, with which settings
RUN/checkpoint.pt    to resume from
RUN/tensorboard/     curves
RUN/cache/           embeddings, safe to delete
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ecg.errors import DataError

from .checkpoint import write_atomically
from .networks import TRUNK_PARAMETERS, TRUNK_RECEPTIVE_FIELD_SAMPLES, TRUNK_STRIDE, TrunkShape

_OBJECTS = (
    "encoder", "pretext", "supervised", "emotion", "tasks", "preprocessing", "card", "head_encoders",
    "card_encoders", "card_heads",
)  # fmt: skip
"""Entries of run.json that others look into."""


def head_settings(facts: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Return how run.json says that the head of a task was fitted; empty where it does not."""
    settings: dict[str, Any] = facts.get("emotion", {}).get(task, {}).get("head", {})
    return settings


def encoder_facts(shape: TrunkShape) -> dict[str, Any]:
    """Return what run.json and a bundle's manifest say of an encoder."""
    return {
        "architecture": "sarkar-etemad",
        "parameters": TRUNK_PARAMETERS,
        "macs": shape.macs(),
        "stride": TRUNK_STRIDE,
        "receptive_field_samples": TRUNK_RECEPTIVE_FIELD_SAMPLES,
        "embedding": shape.embedding,
        "padding": shape.padding,
        "pooling": shape.pooling,
    }


@dataclass(frozen=True, slots=True)
class RunDir:
    """The places in a run's folder."""

    path: Path

    @property
    def encoder(self) -> Path:
        """The trunk's weights."""
        return self.path / "encoder.npz"

    def encoder_at(self, step: int) -> Path:
        """The trunk's weights after so many steps of pretraining."""
        return self.path / f"encoder-{step}.npz"

    @property
    def checkpoint(self) -> Path:
        """The state to resume pretext training from."""
        return self.path / "checkpoint.pt"

    @property
    def tensorboard(self) -> Path:
        """The folder of curves."""
        return self.path / "tensorboard"

    @property
    def cache(self) -> Path:
        """The folder of computed things that may be deleted."""
        return self.path / "cache"

    def encoder_sha256(self) -> str:
        """Return the SHA-256 of the trunk's file: heads and cards remember which weights they are of."""
        with self.encoder.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def head(self, task: str) -> Path:
        """The head of a task."""
        return self.path / "heads" / f"{task}.npz"

    def create(self) -> None:
        """Make the folder.

        Raises
        ------
        DataError
            If it cannot be made.

        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"The run folder {self.path} cannot be made.",
                why=error.strerror or str(error),
                remedy="Give another place with -o.",
            ) from error

    def read_json(self) -> dict[str, Any]:
        """Return run.json.

        Raises
        ------
        DataError
            If this is not a run, or the file is damaged.

        """
        path = self.path / "run.json"
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(
                f"{self.path} is not a run: it has no run.json.",
                remedy="Train one with `edge-ecg train pretext STORE -o RUN`.",
            ) from error
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} cannot be read.", why=str(error), remedy="Train the run again."
            ) from error
        if not isinstance(facts, dict):
            raise DataError(f"{path} does not hold an object.", remedy="Train the run again.")
        for name in _OBJECTS:
            if not isinstance(facts.get(name, {}), dict):
                raise DataError(
                    f"{path} is damaged.", why=f"{name!r} is no object.", remedy="Train the run again."
                )
        return facts

    def update_json(self, **entries: Any) -> None:
        """Set top-level entries of run.json and keep the others."""
        path = self.path / "run.json"
        facts = self.read_json() if path.exists() else {"name": self.path.resolve().name}
        facts.update(entries)
        text = json.dumps(facts, indent=2) + "\n"
        write_atomically(path, lambda file: file.write(text.encode()))
