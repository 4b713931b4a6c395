"""The whole way, nothing prepared: a bare home gets a runtime from a wheelhouse, without a network."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_ecg.deploy.remote.runtime import Runtime

from .attempts import attempt
from .conftest import MakeDevice
from .device import Device
from .sshd import User

pytestmark = pytest.mark.usefixtures("clean_env")

NO_PYPI = {"PIP_INDEX_URL": "http://127.0.0.1:1/simple", "PIP_CONFIG_FILE": "/dev/null", "PIP_RETRIES": "0"}


def program(device: Device, user: User, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the device's own ``edge-ecg``, as its user."""
    argv = [str(device.home.current / "runtime/bin/edge-ecg"), *words, "--json"]
    env = {"PATH": "/usr/bin:/bin", "EDGE_ECG_HOME": str(device.home.root), "HOME": str(user.home)}
    return subprocess.run(argv, env=env, user=user.uid, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_first_flash_of_a_bare_device_offline(
    make_device: MakeDevice,
    user: User,
    runtime: Runtime,
    wheelhouse: Path,
    shipped: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Were PyPI asked for anything, it would fail.
    device = make_device(seeded=False, env=NO_PYPI)
    half = device.home.runtimes / runtime.id
    half.mkdir(parents=True)
    (half / "left behind").touch()
    subprocess.run(["chown", "-R", user.name, str(device.home.root)], check=True)

    assert device.call("flash", str(shipped), "--wheelhouse", str(wheelhouse), "--json") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert records[-1]["runtime"] == runtime.id
    assert device.running() == "0.1.0"
    # What was half there was not taken for whole, and what was sent is gone.
    assert not (half / "left behind").exists()
    assert (half / ".complete").exists()
    assert not device.home.wheels.exists()

    # The device's own program says the same.
    status = json.loads(program(device, user, "status").stdout)
    assert (status["release"], status["version"]) == (records[-1]["release"], "0.1.0")
    verified = program(device, user, "verify", str(device.home.current / "model.ecgb"))
    assert (verified.returncode, verified.stderr) == (0, "")

    # Broken afterwards, it is made anew.
    (half / ".complete").unlink()
    shutil.rmtree(half / "lib")
    again = attempt(device, shipped, wheelhouse=wheelhouse, dry_run=True)
    assert f"{runtime.id} would be installed" in again.texts


@pytest.mark.slow
def test_a_device_without_pypi_is_told_of_the_wheelhouse(make_device: MakeDevice, shipped: Path) -> None:
    device = make_device(seeded=False, env=NO_PYPI)
    done = attempt(device, shipped)
    assert done.error is not None
    assert "pip could not install" in done.error.what
    assert "--wheelhouse" in done.error.remedy
    assert device.running() is None
    assert not list(device.home.runtimes.glob("*/.complete"))
