"""A bench on a device over a real sshd: whose runtime, whose bundle, what comes back, what stays there."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_ecg.bundle import Golden, TrustedKeys, read_bundle, write_bundle
from edge_ecg.cli import main

from .conftest import MakeDevice
from .device import Device

pytestmark = pytest.mark.usefixtures("clean_env")

SHORT = ("--windows", "6", "--warm-up", "1", "--hops", "2", "--starts", "1", "--engine", "litert-int8")


def bench(device: Device, *words: str) -> list[str]:
    return [
        "bench",
        "--on",
        device.name,
        "--batch",
        "--ssh-config",
        str(device.client.config),
        *SHORT,
        *words,
    ]


@pytest.fixture(scope="module")
def device(make_device: MakeDevice, flashed: Device) -> Device:
    return make_device(flashed)


def leftovers(device: Device) -> list[Path]:
    """What the device's user has in the folder for temporary files."""
    return [path for path in Path("/tmp").glob("tmp.*") if path.stat().st_uid == device.sshd.user.uid]


def test_what_runs_there_is_measured_there(
    device: Device, old_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "pi.json"
    assert main(bench(device, "--json", "--save", str(kept))) == 0
    printed = capsys.readouterr()
    (line,) = printed.out.splitlines()
    report = json.loads(line)
    assert report["type"] == "bench_report"
    assert report["host"] == device.name
    assert report["model"] == read_bundle(old_bundle, trust=TrustedKeys()).name_at_sha
    (row,) = report["engines"]
    assert row["latency"]["windows"] == 6
    assert row["end_to_end"]["hop"]["windows"] == 2
    assert row["golden"]["decisions_equal"] is True
    assert "7/7 windows" in printed.err  # the progress there
    assert len(json.loads(kept.read_text())["engines"][0]["samples_ms"]) == 6
    assert "samples_ms" not in row


def test_a_bundle_from_here_is_taken_there_and_away_again(
    device: Device, new_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(bench(device, "--model", str(new_bundle))) == 0
    printed = capsys.readouterr().out
    assert read_bundle(new_bundle, trust=TrustedKeys()).name_at_sha in printed
    assert "encoder alone" in printed
    assert leftovers(device) == []


def test_side_by_side(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(bench(device, "--compare", "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["type"] == "bench_comparison"
    assert found["same_model"] is True
    here, there = found["reports"]
    assert "host" not in here
    assert there["host"] == device.name
    (engine,) = found["engines"]
    expected = there["engines"][0]["latency"]["p50_ms"] / here["engines"][0]["latency"]["p50_ms"]
    assert engine["ratios"]["encoder p50"] == pytest.approx(expected)
    assert engine["same_file"] is True
    assert engine["golden"] == ["equal", "equal"]


def test_a_wrong_model_gets_no_latency_there(
    device: Device, new_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = read_bundle(new_bundle, trust=TrustedKeys())
    good = Golden.from_bundle(bundle)
    wrong = Golden(good.windows, {name: np.roll(v, 1, 0) for name, v in good.embeddings.items()})
    other = tmp_path / "wrong.ecgb"
    write_bundle(other, bundle.manifest, {**bundle.contents, "golden.npz": wrong.to_bytes()})
    assert main(bench(device, "--model", str(other), "--json")) == 6
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "does not compute the right thing" in printed.err
    assert leftovers(device) == []


def test_without_a_runtime_there(make_device: MakeDevice, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(bench(make_device(seeded=False))) == 7
    assert "No edge-ecg is installed" in capsys.readouterr().err


def test_nothing_current_there(
    make_device: MakeDevice, flashed: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    device = make_device(flashed)
    device.home.current.joinpath("model.ecgb").unlink()
    assert main(bench(device, "--model", "current")) == 7
    assert "No model runs on" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_here_ends_it_there(device: Device, new_bundle: Path, number: int) -> None:
    command = [sys.executable, "-m", "edge_ecg", *bench(device, "--model", str(new_bundle))]
    command[command.index("--windows") + 1] = "1000000"
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not (far := far_benches(device.sshd.user.uid)):
            assert process.poll() is None, process.stderr.read()
        process.send_signal(number)
        talk = process.stderr.read()
    assert process.returncode == 130, talk
    assert "Traceback" not in talk
    for pid in far:
        wait_for_end(pid)
    assert leftovers(device) == []


def far_benches(uid: int) -> list[int]:
    """Processes of the device's user that measure."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if folder.stat().st_uid == uid and b"bench" in words and not words[0].endswith(b"sh"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for_end(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([handle], [], [], 60)[0], f"process {pid} is still there"
    os.close(handle)
