"""Ctrl-C at any moment leaves the device stopped: a process of its own, a real pty, a real signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from edge_ecg_bridge.emulators import Shimmer3Emulator
from edge_ecg_bridge.shimmer3.wire import Command
from edge_ecg_bridge.synthetic import SyntheticEcg

PROGRAMS = {
    "with": "with open_source(port, device='shimmer3') as source:\n    for _ in source: pass",
    "bare": "source = open_source(port, device='shimmer3')\nfor _ in source: pass",
}
HEAD = "import sys\nfrom edge_ecg.sources import open_source\nport = sys.argv[1]\n"


class Interrupting(Shimmer3Emulator):
    """Sends SIGINT to its host at one of three moments, and keeps what it was told."""

    def __init__(self, moment: str) -> None:
        super().__init__(SyntheticEcg(seed=1))
        self.host: subprocess.Popen[bytes] | None = None
        self.heard: list[int] = []
        self._moment = moment

    def _obey(self, command: int, arguments: bytes, now_s: float) -> None:
        self.heard.append(command)
        super()._obey(command, arguments, now_s)
        if command == Command.START and self._moment in ("start", "twice"):
            self._interrupt()
        if command == Command.STOP and Command.START in self.heard and self._moment == "twice":
            self._interrupt()

    def bytes_to_send(self, now_s: float) -> bytes:
        data = super().bytes_to_send(now_s)
        if self._moment == "stream" and self.packets_sent > 400:
            self._interrupt()
            self._moment = ""
        return data

    def _interrupt(self) -> None:
        assert self.host is not None
        os.kill(self.host.pid, signal.SIGINT)


@pytest.mark.skipif(os.name != "posix", reason="signals as on a Pi")
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("moment", ["start", "stream", "twice"])
def test_the_device_is_told_to_stop(serve: Callable, program: str, moment: str) -> None:
    device = Interrupting(moment)
    port = serve(device).port
    command = [sys.executable, "-c", HEAD + PROGRAMS[program], port]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        device.host = process
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 130, 1), errors
    assert b"KeyboardInterrupt" in errors
    after = device.heard[device.heard.index(Command.START) :]
    assert Command.STOP in after
    assert after[-1] == Command.SET_CRC  # and its CRC is off again, as it was found


@pytest.mark.skipif(os.name != "posix", reason="signals as on a Pi")
def test_a_program_that_forgets_to_close_stops_its_device_too(serve: Callable) -> None:
    device = Interrupting("never")
    port = serve(device).port
    code = HEAD + "source = open_source(port, device='shimmer3')\nnext(iter(source))\n"
    done = subprocess.run([sys.executable, "-c", code, port], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert device.heard[-2:] == [Command.STOP, Command.SET_CRC]
