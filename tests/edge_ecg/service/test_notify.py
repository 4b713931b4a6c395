"""The protocol of sd_notify(3) and sd_watchdog_enabled(3), against a real socket."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_ecg.service.notify import Notifier


def listen(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind("\0" + address[1:] if address.startswith("@") else address)
    listener.settimeout(5)
    return listener


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "path" else f"@edge-ecg-{secrets.token_hex(8)}"


@pytest.fixture
def manager(address: str) -> Iterator[socket.socket]:
    with listen(address) as listener:
        yield listener


def test_every_message(address: str, manager: socket.socket) -> None:
    notifier = Notifier(address)
    assert notifier.listening
    for send, expected in [
        (notifier.ready, b"READY=1"),
        (notifier.alive, b"WATCHDOG=1"),
        (notifier.stopping, b"STOPPING=1"),
        (lambda: notifier.status("stress: rest 83 %\nREADY=1"), b"STATUS=stress: rest 83 % READY=1"),
        (lambda: notifier.status("Größe ✓"), "STATUS=Größe ✓".encode()),
        (lambda: notifier.extend(1.5), b"EXTEND_TIMEOUT_USEC=1500000"),
        (lambda: notifier.reloading(42), b"RELOADING=1\nMONOTONIC_USEC=42"),
    ]:
        send()
        assert manager.recv(4096) == expected
    notifier.close()
    notifier.close()
    assert not notifier.listening
    notifier.ready()


def test_the_environment_is_taken_and_emptied() -> None:
    environment = {
        "NOTIFY_SOCKET": "@nobody",
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": str(os.getpid()),
        "HOME": "/root",
    }
    notifier = Notifier.from_environment(environment)
    assert notifier.listening
    assert notifier.watchdog_s == 30.0
    assert environment == {"HOME": "/root"}
    notifier.close()


@pytest.mark.parametrize(
    "environment",
    [
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},  # another process is watched
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {},
    ],
)
def test_no_watchdog(environment: dict[str, str]) -> None:
    notifier = Notifier.from_environment(environment)
    assert notifier.watchdog_s is None
    assert not notifier.listening


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_an_address_of_another_kind_is_nobody(address: str) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    assert not notifier.listening
    notifier.ready()


def test_a_manager_that_is_gone_stops_nothing_and_may_come_back(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    notifier = Notifier(address)
    notifier.ready()  # not there yet
    with listen(address) as listener:
        notifier.alive()
        assert listener.recv(4096) == b"WATCHDOG=1"
    notifier.alive()  # not there any more
    os.unlink(address)
    with listen(address) as listener:
        notifier.alive()
        assert listener.recv(4096) == b"WATCHDOG=1"
    notifier.close()
