"""What a whole system can show and nothing smaller: each check drives the machine and says what it saw."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from .device import HOME, ON_DEVICE, TRIAL_S, Device, edge_ecg

MOST_EXPOSED = 3.0  # of systemd-analyze security, where 10 is the worst
_BROKEN = f"{HOME}/runtimes/broken"


def boots(device: Device) -> str:
    """An arm64 Debian with systemd comes up, and ssh lets the user in."""
    emulated_s = device.machine.boot()
    state = device.machine.ssh(
        "systemctl is-system-running --wait", timeout_s=600, check=False
    ).stdout.strip()
    system = device.machine.ssh("uname -sr; uname -m; python3 -V").stdout.replace("\n", ", ")
    _require(state == "running", f"systemd says {state}")
    return f"{system}systemd {state}, ssh after {emulated_s:.0f} s"


def flashes(device: Device) -> str:
    """One command makes a bare system a device, offline: runtime, trusted key, model, service."""
    device.configure("sim:")
    steps = device.flash(device.bundle("0.1.0"), "--trust", f"{device.key()}.pub", "--service")
    status = device.await_status(_lives, "a service that decides")
    _require(bool(status["signed_by"]), "the release is not signed")
    return f"{len(steps)} steps; {_said(status)}, signed by {status['signed_by']}"


def refuses_unsigned(device: Device) -> str:
    """Once a device trusts a key, it takes no bundle without a signature."""
    done = edge_ecg(*device.flash_words(device.bundle("0.9.0", signed=False)), timeout_s=1200, check=False)
    _require(done.returncode == 4, f"exit code {done.returncode}: {done.stderr[-500:]}")
    return f"exit code 4: {done.stderr.strip().splitlines()[0]}"


def is_confined(device: Device) -> str:
    """systemd's own analysis of the unit as it runs."""
    text = device.machine.root("systemd-analyze security edge-ecg --no-pager", timeout_s=300)
    found = re.search(r"exposure level for edge-ecg.service: ([\d.]+)", text)
    _require(found is not None and float(found[1]) < MOST_EXPOSED, text[-200:])
    verified = device.machine.root("systemd-analyze verify edge-ecg.service && echo sound", timeout_s=300)
    _require(verified.endswith("sound"), verified)
    assert found is not None
    return f"exposure {found[1]} (0 best, 10 worst), verify: sound"


def reads_a_plugged_in_board(device: Device) -> str:
    """A board at a USB serial adapter: plugged in, pulled out, plugged in again, under the hardened unit."""
    device.configure("/dev/ttyUSB0")
    device.machine.root(f"cd ~ecg && {ON_DEVICE} service install --user ecg", timeout_s=600)
    device.await_status(lambda status: _health(status).get("ready") is True, "ready without a board")
    with device.board() as port:
        device.machine.plug_in(port)
        first = device.await_status(
            lambda status: _lives(status) and _reads(status, "ttyUSB0"), "its decisions"
        )
        device.machine.unplug()
        gone = device.await_status(lambda status: not _flows(status), "the loss of the board")
    with device.board() as port:
        device.machine.plug_in(port)
        again = device.await_status(
            lambda status: _flows(status) and _health(status)["samples"] > _health(gone)["samples"],
            "its return",
        )
        device.machine.unplug()
    _require(_health(first)["pid"] == _health(again)["pid"], "the service was restarted meanwhile")
    device.configure("sim:")
    device.machine.root(f"cd ~ecg && {ON_DEVICE} service install --user ecg", timeout_s=600)
    device.await_status(_lives, "decisions of sim: again")
    return (
        f"{_health(first)['device']}: {_health(again)['samples']} samples in one process, over a pulled plug"
    )


def is_restarted_by_the_watchdog(device: Device) -> str:
    """A service that stands still is ended and started again."""
    pid = device.pid()
    device.machine.root(f"kill -STOP {pid}")
    status = device.await_status(
        lambda status: _lives(status) and _health(status)["pid"] != pid, "a new process"
    )
    log = device.machine.root(
        "journalctl -u edge-ecg --no-pager -n 200 | grep -i 'watchdog timeout' | tail -n 1"
    )
    _require("atchdog" in log, "the journal does not tell of the watchdog")
    return f"process {pid} stopped, {_health(status)['pid']} runs; {device.restarts()} restarts counted"


def takes_a_new_version(device: Device) -> str:
    """A second flash changes the model without root, and the runtime that is there is used again."""
    version = _next_version(device.status())
    steps = device.flash(device.bundle(version))
    status = device.await_status(
        lambda status: _lives(status) and status["version"] == version, "the new version"
    )
    _require(not any("virtual environment" in str(step.get("text")) for step in steps), "made a runtime anew")
    return f"{_said(status)}; before: {status['previous']}"


def falls_back(device: Device) -> str:
    """A release that cannot start is given up after three starts, without anybody's help."""
    status = device.status()
    before, version = status["release"], _next_version(status)
    device.machine.put(device.bundle(version), to="new")
    text = device.machine.ssh(
        f"{ON_DEVICE} device admit new/signed-{version}.ecgb --json", timeout_s=900
    ).stdout
    release = json.loads(text.splitlines()[-1])["release"]
    # As after an upgrade of the system that took its Python away: the release is sound, its runtime is not.
    device.machine.ssh(
        f"mkdir -p {_BROKEN}/bin && printf '#!/bin/sh\\nexit 1\\n' >{_BROKEN}/bin/edge-ecg && "
        f"chmod +x {_BROKEN}/bin/edge-ecg && touch {_BROKEN}/.complete && "
        f"ln -sfn ../../runtimes/broken {HOME}/releases/{release}/runtime && "
        f"{ON_DEVICE} device switch {release} --watch-s {TRIAL_S}",
        timeout_s=600,
    )
    status = device.await_status(
        lambda status: _lives(status) and status["release"] == before, "the way back"
    )
    bad = next(one["bad"] for one in status["releases"] if one["release"] == release)
    _require(bool(bad), "the release is not marked as bad")
    return f"{release}: {bad}; {before} runs again"


def rolls_back(device: Device) -> str:
    """The way back by hand."""
    before = device.status()
    edge_ecg("rollback", "vm", "--ssh-config", device.machine.config, "--batch", "--json", timeout_s=900)
    status = device.await_status(
        lambda status: _lives(status) and status["release"] == before["previous"], "the release before"
    )
    return f"{before['release']} -> {status['release']}"


def comes_back_after_a_reboot(device: Device) -> str:
    """After a restart of the system the service decides again, by itself."""
    before = device.status()["release"]
    emulated_s = device.machine.reboot()
    status = device.await_status(_lives, "decisions after the reboot")
    _require(status["release"] == before, f"{status['release']} instead of {before}")
    return f"{_said(status)}; ssh after {emulated_s:.0f} s"


def _cut(where: str, waits_for: str) -> Callable[[Device], str]:
    """A check that cuts the power at a moment of a flash; ``waits_for`` is a shell loop that ends then."""

    def check(device: Device) -> str:
        status = device.status()
        old, version = status["release"], _next_version(status)
        with device.start_flash(device.bundle(version)) as flashing:
            device.machine.ssh(f"cd {HOME}; old={old}; {waits_for}", timeout_s=1800)
            device.machine.cut_power()
            flashing.communicate(timeout=600)
        _require(flashing.returncode == 7, f"flash ended with {flashing.returncode}")
        booted_s = device.machine.boot()
        status = device.await_status(_lives, "a model that runs")
        survivor = status["release"]
        device.machine.ssh(f"{ON_DEVICE} verify {HOME}/current/model.ecgb", timeout_s=300)
        device.flash(device.bundle(version))
        new = device.await_status(
            lambda status: _lives(status) and status["version"] == version, "the new one"
        )
        which = "the old" if survivor == old else "the new"
        return (
            f"boots after {booted_s:.0f} s and runs {which} model, whose verify passes; "
            f"the same flash again: {new['release']}"
        )

    check.__doc__ = f"Power cut {where}: the old or the new model runs after, and the same flash succeeds."
    return check


CHECKS: dict[str, Callable[[Device], str]] = {
    "boot": boots,
    "flash": flashes,
    "unsigned": refuses_unsigned,
    "confinement": is_confined,
    "hot plug": reads_a_plugged_in_board,
    "watchdog": is_restarted_by_the_watchdog,
    "new version": takes_a_new_version,
    "fall-back": falls_back,
    "power cut in upload": _cut(
        "while the bundle is sent",
        'while :; do set -- incoming/*.part; [ -e "$1" ] && break; sleep 0.1; done',
    ),
    "power cut in admission": _cut(
        "while the golden windows run", "until pgrep -f deploy.selftest >/dev/null; do sleep 0.1; done"
    ),
    "power cut in switch": _cut(
        "right after the switch", 'until [ "$(readlink current)" != "releases/$old" ]; do sleep 0.1; done'
    ),
    "rollback": rolls_back,
    "reboot": comes_back_after_a_reboot,
}


def _health(status: dict[str, Any]) -> dict[str, Any]:
    found = status["health"]
    return found if isinstance(found, dict) else {}


def _flows(status: dict[str, Any]) -> bool:
    """Whether a sample came a moment ago (of emulated time)."""
    age_s = _health(status).get("last_sample_age_s")
    return bool(_health(status).get("alive")) and isinstance(age_s, int | float) and age_s < 20


def _lives(status: dict[str, Any]) -> bool:
    """Whether the current release is confirmed and its service has decided something, and is alive."""
    health = _health(status)
    return (
        bool(status["confirmed"])
        and health.get("release") == status["release"]
        and bool(health.get("alive") and health.get("ready") and health.get("decisions"))
        and _flows(status)
    )


def _reads(status: dict[str, Any], device: str) -> bool:
    return device in str(_health(status).get("device"))


def _next_version(status: dict[str, Any]) -> str:
    """Return a version above all that lie there: a device takes no older one, and none that failed."""
    newest = max(int(one["version"].split(".")[1]) for one in status["releases"])
    return f"0.{newest + 1}.0"


def _said(status: dict[str, Any]) -> str:
    health = _health(status)
    return f"{status['release']} runs from {health.get('device')}, {health.get('decisions')} decisions so far"


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise RuntimeError(what)
