"""The runtime on every 64-bit Raspberry Pi: it decides what this host decides, and reports no times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ecg.bundle import Golden, read_bundle

from .boards import BOARDS
from .conftest import MakeBoard, host_edge_ecg
from .run import Emulated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Every board once, every processor with both Debian releases.
PLACES = [
    ("bookworm", "zero2w"), ("bookworm", "pi4"), ("bookworm", "pi5"),
    ("trixie", "pi3"), ("trixie", "pi4"), ("trixie", "pi5"),
]  # fmt: skip
INT8 = ("litert-int8", "onnx-int8")
# Of the largest value of an embedding; sums are done in another order there. Measured: 5e-7.
FLOAT_BOUND = 5e-6
RUN = ("run", "--port", "file:recording.csv?speed=max", "--json", "--hop", "5", "--duration", "25")


def edge_ecg(machine: Emulated, *words: str) -> list[dict[str, Any]]:
    """Run edge-ecg there, in /data; the objects that it printed."""
    return lines(machine.run(*machine.inside("/data", "python3", "-m", "edge_ecg", *words)).stdout)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def decisions(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what was decided, without what depends on the moment."""
    moment = ("time", "inference_ms", "latency_ms")
    return [
        {name: value for name, value in record.items() if name not in moment}
        for record in records
        if record["type"] == "decision"
    ]


@pytest.mark.parametrize(("suite", "board"), PLACES)
def test_a_recording_gives_the_decisions_of_this_host(
    suite: str, board: str, emulated: MakeBoard, recording: Path
) -> None:
    machine = emulated(suite, board)
    for engine in INT8:
        here = decisions(lines(host_edge_ecg(*RUN, "--engine", engine, cwd=recording.parent)))
        assert [one["decision"] is not None for one in here] == [False, True, True, True]
        assert decisions(edge_ecg(machine, *RUN, "--engine", engine)) == here


@pytest.mark.parametrize(("suite", "board"), PLACES)
def test_golden_windows_agree_in_every_engine(
    suite: str, board: str, emulated: MakeBoard, float_bundle: Path
) -> None:
    machine = emulated(suite, board)
    largest = max(
        float(np.abs(one).max()) for one in Golden.from_bundle(read_bundle(float_bundle)).embeddings.values()
    )
    for words, engines in (((), INT8), (("--model", float_bundle.name), (*INT8, "litert-fp32", "onnx-fp32"))):
        (report,) = edge_ecg(machine, "bench", "--json", *words)
        assert [row["engine"] for row in report["engines"]] == list(engines)
        for row in report["engines"]:
            golden = row["golden"]
            assert golden["decisions_equal"]
            assert golden["max_abs"] <= (0 if "int8" in row["engine"] else FLOAT_BOUND * largest), row
            # Times of an emulated machine mean nothing: none is given.
            assert row["latency"] is row["cold_start"] is row["end_to_end"] is None
        assert report["invalid"] == ["emulated"]
        assert report["machine"]["model"] == BOARDS[board].model
        assert report["machine"]["revision"] == BOARDS[board].revision_code


@pytest.mark.parametrize(("suite", "board"), PLACES)
def test_the_doctor_knows_the_board(suite: str, board: str, emulated: MakeBoard) -> None:
    found = {one["name"]: one for one in edge_ecg(emulated(suite, board), "doctor", "--json")}
    assert found["board"]["sentence"] == f"{BOARDS[board].model}."
    assert found["temperature"]["sentence"] == "48 °C."
    assert found["CPU governor"]["sentence"] == "ondemand."
    for name in ("python", "64-bit", "packages", "engine", "model"):
        assert found[name]["status"] == "ok", found[name]


@pytest.mark.parametrize(("suite", "board"), [("bookworm", "zero2w"), ("trixie", "pi5")])
def test_a_signature_is_checked_there(
    suite: str, board: str, emulated: MakeBoard, float_bundle: Path, tmp_path: Path
) -> None:
    machine = emulated(suite, board)
    for name in ("ours", "theirs"):
        host_edge_ecg("keygen", "-o", str(tmp_path / name), "--no-passphrase")
        path = machine.path(f"/data/{name}/{name}.pub")
        path.write_bytes((tmp_path / f"{name}.pub").read_bytes())
    signed = machine.path("/data/signed.ecgb")
    host_edge_ecg("sign", str(float_bundle), "--key", str(tmp_path / "ours"), "-o", str(signed))

    (verified,) = edge_ecg(machine, "verify", "signed.ecgb", "--keys", "ours", "--json")
    assert verified["type"] == "verified"
    assert verified["signed"]
    for bundle, keys in (("signed.ecgb", "theirs"), ("untrained.ecgb", "ours")):
        command = machine.inside("/data", "python3", "-m", "edge_ecg", "verify", bundle, "--keys", keys)
        assert machine.run(*command, check=False).returncode == 4
