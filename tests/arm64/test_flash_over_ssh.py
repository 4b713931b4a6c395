"""``edge-ecg flash`` into an emulated board over a real sshd, offline: all of it but systemd."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_ecg.bundle import write_bundle
from edge_ecg.deploy.remote.pins import pins
from edge_ecg.model import bundled

from . import wheels
from .boards import BOARDS
from .host import AbsentError, run
from .rootfs import SUITES, rootfs
from .run import Emulated
from .sshd import board_over_ssh

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SUITE = SUITES["bookworm"]
DEVICE = ".local/share/edge-ecg"


@pytest.fixture
def bare_board(tmp_path: Path) -> Emulated:
    """A Pi 4 with Debian and nothing else."""
    try:
        return Emulated([rootfs(SUITE)], BOARDS["pi4"], tmp_path / "pi4")
    except AbsentError as error:
        pytest.skip(str(error))


def test_a_bare_board_is_flashed_and_upgraded(bare_board: Emulated, tmp_path: Path) -> None:
    newer = tmp_path / "newer.ecgb"
    model = bundled()
    files = {name: model.read(name) for name in model.manifest.files}
    write_bundle(newer, replace(model.manifest, version="99.0.0"), files)
    wheelhouse = wheels.wheelhouse(pins(), SUITE.python)
    try:
        with board_over_ssh(bare_board, tmp_path / "ssh") as config:
            call = caller(config)
            assert run("ssh", "-F", config, "board", "uname -m", timeout_s=60).stdout == "aarch64\n"
            first = call("flash", "board", "--wheelhouse", str(wheelhouse), timeout_s=1500)
            assert any("virtual environment" in step.get("text", "") for step in first)

            (status,) = call("status", "board")
            assert status["machine"] == "aarch64"
            assert status["board"] == BOARDS["pi4"].model
            assert status["version"] == model.manifest.version
            assert status["confirmed"]

            second = call("flash", "board", str(newer), "--wheelhouse", str(wheelhouse), timeout_s=600)
            assert not any("virtual environment" in step.get("text", "") for step in second)
            assert call("status", "board")[0]["version"] == "99.0.0"
            on_device = f"{DEVICE}/current/runtime/bin/edge-ecg verify {DEVICE}/current/model.ecgb"
            run("ssh", "-F", config, "board", on_device, timeout_s=120)

            on_device = f"{DEVICE}/current/runtime/bin/edge-ecg bench --model current --json"
            report = json.loads(run("ssh", "-F", config, "board", on_device, timeout_s=300).stdout)
            assert report["invalid"] == ["emulated"]
            assert [row["golden"]["equal"] for row in report["engines"]] == [1.0]

            call("rollback", "board")
            assert call("status", "board")[0]["version"] == model.manifest.version
    except AbsentError as error:
        pytest.skip(str(error))


def caller(config: Path) -> Callable[..., list[dict[str, Any]]]:
    """``call(*words)``: run edge-ecg here with that ssh configuration; the objects that it printed."""

    def call(*words: str, timeout_s: float = 300.0) -> list[dict[str, Any]]:
        command = [sys.executable, "-m", "edge_ecg", *words, "--ssh-config", str(config), "--batch", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return call
