"""Emulated boards for the tests; each skips with the reason where this host cannot emulate."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from . import wheels
from .boards import BOARDS
from .float_bundle import write_float_bundle
from .host import AbsentError
from .run import Emulated
from .system import System

MakeSystem = Callable[..., System]
MakeBoard = Callable[[str, str], Emulated]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """edge-ecg's wheel, of this checkout."""
    return wheels.build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def make_system(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeSystem:
    """``make_system(suite, base=pins, engine=pins)``."""

    def make(suite: str, **packages: list[str]) -> System:
        try:
            return System.build(suite, tmp_path_factory.mktemp(suite), wheel, **packages)
        except AbsentError as error:
            pytest.skip(str(error))

    return make


@pytest.fixture(scope="session")
def systems(make_system: MakeSystem) -> Callable[[str], System]:
    """``systems(suite)``: with the versions that devices get; made once."""
    made: dict[str, System] = {}

    def get(suite: str) -> System:
        if suite not in made:
            made[suite] = make_system(suite)
        return made[suite]

    return get


@pytest.fixture
def emulated(
    systems: Callable[[str], System], tmp_path: Path, float_bundle: Path, recording: Path
) -> MakeBoard:
    """``emulated(suite, board)``: a board with the float bundle and the recording in /data."""

    def make(suite: str, board: str) -> Emulated:
        machine = systems(suite).on(BOARDS[board], tmp_path)
        for path in (float_bundle, recording):
            shutil.copy(path, machine.path(f"/data/{path.name}"))
        return machine

    return make


@pytest.fixture(scope="session")
def float_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with float and int8 engines."""
    return write_float_bundle(tmp_path_factory.mktemp("bundle") / "untrained.ecgb")


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of a simulated Shimmer3."""
    path = tmp_path_factory.mktemp("recording") / "recording.csv"
    host_edge_ecg("record", "--port", "sim:?speed=max&noise=0.02", "--duration", "30", "--record", str(path))
    return path


def host_edge_ecg(*words: str, cwd: Path | None = None) -> str:
    """Run edge-ecg on this host and return its stdout."""
    command = [sys.executable, "-m", "edge_ecg", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout
