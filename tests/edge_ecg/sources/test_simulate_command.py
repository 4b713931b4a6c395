"""``edge-ecg simulate`` as another process."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_ecg.errors import DeviceError
from edge_ecg.samples import SampleBlock
from edge_ecg.sources import open_source
from edge_ecg.sources.pty_host import PtyHost
from edge_ecg.sources.tcp_host import TcpHost
from edge_ecg.sources.virtual import VIRTUAL_KINDS
from edge_ecg_bridge.emulators import Reservoir, SilentEmulator
from edge_ecg_bridge.faults import FAULTS
from edge_ecg_bridge.synthetic import SyntheticEcg

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def simulate(tmp_path: Path) -> Iterator[Start]:
    """Start ``edge-ecg simulate``; what it started is ended and waited for."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge_ecg", "simulate", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate(timeout=10)[1])
    return line


def read(port: str, samples: int) -> list[SampleBlock]:
    blocks: list[SampleBlock] = []
    with open_source(port) as source:
        assert source.info.fs_hz == 256.0
        for item in source:
            if isinstance(item, SampleBlock):
                blocks.append(item)
                if item.first_sample + len(item) >= samples:
                    return blocks
    raise AssertionError("it ended")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_virtual_shimmer_for_another_program(simulate: Start, tmp_path: Path, number: int) -> None:
    process = simulate("shimmer3", "--pty", str(tmp_path / "ecg"), "--json", "--speed", "4")
    told = json.loads(line_of(process))
    assert told == {
        "type": "port",
        "port": str(tmp_path / "ecg"),
        "device": "shimmer3",
        "command": f"edge-ecg run --port {tmp_path / 'ecg'}",
    }
    for _ in range(2):  # the port can be opened again
        blocks = read(told["port"], 1000)
        assert sum(block.gap_before for block in blocks) == 0
        ecg = np.concatenate([block.ecg_mv for block in blocks])
        assert 0.8 < np.ptp(ecg) < 2.0
        assert [json.loads(line_of(process))["event"] for _ in range(2)] == ["opened", "closed"]
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert [json.loads(line) for line in out.splitlines()] == [{"type": "end", "reason": "interrupted"}]
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not os.path.lexists(tmp_path / "ecg")


def test_it_hangs_up_at_the_end_of_its_recording(simulate: Start, tmp_path: Path) -> None:
    ecg = Reservoir(SyntheticEcg(seed=1)(250.0)).take(2500)
    (tmp_path / "rec.csv").write_text("ecg_mv\n" + "\n".join(f"{x:.6f}" for x in ecg) + "\n")
    process = simulate("shimmer3", "--from", "file:rec.csv?fs=250", "--speed", "5", "--firmware", "0.11.0")
    sentence = line_of(process)
    assert sentence.startswith("A virtual shimmer3 is at /dev/")
    port = sentence.split(" is at ")[1].split(". Open")[0]
    count = 0
    address = f"{port}?reconnect=no"
    with pytest.raises(DeviceError, match="unplugged"), open_source(address, device="shimmer3") as source:  # noqa: PT012
        for item in source:
            count += len(item) if isinstance(item, SampleBlock) else 0
    assert count in (2559, 2560)  # without CRC the very last packet has nothing behind it to prove it
    out, _ = process.communicate(timeout=10)
    assert out.splitlines()[-1] == "The virtual shimmer3 has hung up: recording over."
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("shimmer3", "--from", "file:missing.edf"), 5, "missing.edf"),
        (("shimmer3", "--from", "/dev/ttyUSB0"), 2, "is not a recording"),
        (("shimmer3", "--firmware", "x"), 2, "is no firmware version"),
        (("shimmer3", "--pty", "/nowhere/x"), 3, "cannot be made"),
        (("toaster",), 2, "no virtual device 'toaster'"),
        ((), 2, "Which device"),
        (("shimmer3", "--fault", "toaster"), 2, "no fault 'toaster'"),
        (("text", "--fault", "already-streaming"), 2, "cannot have all of these faults"),
        (("text", "--line", "adc", "--fault", "time-wrap"), 2, "no counter that wraps"),
        (("shimmer3", "--fault", "ble-drop"), 2, "no fault ble-drop"),
        (("shimmer3", "--tcp", "99999"), 3, "TCP port 99999 cannot be had"),
        (("shimmer3", "--story", "rest:5"), 2, "needs its length"),
        (("shimmer3", "--noise", "-1"), 2, "--noise"),
        (("shimmer3", "--seed", "-1"), 2, "must be a whole number from 0 on"),
    ],
)
def test_wrong_usage(simulate: Start, arguments: tuple[str, ...], code: int, what: str) -> None:
    process = simulate(*arguments)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert what in err
    assert "Traceback" not in err


def test_the_faults_are_listed(simulate: Start) -> None:
    out, _ = simulate("--list-faults").communicate(timeout=20)
    assert [line.split()[0] for line in out.splitlines()] == list(FAULTS)
    assert "stall              Nothing arrives for a while, and what was measured then is lost." in out
    out, _ = simulate("--list-faults", "--json").communicate(timeout=20)
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["name"] for record in records] == list(FAULTS)
    assert all(record["type"] == "fault" and record["is"].endswith(".") for record in records)
    devices = {record["name"]: record["devices"] for record in records}
    assert devices["already-streaming"] == [
        kind for kind in VIRTUAL_KINDS if kind not in ("movesense", "openview", "text")
    ]
    assert devices["ble-drop"] == ["polar-h10", "movesense", "ganglion"]
    out, _ = simulate("text", "--list-faults").communicate(timeout=20)
    assert "already-streaming" not in out


@pytest.mark.parametrize(("kind", "device"), [("polar-h10", "polar-h10"), ("framed", None)])
def test_the_command_that_it_prints_opens_it(
    simulate: Start, tmp_path: Path, kind: str, device: str | None
) -> None:
    """On a port nobody asks for what speaks Bluetooth LE alone, so the command has to name it."""
    link = tmp_path / "a port"
    told = json.loads(line_of(simulate(kind, "--pty", str(link), "--json", "--speed", "5")))
    named = () if device is None else ("--device", device)
    assert shlex.split(told["command"]) == ["edge-ecg", "run", "--port", str(link), *named]
    with open_source(told["port"], device=device) as source:
        assert source.info.device == kind
        assert isinstance(next(item for item in source if isinstance(item, SampleBlock)), SampleBlock)


def test_over_tcp(simulate: Start) -> None:
    process = simulate("shimmer3r", "--tcp", "0", "--json", "--speed", "5", "--fault", "bit-flip@1")
    told = json.loads(line_of(process))
    assert told["port"].startswith("socket://127.0.0.1:")
    for lost in (1, 0):  # the fault strikes once; the port can be opened again
        blocks = read(told["port"], 1000)
        assert sum(block.gap_before for block in blocks) == lost
        assert [json.loads(line_of(process))["event"] for _ in range(2)] == ["opened", "closed"]


def test_a_device_that_is_unplugged_takes_its_port_along(simulate: Start, tmp_path: Path) -> None:
    link = tmp_path / "ecg"
    process = simulate(
        "shimmer3", "--pty", str(link), "--json", "--speed", "5", "--fault", "unplug@5:2", "--seed", "4"
    )
    told = json.loads(line_of(process))
    with pytest.raises(DeviceError, match="unplugged"):
        read(told["port"] + "?reconnect=no", 100_000)
    events = []
    while not events or events[-1] != "plugged in":
        events.append(json.loads(line_of(process))["event"])
        if events[-1] == "unplugged":
            assert not os.path.lexists(link)
    assert events == ["opened", "unplugged", "plugged in"]
    assert len(read(told["port"], 500)) > 0


def test_a_tcp_port_that_is_taken_and_one_that_goes_with_its_device() -> None:
    with TcpHost(SilentEmulator()) as host:
        number = int(host.port.rpartition(":")[2])
        with pytest.raises(DeviceError, match="cannot be had"):
            TcpHost(SilentEmulator(), tcp_port=number)
    with TcpHost(SilentEmulator(), tcp_port=number) as again:
        assert again.port == host.port
        again.close()


def test_a_link_that_is_taken_and_one_that_was_left_behind(tmp_path: Path) -> None:
    link = tmp_path / "ecg"
    link.symlink_to(tmp_path / "gone")
    with PtyHost(SilentEmulator(), link=link) as host:
        assert os.path.realpath(host.port).startswith("/dev/")
        with pytest.raises(DeviceError, match="exists already"):
            PtyHost(SilentEmulator(), link=link)
    assert not os.path.lexists(link)


def test_a_host_that_stops_reading_has_lost_the_link(serve: Callable) -> None:
    """The device drops what nobody reads and stops, as when a radio link is lost."""
    from edge_ecg_bridge.emulators import Shimmer3Emulator
    from edge_ecg_bridge.shimmer3 import commands

    device = Shimmer3Emulator(SyntheticEcg())
    port = serve(device, speed=20.0).port
    fd = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(fd, commands.set_rate(32) + commands.set_sensors() + commands.start_streaming())
        end = time.monotonic() + 10.0
        while not device.packets_sent and time.monotonic() < end:
            os.sched_yield()
        while device.streaming and time.monotonic() < end:
            os.sched_yield()
        assert not device.streaming
    finally:
        os.close(fd)


def test_a_tcp_client_that_goes_is_noticed_before_the_next_one_comes() -> None:
    """Also when the next one is waiting already: the device must not go on with a stream for the first."""

    class Counting(SilentEmulator):
        lost = 0

        def link_lost(self) -> None:
            self.lost += 1

    device, told = Counting(), []
    host = TcpHost(device, on_change=told.append)
    thread = threading.Thread(target=host.serve)
    thread.start()
    try:
        address = ("127.0.0.1", int(host.port.rpartition(":")[2]))
        first = socket.create_connection(address)
        second = socket.create_connection(address)
        end = time.monotonic() + 10.0
        while not told and time.monotonic() < end:
            os.sched_yield()
        first.close()
        while len(told) < 3 and time.monotonic() < end:
            os.sched_yield()
        assert told == ["opened", "closed", "opened"]
        assert device.lost == 1
        second.close()
    finally:
        host.stop()
        thread.join(10.0)
        host.close()
