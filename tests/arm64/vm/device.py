"""edge-ecg on the emulated machine, handled from this host as its user would: by flash and ssh."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_ecg.bundle import write_bundle
from edge_ecg.model import bundled

from ..host import run
from .machine import Machine

HOME = ".local/share/edge-ecg"
ON_DEVICE = f"{HOME}/current/runtime/bin/edge-ecg"
# An emulated window may take ten seconds where a Pi's takes a tenth of one.
CONFIG = """[source]
port = "{port}"
[model]
hop_s = 10.0
[service]
watchdog_s = 60
start_timeout_s = 600
"""
TRIAL_S = 30
PATIENCE_S = 900.0


def edge_ecg(
    *words: str | Path, timeout_s: float = 600.0, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run this host's edge-ecg."""
    return run(sys.executable, "-m", "edge_ecg", *words, timeout_s=timeout_s, check=check)


class Device:
    """The machine with edge-ecg's own commands.

    Parameters
    ----------
    machine:
        Where it runs.
    work:
        A folder for bundles and the wheelhouse.

    """

    def __init__(self, machine: Machine, work: Path) -> None:
        self.machine = machine
        self.work = work
        self.wheelhouse = work / "wheelhouse"
        self._ssh = ("--ssh-config", str(machine.config), "--batch", "--json")

    def bundle(self, version: str, *, signed: bool = True) -> Path:
        """Return the bundled model as another version."""
        plain = self.work / f"plain-{version}.ecgb"
        if not plain.exists():
            made = bundled()
            files = {name: made.read(name) for name in made.manifest.files}
            write_bundle(plain, replace(made.manifest, version=version), files)
        if not signed:
            return plain
        path = self.work / f"signed-{version}.ecgb"
        if not path.exists():
            edge_ecg("sign", plain, "--key", self.key(), "-o", path)
        return path

    def key(self) -> Path:
        """Return the signing key; its public half lies beside it as ``.pub``."""
        path = self.work / "release-key"
        if not path.exists():
            edge_ecg("keygen", "-o", path, "--no-passphrase")
        return path

    def flash_words(self, bundle: Path, *words: str) -> list[str]:
        """Return the command that flashes a bundle from here, without a network there."""
        return [
            "flash", "vm", str(bundle), "--wheelhouse", str(self.wheelhouse), "--watch", str(TRIAL_S),
            *self._ssh, *words,
        ]  # fmt: skip

    def flash(self, bundle: Path, *words: str, timeout_s: float = 3600.0) -> list[dict[str, Any]]:
        """Flash and return what was said; RuntimeError when it fails."""
        done = edge_ecg(*self.flash_words(bundle, *words), timeout_s=timeout_s)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def start_flash(self, bundle: Path) -> subprocess.Popen[str]:
        """Flash in the background; its steps can be read from stdout."""
        return subprocess.Popen(
            [sys.executable, "-m", "edge_ecg", *self.flash_words(bundle)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """What ``edge-ecg status`` says of it."""
        done = edge_ecg("status", "vm", *self._ssh)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def await_status(
        self, good: Callable[[dict[str, Any]], bool], what: str, timeout_s: float = PATIENCE_S
    ) -> dict[str, Any]:
        """Ask for the status until it is good; RuntimeError with the service's log after ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                status = self.status()
            except RuntimeError as error:
                said = str(error)  # while the current release's runtime is broken nobody there answers
            else:
                said = json.dumps(status)
                if good(status):
                    return status
            if time.monotonic() > deadline:
                log = self.machine.root("journalctl -u edge-ecg --no-pager -n 30", check=False)
                raise RuntimeError(f"{log}\n{said}\nnot within {timeout_s:.0f} s: {what}")

    def active(self) -> bool:
        """Whether systemd calls the service active."""
        return self.machine.ssh("systemctl is-active edge-ecg", check=False).stdout.strip() == "active"

    def pid(self) -> int:
        """The service's main process; 0 when there is none."""
        return int(self.machine.root("systemctl show edge-ecg -p MainPID --value"))

    def restarts(self) -> int:
        """How often systemd has restarted the service since it was started last."""
        return int(self.machine.root("systemctl show edge-ecg -p NRestarts --value"))

    def configure(self, port: str) -> None:
        """Write the service's configuration."""
        self.machine.ssh(
            f"mkdir -p {HOME} && umask 077 && cat >{HOME}/config.toml", stdin=CONFIG.format(port=port)
        )

    @contextmanager
    def board(self, kind: str = "text") -> Iterator[int]:
        """A virtual board of this host, at the TCP port that is given."""
        words = [sys.executable, "-m", "edge_ecg", "simulate", kind, "--tcp", "0", "--json"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            try:
                said = json.loads(process.stdout.readline())
                yield int(str(said["port"]).rpartition(":")[2])
            finally:
                process.terminate()
