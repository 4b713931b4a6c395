"""A device's folder with releases, and a small supervisor that does to a service what systemd does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edge_ecg.bundle import Golden, Manifest, write_bundle
from edge_ecg.deploy import Home, Releases
from edge_ecg.deploy.start_script import install_start_script

# For machines that do many other things: a start alone has taken 15 s.
WAIT_S = 240.0


@dataclass
class Start:
    """One process that the supervisor started, and how it went."""

    pid: int
    ready: bool = False
    statuses: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    stopping: bool = False
    code: int | None = None
    killed: str = ""


class Supervisor:
    """Starts ``bin/edge-ecg-start`` again and again, by the rules of systemd.service(5).

    A start that is not READY in time is killed; one that goes without WATCHDOG=1 for too long gets SIGABRT
    and then SIGKILL; whatever ends is started again.
    """

    def __init__(
        self,
        home: Home,
        *,
        watchdog_s: float = 10.0,
        start_timeout_s: float = 30.0,
        restart_s: float = 0.1,
    ) -> None:
        self.starts: list[Start] = []
        self.stderr = home.root.parent / "stderr.txt"
        self.stdout = home.root.parent / "stdout.txt"
        self._home = home
        self._watchdog_s = watchdog_s
        self._start_timeout_s = start_timeout_s
        self._restart_s = restart_s
        self._address = home.root.parent / "notify"
        self._changed = threading.Condition()
        self._closing = False
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._address))
        self._socket.settimeout(0.05)
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Supervisor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._thread.join()
        self._socket.close()

    @property
    def last(self) -> Start:
        return self.starts[-1]

    def wait(self, what: Callable[[], object], timeout_s: float = WAIT_S) -> None:
        """Wait until something is so; looked at after every message, and ten times a second."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while not what():
                assert time.monotonic() < until, self.story()
                self._changed.wait(0.1)

    def wait_ready(self, number: int) -> Start:
        """Wait until the ``number``-th start (from 1) is READY."""
        self.wait(lambda: len(self.starts) >= number and self.starts[number - 1].ready)
        return self.starts[number - 1]

    def signal(self, number: int) -> None:
        os.kill(self.last.pid, number)

    def story(self) -> str:
        return f"{self.starts}\n{self.stderr.read_text(errors='replace')[-6000:]}"

    def _work(self) -> None:
        while not self._closing:
            self._run_once()
            time.sleep(self._restart_s)

    def _run_once(self) -> None:
        environment = {
            **os.environ,
            "EDGE_ECG_HOME": str(self._home.root),
            "NOTIFY_SOCKET": str(self._address),
            "WATCHDOG_USEC": str(round(self._watchdog_s * 1e6)),
            "JOURNAL_STREAM": "9:9",
        }
        with self.stderr.open("ab") as err, self.stdout.open("ab") as out:
            process = subprocess.Popen([self._home.start_script], env=environment, stdout=out, stderr=err)
        start = Start(process.pid)
        with self._changed:
            self.starts.append(start)
        due = time.monotonic() + self._start_timeout_s
        while process.poll() is None:
            message = self._receive()
            now = time.monotonic()
            with self._changed:
                if message is not None:
                    due = self._heed(start, message, now, due)
                    self._changed.notify_all()
            if self._closing and not start.killed:
                start.killed = "stop"
                process.terminate()
                due = now + 10
            elif now > due and not start.killed:
                start.killed = "watchdog" if start.ready else "start timeout"
                process.send_signal(signal.SIGABRT if start.ready else signal.SIGKILL)
                due = now + 3
            elif now > due:
                process.kill()
        with self._changed:
            while (message := self._receive()) is not None:
                self._heed(start, message, 0.0, 0.0)
            start.code = process.wait()
            self._changed.notify_all()

    def _heed(self, start: Start, message: str, now: float, due: float) -> float:
        """Note a message; return until when the next sign must come."""
        name, _, value = message.partition("\n")[0].partition("=")
        start.messages.append(message)
        if name == "READY":
            start.ready = True
            return now + self._watchdog_s
        if name == "STATUS":
            start.statuses.append(value)
        elif name == "STOPPING":
            start.stopping = True
            return now + 30
        elif name == "WATCHDOG" and start.ready and not start.stopping:
            return now + self._watchdog_s
        elif name == "EXTEND_TIMEOUT_USEC" and not start.ready:
            return max(due, now + int(value) / 1e6)
        return due

    def _receive(self) -> str | None:
        with suppress(TimeoutError):
            return self._socket.recv(65536).decode()
        return None


@dataclass
class Device:
    """A home with a start script, and ways to put releases there."""

    home: Home
    releases: Releases
    folder: Path
    good: list[Path]
    wrong_golden: Path

    def runtime(self, name: str, script: str = "", *, shell: bool = False) -> str:
        """Make a runtime: this edge-ecg, after some lines of Python (or of sh, instead)."""
        path = self.folder / f"runtime-{name}" / "bin" / "edge-ecg"
        path.parent.mkdir(parents=True)
        if shell:
            text = f"#!/bin/sh\n{script}\n"
        else:
            paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
            text = (
                f"#!{sys.executable}\nimport sys\nsys.path[:0] = {paths!r}\n{script}\n"
                "from edge_ecg.cli import main\nsys.exit(main())\n"
            )
        path.write_text(text)
        path.chmod(0o755)
        return str(path.parent.parent)

    def configure(self, text: str) -> None:
        self.home.config.write_text(text)

    def start_with_a_good_one(self) -> str:
        """Put a confirmed release there; return its name."""
        release = self.releases.create(self.good[0], self.runtime("good"), {})
        self.releases.switch(release)
        return release.name

    def bad(self) -> str:
        """Return why the last release was taken back."""
        (found,) = self.releases.bad().values()
        return found.reason

    def current(self) -> str:
        current = self.releases.current()
        return "" if current is None else current.name


@pytest.fixture(scope="session")
def service_bundles(
    tmp_path_factory: pytest.TempPathFactory, manifest: Manifest, bundle_files: dict[str, bytes]
) -> tuple[list[Path], Path]:
    """Two versions that work, and one whose golden windows expect something else."""
    folder = tmp_path_factory.mktemp("service-bundles")
    good = [folder / "good1.ecgb", folder / "good2.ecgb"]
    for number, path in enumerate(good, 1):
        write_bundle(path, replace(manifest, version=f"0.{number}.0"), bundle_files)
    golden = Golden.from_bundle(_read(good[0]))
    turned = {name: values[::-1].copy() for name, values in golden.embeddings.items()}
    wrong = folder / "wrong.ecgb"
    files = bundle_files | {"golden.npz": replace(golden, embeddings=turned).to_bytes()}
    write_bundle(wrong, replace(manifest, version="0.3.0"), files)
    return good, wrong


def _read(path: Path):  # type: ignore[no-untyped-def]
    from edge_ecg.bundle import read_bundle

    return read_bundle(path)


@pytest.fixture
def device(tmp_path: Path, service_bundles: tuple[list[Path], Path]) -> Device:
    home = Home(tmp_path / "home")
    install_start_script(home)
    return Device(home, Releases(home), tmp_path, *service_bundles)


@pytest.fixture
def supervise(device: Device) -> Iterator[Callable[..., Supervisor]]:
    """``supervise(**options)``: a supervisor that runs until the test ends."""
    running: list[Supervisor] = []

    def begin(**options: float) -> Supervisor:
        supervisor = Supervisor(device.home, **options).__enter__()
        running.append(supervisor)
        return supervisor

    yield begin
    for supervisor in running:
        supervisor.__exit__()
