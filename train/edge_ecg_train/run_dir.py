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
from typing import TYPE_CHECKING, Any

from edge_ecg.errors import DataError

from .checkpoint import write_atomically
from .networks import TRUNK_PARAMETERS, TRUNK_RECEPTIVE_FIELD_SAMPLES, TRUNK_STRIDE, TrunkShape

if TYPE_CHECKING:
    from .store import WindowStore

_OBJECTS = (
    "encoder", "pretext", "supervised", "emotion", "tasks", "preprocessing", "card", "head_encoders",
    "card_encoders", "card_heads",
)  # fmt: skip
"""Entries of run.json that others look into."""


def head_settings(facts: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Return how run.json says that the head of a task was fitted; empty where it does not."""
    settings: dict[str, Any] = facts.get("emotion", {}).get(task, {}).get("head", {})
    return settings


def check_preprocessing(facts: Mapping[str, Any], store: WindowStore, run: Path) -> None:
    """Check that a store's windows were prepared as those that a run was trained on.

    Raises
    ------
    DataError
        When they were not; it names each setting that differs.

    """
    # A run without heads says it of its first stage alone.
    trained = facts.get("preprocessing", facts.get("pretext", {}).get("preprocessing"))
    if trained is None or trained == dict(store.preprocessing):
        return
    names = sorted(set(trained) | set(store.preprocessing))
    differing = [
        f"{name} {trained.get(name)!r} in the run, {store.preprocessing.get(name)!r} in the store"
        for name in names
        if trained.get(name) != store.preprocessing.get(name)
    ]
    raise DataError(
        f"{store.path} was prepared in another way than what {run} was trained on.",
        why=f"{'; '.join(differing)}.",
        remedy="Prepare it again with the run's settings (edge-ecg data prepare).",
    )


def check_resumed(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> None:
    """Check that windows are prepared as those that a checkpoint was trained on; None where it is not known.

    Raises
    ------
    DataError
        When they are not: as many windows of the same people can be had by other settings.

    """
    if then is None or now is None or dict(then) == dict(now):
        return
    raise DataError(
        "The checkpoint was trained on windows that were prepared in another way.",
        why=f"Then: {dict(then)}; now: {dict(now)}.",
        remedy="Resume with the same store, or start a new run in another folder.",
    )


def check_resumed_task(facts: Mapping[str, Any], task: str, preprocessing: Mapping[str, Any]) -> None:
    """Check that a checkpoint of a training from labels is of this task, and of windows prepared in this way.

    Raises
    ------
    DataError
        When it is of others.

    """
    trained = facts.get("supervised", {}).get("task", task)
    if trained != task:
        raise DataError(
            f"The checkpoint was trained on the task {trained!r}, not on {task!r}.",
            remedy=f"Resume with --task {trained}, or start a new run in another folder.",
        )
    check_resumed(facts.get("preprocessing"), preprocessing)


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

    def facts(self) -> dict[str, Any]:
        """Return run.json; empty where there is none yet. Errors as of :meth:`read_json`."""
        return self.read_json() if (self.path / "run.json").exists() else {}

    def update_json(self, **entries: Any) -> None:
        """Set top-level entries of run.json and keep the others."""
        path = self.path / "run.json"
        facts = self.facts() or {"name": self.path.resolve().name}
        facts.update(entries)
        text = json.dumps(facts, indent=2) + "\n"
        write_atomically(path, lambda file: file.write(text.encode()))
