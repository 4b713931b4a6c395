"""A small store of labelled windows: generated beats, wider and faster under "stress"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edge_ecg_train.store import WindowStore
from edge_ecg_train.store_writer import StoreWriter, WindowMeta

PEOPLE = 6
WINDOWS_A_PERSON = 8


def beats(heart_rate_bpm: float, width_s: float, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(2560) / 256
    ecg = 0.01 * rng.standard_normal(2560)
    for beat in np.arange(rng.uniform(0, 0.8), 10.5, 60 / heart_rate_bpm):
        ecg += 6 * np.exp(-0.5 * ((t - beat) / width_s) ** 2) + np.exp(-0.5 * ((t - beat - 0.25) / 0.04) ** 2)
    return ecg.astype(np.float32)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> WindowStore:
    """48 windows of 6 people; task "stress" has two classes, "level" three, some windows have no level."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("stores") / "store"
    with StoreWriter(path) as writer:
        for person in range(PEOPLE):
            for number in range(WINDOWS_A_PERSON):
                stress, level = number % 2, number % 4 - 1
                rate = 62 + 3 * person + 25 * stress
                writer.append(
                    beats(rate, 0.012 + 0.01 * stress + 0.004 * max(level, 0), rng),
                    WindowMeta(
                        dataset="made-up",
                        subject=f"made-up/{person}",
                        session="rest",
                        lead="I",
                        start_s=10.0 * number,
                        heart_rate_bpm=float(rate),
                        quality=1.0,
                        labels={"stress": stress, "level": level},
                    ),
                )
        return writer.commit(
            preprocessing={"highpass_hz": 0.8, "normalisation": "calibrated"},
            labels={"stress": ("rest", "stress"), "level": ("low", "middle", "high")},
            datasets=[{"name": "made-up", "licence": "none"}],
            windowing={"hop_s": 10.0},
        )


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Thread start-up would cost more than these tiny networks gain, and other tests run beside these."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of seconds."""
    path = tmp_path_factory.mktemp("recipes") / "tiny recipe.toml"
    path.write_text(
        """
        [pretext]
        steps = 4
        batch_windows = 2
        versions = 2
        holdout = 0.2
        evaluation_windows = 2
        evaluate_every = 2
        [supervised]
        epochs = 1
        batch_windows = 24
        hidden = [8]
        [emotion]
        preset = "linear"
        [emotion.tasks.level]
        preset = "mlp"
        epochs = 5
        """
    )
    return path
