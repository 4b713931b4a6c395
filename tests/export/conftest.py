"""Shared parts: a random trunk, ECG-like windows, a small run and a small window store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg.heads import MlpHead
from edge_ecg.samples import SampleBlock
from edge_ecg.signal import WindowChain, trimmed_scale
from edge_ecg_bridge.synthetic import SyntheticEcg
from edge_ecg_export.calibrate import Calibration, calibrate
from edge_ecg_export.graph import CONV_SHAPES, Trunk, make_trunk
from edge_ecg_export.reference import float_embedding
from edge_ecg_train.run_dir import RunDir
from edge_ecg_train.store import WindowStore
from edge_ecg_train.store_writer import StoreWriter, WindowMeta

Windows = NDArray[np.float32]
StoreMaker = Callable[[Path, list[Windows]], WindowStore]
PEOPLE, WINDOWS_EACH = 8, 4
PREPROCESSING = {
    "highpass_hz": 0.8, "highpass_order": 2, "notch_hz": None, "normalisation": "calibrated", "trim": 0.025,
}  # fmt: skip


def ecg_windows(count: int, seed: int) -> Windows:
    """Windows of one synthetic heart after the live chain, in units of their trimmed deviation."""
    fs_hz = 256.0
    beats, wanted = [], round(fs_hz * (12 + 3 * count))
    for beat in SyntheticEcg(seed=seed)(fs_hz):
        beats.append(beat)
        if sum(map(len, beats)) >= wanted:
            break
    chain = WindowChain(fs_hz, hop_samples=3 * 256)
    ticks = chain.push(SampleBlock(np.concatenate(beats), fs_hz, 0)) + chain.flush()
    found = [tick.window.ecg_mv for tick in ticks if tick.window is not None][:count]
    assert len(found) == count
    return np.stack([trimmed_scale(ecg_mv).apply(ecg_mv) for ecg_mv in found])


@pytest.fixture(scope="session")
def arrays() -> dict[str, NDArray[Any]]:
    """Glorot weights (Table 1), as an encoder.npz holds them."""
    rng = np.random.default_rng(11)
    made: dict[str, NDArray[Any]] = {"padding": np.array("same"), "pooling": np.array("max")}
    for index, shape in enumerate(CONV_SHAPES, start=1):
        outputs, inputs, taps = shape
        bound = np.sqrt(6 / (taps * (inputs + outputs)))
        made[f"conv{index}.weight"] = rng.uniform(-bound, bound, shape).astype(np.float32)
        made[f"conv{index}.bias"] = rng.normal(0, 0.01, outputs).astype(np.float32)
    return made


@pytest.fixture(scope="session")
def trunk(arrays: dict[str, NDArray[Any]]) -> Trunk:
    """The float trunk."""
    return make_trunk(arrays)


@pytest.fixture(scope="session")
def people() -> list[Windows]:
    """(4, 2560) windows a person; the second half upside down, as if the electrodes were swapped.

    Even a random trunk tells that apart with a wide margin.
    """
    made = []
    for seed in range(PEOPLE):
        windows = ecg_windows(WINDOWS_EACH, seed)
        windows[WINDOWS_EACH // 2 :] *= -1
        made.append(windows)
    return made


@pytest.fixture(scope="session")
def windows(people: list[Windows]) -> Windows:
    """All windows of all people."""
    return np.concatenate(people)


@pytest.fixture(scope="session")
def calibration(trunk: Trunk, windows: Windows) -> Calibration:
    """Of all windows."""
    return calibrate(trunk, windows)


@pytest.fixture(scope="session")
def head(trunk: Trunk, people: list[Windows]) -> MlpHead:
    """The direction between the means of both classes of two people."""
    embeddings = float_embedding(trunk, np.concatenate(people[:2]))
    second = np.tile(np.arange(WINDOWS_EACH) >= WINDOWS_EACH // 2, 2)
    mean, scale = embeddings.mean(axis=0), embeddings.std(axis=0) + 1e-3
    direction = (embeddings[second].mean(axis=0) - embeddings[~second].mean(axis=0)) / scale
    return MlpHead(mean, scale, [direction[:, None] / np.linalg.norm(direction)], [np.zeros(1)])


@pytest.fixture(scope="session")
def store(
    tmp_path_factory: pytest.TempPathFactory, people: list[Windows], make_store: StoreMaker
) -> WindowStore:
    """A window store of all people."""
    return make_store(tmp_path_factory.mktemp("store") / "windows", people)


@pytest.fixture(scope="session")
def make_store() -> StoreMaker:
    """``make_store(path, people)``: write such a store."""
    return write_store


def write_store(path: Path, people: list[Windows]) -> WindowStore:
    """Write windows, labelled stress in the second half of each person."""
    with StoreWriter(path) as writer:
        for person, row, window in _rows(people):
            labels = {"stress": int(row >= WINDOWS_EACH // 2)}
            meta = WindowMeta("synthetic", f"p{person}", "a", "ECG", 3.0 * row, 60.0, 1.0, labels)
            writer.append(window, meta)
        return writer.commit(
            preprocessing=PREPROCESSING,
            labels={"stress": ("rest", "stress")},
            datasets=[{"name": "synthetic"}],
            windowing={"hop_s": 3.0},
        )


def _rows(people: list[Windows]) -> Iterator[tuple[int, int, Windows]]:
    for person, windows in enumerate(people):
        for row, window in enumerate(windows):
            yield person, row, window


@pytest.fixture
def run(tmp_path: Path, arrays: dict[str, NDArray[Any]], head: MlpHead, store: WindowStore) -> RunDir:
    """A complete run; each test has its own, to damage as it likes."""
    place = RunDir(tmp_path / "run")
    (place.path / "heads").mkdir(parents=True)
    np.savez(place.encoder, **arrays)
    head.save(place.head("stress"))
    facts = {
        "name": "small",
        "tasks": {"stress": {"labels": ["rest", "stress"]}},
        "preprocessing": PREPROCESSING,
        "pretext": {"seed": 1, "steps": 2, "store": str(store.path), "history": [1.0]},
        "emotion": {"store": str(store.path), "protocol": "loso"},
        "store": str(store.path),
        "card": {"note": "small"},
    }
    (place.path / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    return place
