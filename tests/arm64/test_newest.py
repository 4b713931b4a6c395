"""What pip would take today instead of the fixed versions: it must compute the same, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_ecg.deploy.remote.pins import BOTH, pins

from . import wheels
from .boards import BOARDS
from .conftest import MakeSystem
from .rootfs import SUITES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.mark.parametrize(("suite", "board"), [("bookworm", "pi4"), ("trixie", "pi5")])
def test_the_newest_versions_compute_the_same(
    suite: str, board: str, wheel: Path, make_system: MakeSystem, tmp_path: Path
) -> None:
    found = wheels.resolve([f"{wheel}[onnx]"], SUITES[suite].python)
    newest = [one for one in found if not one.startswith("edge-ecg==")]
    if set(newest) <= set(pins(BOTH)):
        pytest.skip("the fixed versions are the newest: the other tests have tried them")
    machine = make_system(suite, base=newest, engine=[]).on(BOARDS[board], tmp_path)
    report = json.loads(machine.run("python3", "-m", "edge_ecg", "bench", "--json", timeout_s=600).stdout)
    assert [row["engine"] for row in report["engines"]] == ["litert-int8", "onnx-int8"]
    assert all(row["golden"]["equal"] == 1.0 for row in report["engines"]), newest
