"""Real processes under a supervisor: good releases stay, bad ones go, lost devices are waited for."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_ecg.deploy.health import read_health

if TYPE_CHECKING:
    from .conftest import Device, Supervisor

Supervise = Callable[..., "Supervisor"]

# Five times as fast as life: the first window is there after two seconds.
SIM = '[source]\nport = "sim:shimmer3?speed=5"\n[output]\njournal = "decisions"\n'
WATCH_S = 2.0


def finished_trial(device: Device) -> bool:
    return device.releases.trial() is None


# -- releases ------------------------------------------------------------------------------------------


def test_a_healthy_release_is_confirmed_and_a_switch_starts_it(device: Device, supervise: Supervise) -> None:
    device.configure(SIM)
    old = device.start_with_a_good_one()
    supervisor = supervise()
    first = supervisor.wait_ready(1)
    new = device.releases.create(device.good[1], device.runtime("better"), {})
    device.releases.switch(new, WATCH_S)
    second = supervisor.wait_ready(2)
    assert (first.code, first.stopping, first.killed) == (0, True, ""), supervisor.story()
    assert device.releases.trial() is not None
    ready_s = time.monotonic()
    supervisor.wait(lambda: finished_trial(device))
    assert time.monotonic() - ready_s > WATCH_S / 2
    assert device.current() == new.name
    assert device.releases.bad() == {}
    # Nobody touches the process for that.
    assert second.code is None
    supervisor.wait(lambda: any("on trial" in text for text in second.statuses))
    supervisor.wait(lambda: (health := read_health(device.home)) is not None and health.decisions > 0)
    health = read_health(device.home)
    assert health is not None
    assert (health.release, health.pid, health.ready, health.error) == (new.name, second.pid, True, None)
    assert device.releases.previous() is not None
    assert old in str(device.releases.previous())
    assert len(supervisor.starts) == 2
    assert device.home.health.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", ["crashes", "has another golden result", "raises while it decides"])
def test_a_bad_release_ends_on_the_one_before(how: str, device: Device, supervise: Supervise) -> None:
    device.configure(SIM)
    old = device.start_with_a_good_one()
    if how == "crashes":
        bad = device.releases.create(device.good[1], device.runtime("bad", "exit 1", shell=True), {})
        starts, reason = 3, "started 3 times"
    elif how == "has another golden result":
        bad = device.releases.create(device.wrong_golden, device.runtime("bad"), {})
        starts, reason = 1, "does not compute the right thing"
    else:
        script = (
            "from edge_ecg.deciding import Decider\n"
            "def decide(*_): raise ZeroDivisionError('planted')\n"
            "Decider.decide = decide\n"
        )
        bad = device.releases.create(device.good[1], device.runtime("bad", script), {})
        starts, reason = 1, "ZeroDivisionError: planted"
    device.releases.switch(bad, 60.0)
    supervisor = supervise()
    supervisor.wait_ready(starts + 1)
    assert device.current() == old
    assert device.releases.trial() is None
    assert reason in device.bad()
    failed = supervisor.starts[:starts]
    assert all(one.code not in (0, None) for one in failed), supervisor.story()
    supervisor.wait(lambda: (health := read_health(device.home)) is not None and health.release == old)
    assert supervisor.last.code is None


@pytest.mark.slow
@pytest.mark.parametrize("how", ["hangs before it is ready", "stops feeding the watchdog"])
def test_a_release_that_hangs_ends_on_the_one_before(how: str, device: Device, supervise: Supervise) -> None:
    device.configure(SIM)
    old = device.start_with_a_good_one()
    if how == "hangs before it is ready":
        runtime = device.runtime("bad", "exec sleep 1000", shell=True)
        killed = "start timeout"
    else:
        runtime = device.runtime(
            "bad",
            "import time\n"
            "from edge_ecg.service import pulse\n"
            "from edge_ecg.pipeline import Pipeline\n"
            "pulse.FLOW_S = 0.5\n"
            "Pipeline.push = lambda self, block: time.sleep(1000)\n",
        )
        killed = "watchdog"
    bad = device.releases.create(device.good[1], runtime, {})
    device.releases.switch(bad, 60.0)
    supervisor = supervise(watchdog_s=6.0, start_timeout_s=20.0)
    supervisor.wait_ready(4)
    assert [one.killed for one in supervisor.starts[:3]] == [killed] * 3
    assert device.current() == old
    assert "started 3 times" in device.bad()
    time.sleep(7)  # longer than the watchdog's time
    assert supervisor.last.code is None
    assert len(supervisor.starts) == 4
    if killed == "watchdog":
        log = supervisor.stderr.read_text()
        assert "<3>The watchdog is not fed: no sample went through the pipeline" in log
        assert "Fatal Python error: Aborted" in log, "where each thread hung"
        assert "time.sleep(1000)" in log or 'edge-ecg", line' in log


@pytest.mark.slow
def test_a_configuration_that_only_the_new_release_refuses_is_its_failure(
    device: Device, supervise: Supervise
) -> None:
    device.configure(SIM)
    old = device.start_with_a_good_one()
    script = "from edge_ecg.service import schema\ndel schema.SECTIONS['output']\n"
    bad = device.releases.create(device.good[1], device.runtime("bad", script), {})
    device.releases.switch(bad, 60.0)
    supervisor = supervise()
    supervisor.wait_ready(4)
    assert [one.code for one in supervisor.starts[:3]] == [2, 2, 2]
    assert device.current() == old


def test_a_start_that_fails_says_why_where_others_look(device: Device, supervise: Supervise) -> None:
    """Not on trial, so it stays; once the configuration is mended, the next start succeeds."""
    device.configure(SIM.replace("journal", "jurnal"))
    name = device.start_with_a_good_one()
    supervisor = supervise()
    supervisor.wait(lambda: supervisor.starts and supervisor.starts[0].code == 2)
    health = read_health(device.home)
    assert health is not None
    assert (health.release, health.ready) == (name, False)
    assert health.error is not None
    assert "Did you mean `journal`?" in health.error
    device.configure(SIM)
    supervisor.wait(lambda: supervisor.last.ready)
    assert device.current() == name
    assert device.releases.bad() == {}


# -- signals -------------------------------------------------------------------------------------------


def test_told_to_end_it_ends_well_and_soon_with_the_recording_whole(
    device: Device, supervise: Supervise, tmp_path: Path
) -> None:
    folder, decisions = tmp_path / "recordings", tmp_path / "decisions.jsonl"
    device.configure(f'{SIM}file = "{decisions}"\n[record]\ndirectory = "{folder}"\nmin_free_mb = 0\n')
    device.start_with_a_good_one()
    supervisor = supervise()
    first = supervisor.wait_ready(1)
    supervisor.wait(lambda: decisions.exists() and "decision" in decisions.read_text())
    began_s = time.monotonic()
    supervisor.signal(signal.SIGTERM)
    supervisor.wait(lambda: first.code is not None)
    took_s = time.monotonic() - began_s
    assert (first.code, first.stopping) == (0, True)
    assert took_s < 3.0
    recording = min(folder.glob("*.csv"))  # the next process has one of its own
    assert recording.stat().st_mode & 0o777 == decisions.stat().st_mode & 0o777 == 0o600
    rows = [json.loads(line) for line in decisions.read_text().splitlines()]
    ends = [row for row in rows if row["type"] == "end"]
    assert ends[0]["reason"] == "stopped"
    command = [sys.executable, "-m", "edge_ecg", "replay", str(recording), "--model", str(device.good[0])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    log = supervisor.stderr.read_text()
    assert "<5>Told to end (SIGTERM)." in log
    assert "ecg_mv" not in log


def test_a_changed_configuration_is_read_on_demand_and_a_wrong_one_is_not_taken(
    device: Device, supervise: Supervise
) -> None:
    device.configure(SIM)
    device.start_with_a_good_one()
    supervisor = supervise()
    start = supervisor.wait_ready(1)

    def reload() -> None:
        before = start.messages.count("READY=1")
        supervisor.signal(signal.SIGHUP)
        supervisor.wait(lambda: start.messages.count("READY=1") > before)

    device.configure(SIM.replace("journal", "jurnal"))
    reload()
    log = supervisor.stderr.read_text()
    assert "Did you mean `journal`?" in log
    assert "<4>What was configured before goes on." in log
    device.configure(SIM.replace("sim:shimmer3?speed=5", "sim:text"))
    reload()
    supervisor.wait(lambda: "simulated text" in supervisor.stderr.read_text())
    assert "source.port" in supervisor.stderr.read_text()
    assert start.code is None
    assert len(supervisor.starts) == 1
    assert any(message.startswith("RELOADING=1\nMONOTONIC_USEC=") for message in start.messages)


# -- devices -------------------------------------------------------------------------------------------


@contextmanager
def virtual_device(link: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "edge_ecg", "simulate", "text", "--pty", str(link), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield
        finally:
            process.terminate()


@pytest.mark.slow
def test_a_device_that_is_gone_for_long_restarts_nothing(
    device: Device, supervise: Supervise, tmp_path: Path
) -> None:
    link = tmp_path / "ecg"
    device.configure(f'[source]\nport = "{link}"\ndevice = "text"\n')
    old = device.start_with_a_good_one()
    new = device.releases.create(device.good[1], device.runtime("better"), {})
    device.releases.switch(new, WATCH_S)
    supervisor = supervise(watchdog_s=6.0)
    start = supervisor.wait_ready(1)
    supervisor.wait(lambda: any(f"Looking for {link}: There is no port" in text for text in start.statuses))
    supervisor.wait(lambda: finished_trial(device))  # that nobody wears it does not speak against a release
    assert device.current() == new.name != old

    def decided() -> bool:
        health = read_health(device.home)
        return health is not None and health.decisions > before

    before = 0
    with virtual_device(link):
        supervisor.wait(decided)
    supervisor.wait(lambda: start.statuses[-1].startswith(f"Looking for {link}"))
    health = read_health(device.home)
    assert health is not None
    assert health.error is None
    assert health.device is not None
    assert health.device.startswith(f"looking for {link}")
    before = health.decisions
    with virtual_device(link):
        supervisor.wait(decided)
    assert len(supervisor.starts) == 1
    assert start.code is None
