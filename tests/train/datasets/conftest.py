"""Generators of data set files, and the ECG that they write."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg_bridge.synthetic import HeartState, SyntheticEcg

_GENERATORS = Path(__file__).parent.parent / "generators"


def _synthetic(duration_s: float, fs_hz: float, heart_rate_bpm: float, seed: int = 0) -> NDArray[np.float64]:
    n, parts, done = round(duration_s * fs_hz), [np.zeros(0)], 0
    for beat in SyntheticEcg((HeartState(heart_rate_bpm=heart_rate_bpm),), seed=seed)(fs_hz):
        if done >= n:
            break
        parts.append(beat)
        done += len(beat)
    return np.concatenate(parts)[:n]


def _ramp(duration_s: float, fs_hz: float, heart_rate_bpm: float, seed: int = 0) -> NDArray[np.float64]:
    return np.linspace(0.0, 1.0, round(duration_s * fs_hz)) * heart_rate_bpm / 60.0


def _generator(name: str) -> ModuleType:
    """A module of the generators' folder, which is no installed package."""
    known = f"edge_ecg_tests_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, _GENERATORS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[known] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[known])
    return sys.modules[known]


@pytest.fixture(scope="session")
def synthetic() -> Callable[..., NDArray[np.float64]]:
    """(duration_s, fs_hz, heart_rate_bpm, seed=0) -> millivolts of the simulator's heart."""
    return _synthetic


@pytest.fixture(scope="session")
def ramp() -> Callable[..., NDArray[np.float64]]:
    """As ``synthetic``, without a heart: for tests that look at no beat, and need many files."""
    return _ramp


@pytest.fixture(scope="session")
def generator() -> Callable[[str], ModuleType]:
    """The module of that name in tests/train/generators."""
    return _generator
