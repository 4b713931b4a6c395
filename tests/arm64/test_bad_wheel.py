"""A wheel that is known to die on a Pi 4 dies here too: that is what these emulated boards are for."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from edge_ecg.model import bundled

from .boards import BOARDS
from .conftest import MakeSystem
from .system import BAD_ONNXRUNTIME, System

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def system(make_system: MakeSystem) -> System:
    return make_system("bookworm", engine=BAD_ONNXRUNTIME)


def test_it_dies_as_a_pi_4_and_runs_as_a_pi_5(system: System, tmp_path: Path) -> None:
    load = ("python3", "-c", "import onnxruntime; print(onnxruntime.__version__)")
    died = system.on(BOARDS["pi4"], tmp_path / "pi4").run(*load, check=False)
    assert died.returncode in (-signal.SIGILL, 128 + signal.SIGILL)
    assert died.stdout == ""
    runs = system.on(BOARDS["pi5"], tmp_path / "pi5").run(*load)
    assert runs.stdout.strip() == "1.21.0"


def test_admission_on_the_device_survives_it_and_names_it(system: System, tmp_path: Path) -> None:
    machine = system.on(BOARDS["pi4"], tmp_path)
    shutil.copy(bundled().source, machine.path("/data/stress.ecgb"))
    words = (
        "python3",
        "-m",
        "edge_ecg",
        "device",
        "admit",
        "/data/stress.ecgb",
        "--engine",
        "onnx",
        "--json",
    )
    refused = machine.run(*words, check=False, timeout_s=600)
    assert refused.returncode == 6, refused.stderr
    assert "onnxruntime 1.21.0 died of SIGILL" in refused.stderr
    assert "--engine litert" in refused.stderr

    taken = machine.run(*words[:-3], "--engine", "litert", "--json", timeout_s=600)
    admitted = json.loads(taken.stdout.splitlines()[-1])["admitted"]
    assert admitted["engine"] == "litert-int8"
    assert admitted["engines"]["onnx-int8"]["outcome"] == "failed"
    assert "skipped" in admitted["latency"]


def test_the_doctor_names_it(system: System, tmp_path: Path) -> None:
    done = system.on(BOARDS["pi4"], tmp_path).run(
        "python3", "-m", "edge_ecg", "doctor", "--json", check=False
    )
    assert done.returncode == 3
    found = {one["name"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert found["engine"]["status"] == "fail"
    assert "onnxruntime!=1.21.0" in found["engine"]["remedy"]
