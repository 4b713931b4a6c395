"""Processes die: the device's own before each change that it makes, and flash itself at each step."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from .attempts import attempt
from .conftest import MakeDevice
from .device import Device
from .processes import await_ssh_gone

pytestmark = pytest.mark.usefixtures("clean_env")

_NEVER = 10**9


@pytest.fixture(scope="module")
def changes(make_device: MakeDevice, flashed: Device, new_bundle: Path) -> int:
    """How many changes the device's processes make during a whole flash."""
    device = make_device(flashed)
    device.kill_at(_NEVER)
    assert attempt(device, new_bundle).error is None
    assert device.running() == "1.1.0"
    assert device.changes > 15
    return device.changes


def kill_all(
    numbers: Sequence[int],
    make_device: MakeDevice,
    flashed: Device,
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    left = []
    for number in numbers:
        device = make_device(flashed)
        device.kill_at(number)
        done = attempt(device, bundle)
        assert device.changes >= number, "it was not killed"
        left.append(device.running())
        assert left[-1] in {"1.0.0", "1.1.0"}, number
        # What dies while it tidies away has changed nothing that counts.
        assert done.error is not None or left[-1] == "1.1.0"
        device.kill_at(None)
        again = attempt(device, bundle)
        assert again.error is None, (number, again.error)
        assert device.running() == "1.1.0"
    with capsys.disabled():
        old, new = left.count("1.0.0"), left.count("1.1.0")
        print(f"\nkilled on the device: {len(left)} cases, old model whole in {old}, new in {new}")


def test_device_side_killed_before_some_changes(
    changes: int,
    make_device: MakeDevice,
    flashed: Device,
    new_bundle: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    numbers = [1, changes // 2, changes]
    kill_all(numbers, make_device, flashed, new_bundle, capsys)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_device_side_killed_before_every_fourth_change(
    changes: int,
    make_device: MakeDevice,
    flashed: Device,
    new_bundle: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Before every single step, without SSH in between: tests/edge_ecg/deploy.
    kill_all(range(2, changes + 1, 4), make_device, flashed, new_bundle, capsys)


def kill_flash(device: Device, bundle: Path, at: int) -> str | None:
    """Start flash and kill it when it tells its step ``at``; returns that step, None when it had ended."""
    seen: list[str] = []
    with device.start("flash", str(bundle), "--json") as flash:
        assert flash.stdout is not None
        for line in flash.stdout:
            record = json.loads(line)
            if record["type"] == "step":
                seen.append(record["step"])
            if len(seen) == at:
                flash.kill()
                break
        flash.wait()
    await_ssh_gone(device.client)
    return seen[-1] if flash.returncode == -signal.SIGKILL else None


def flash_killed(
    steps: Sequence[int],
    make_device: MakeDevice,
    flashed: Device,
    bundle: Path,
    capsys: pytest.CaptureFixture[str],
) -> list[str]:
    reached = []
    for at in steps:
        device = make_device(flashed)
        step = kill_flash(device, bundle, at)
        assert device.running() in {"1.0.0", "1.1.0"}
        assert device.call("flash", str(bundle), "--json") == 0
        assert device.running() == "1.1.0"
        if step is not None:
            reached.append(step)
    capsys.readouterr()
    with capsys.disabled():
        print(f"\nflash killed: {len(reached)} cases, after {', '.join(reached)}")
    return reached


def test_flash_killed_while_the_device_proves_the_model(
    make_device: MakeDevice, flashed: Device, new_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # connect, probe, runtime, upload, admit (begun)
    assert flash_killed([5], make_device, flashed, new_bundle, capsys) == ["admit"]


@pytest.mark.slow
def test_flash_killed_at_every_step(
    make_device: MakeDevice, flashed: Device, new_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reached = flash_killed(range(1, 8), make_device, flashed, new_bundle, capsys)
    assert set(reached) >= {"connect", "probe", "runtime", "upload", "admit"}


def test_ctrl_c_ends_with_130_and_says_what_holds(
    make_device: MakeDevice, flashed: Device, new_bundle: Path
) -> None:
    device = make_device(flashed)
    with device.start("flash", str(new_bundle), "--json") as flash:
        assert flash.stdout is not None
        for line in flash.stdout:
            if json.loads(line).get("step") == "probe":
                flash.send_signal(signal.SIGINT)
                break
        _, said = flash.communicate()
    assert flash.returncode == 130
    assert "runs the old model or the new one, never none" in said
    assert "Traceback" not in said
    await_ssh_gone(device.client)
    assert device.running() in {"1.0.0", "1.1.0"}
