"""The runtime on every 64-bit Raspberry Pi: the same decisions as on this host, and no latency that means nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .boards import BOARDS
from .conftest import MakeBoard, host_edge_ecg

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Every board once, every processor with both Debian releases.
PLACES = [
    ("bookworm", "zero2w"), ("bookworm", "pi4"), ("bookworm", "pi5"),
    ("trixie", "pi3"), ("trixie", "pi4"), ("trixie", "pi5"),
]  # fmt: skip
INT8 = ("litert-int8", "onnx-int8")
# Measured: 1e-6 of the largest embedding value; sums are done in another order there.
FLOAT_RELATIVE = 1e-5
FLOAT_PROBABILITY = 2e-4  # two units of the last digit that is printed
RUN = ("run", "--port", "file:recording.csv?speed=max", "--json", "--hop", "5", "--duration", "25")


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def decisions(text: str) -> list[dict[str, Any]]:
    """Return what was decided, without what depends on the moment."""
    moment = ("time", "inference_ms", "latency_ms")
    return [
        {name: value for name, value in record.items() if name not in moment}
        for record in lines(text)
        if record["type"] == "decision"
    ]


@pytest.mark.parametrize(("suite", "board"), PLACES)
def test_a_board_computes_what_this_host_computes(
    suite: str, board: str, emulated: MakeBoard, recording: Path, float_bundle: Path
) -> None:
    machine = emulated(suite, board)

    found = {
        one["name"]: one for one in lines(machine.run("python3", "-m", "edge_ecg", "doctor", "--json").stdout)
    }
    assert found["board"]["sentence"].startswith(BOARDS[board].model)
    assert found["64-bit"]["status"] == found["engine"]["status"] == found["model"]["status"] == "ok"
    assert found["temperature"]["sentence"].startswith("48")

    golden = lines(machine.run("sh", "-c", "cd /data && python3 golden.py untrained.ecgb").stdout)
    assert [one["engine"] for one in golden] == ["litert-int8", "onnx-int8", "litert-fp32", "onnx-fp32"]
    for one in golden:
        assert one["decisions_equal"]
        if "int8" in one["engine"]:
            assert one["equal"] == 1.0
        else:
            assert one["max_abs"] <= FLOAT_RELATIVE * one["largest"], one

    for engine in INT8:
        command = " ".join(
            ["cd /data && python3 -m edge_ecg", *(f"'{word}'" for word in RUN), "--engine", engine]
        )
        there = decisions(machine.run("sh", "-c", command).stdout)
        here = decisions(host_edge_ecg(*RUN, "--engine", engine, cwd=recording.parent))
        assert len(here) == 4
        assert sum(one["decision"] is not None for one in here) >= 3
        assert there == here
