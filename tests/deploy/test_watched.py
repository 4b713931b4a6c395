"""Flash beside a running service, under a supervisor in systemd's place: confirmed, or taken back."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_ecg.cli import VERBS
from edge_ecg.deploy.health import read_health, write_service
from edge_ecg.errors import GateError

from .attempts import attempt
from .conftest import MakeDevice
from .cut_proxy import CutProxy
from .device import DEVICE_PYTHON, Device
from .sshd import User

pytestmark = [
    pytest.mark.usefixtures("clean_env"),
    pytest.mark.skipif("service" not in VERBS, reason="this edge-ecg has no service to run"),
    pytest.mark.slow,
]

Serve = Callable[..., Device]


@pytest.fixture
def serve(make_device: MakeDevice, flashed: Device, user: User, base: Path) -> Iterator[Serve]:
    """``serve(mode="")``: a device whose service runs the old model on a simulated sensor."""
    running: list[subprocess.Popen[bytes]] = []

    def start(mode: str = "") -> Device:
        device = make_device(flashed)
        home = device.home
        home.config.write_text('[source]\nport = "sim:"\n')
        write_service(home, {"unit": "a test's supervisor"})
        for path in (home.config, home.service, home.state):
            user.own(path)
        script = base / "supervisor.py"
        script.write_bytes(Path(__file__).with_name("supervisor.py").read_bytes())
        argv = [str(DEVICE_PYTHON), str(script), str(home.root), str(base / "no-keys"), mode]
        running.append(subprocess.Popen(argv, user=user.uid, stdin=subprocess.DEVNULL))
        until = time.monotonic() + 60
        while (health := read_health(home)) is None or not health.ready:
            assert time.monotonic() < until, (home.root / "service.log").read_text()
            time.sleep(0.05)
        return device

    yield start
    for one in running:
        one.terminate()
        one.wait()


def test_a_release_that_runs_well_is_confirmed(
    serve: Serve, new_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = serve()
    assert device.call("flash", str(new_bundle), "--watch", "3", "--json") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert records[-1] | {"watched": True, "confirmed": True} == records[-1]
    assert [record["text"] for record in records if record.get("step") == "watch"][-1] == "confirmed"
    assert device.running() == "1.1.0"
    assert device.call("status", "--json") == 0
    status = json.loads(capsys.readouterr().out)
    assert status["health"]["alive"]
    assert status["trial"] is None


def test_a_release_that_crashes_is_taken_back_and_its_log_is_shown(serve: Serve, new_bundle: Path) -> None:
    device = serve("crash")
    done = attempt(device, new_bundle, watch_s=20.0)
    assert isinstance(done.error, GateError)
    assert "was taken back" in done.error.what
    assert "killed by the test" in done.error.why
    assert device.running() == "1.0.0"


def test_a_link_that_is_cut_during_the_trial_changes_nothing(serve: Serve, new_bundle: Path) -> None:
    device = serve()
    proxy = CutProxy(device.sshd.port)

    def cut(name: str) -> None:
        if name == "watch":
            proxy.limit = proxy.total

    try:
        done = attempt(device, new_bundle, host=device.behind(proxy), on_step=cut, watch_s=3.0)
    finally:
        proxy.close()
    assert done.error is not None
    assert "was lost" in done.error.what
    # Nobody looks on; the service confirms it by itself. The same command again only waits for that.
    again = attempt(device, new_bundle, watch_s=3.0)
    assert again.error is None
    assert device.running() == "1.1.0"
