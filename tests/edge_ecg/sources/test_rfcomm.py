"""Bluetooth classic over a socket: the real code on a real socketpair, and every way in which it fails."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_ecg.errors import DeviceError, UsageError
from edge_ecg.samples import SampleBlock
from edge_ecg.sources import open_source, rfcomm
from edge_ecg.sources.address import parse_address
from edge_ecg.sources.opening import ByteStreamDoor
from edge_ecg.sources.rfcomm import RfcommPlace, open_rfcomm, rfcomm_socket, split_rfcomm
from edge_ecg.sources.session_source import SessionSource
from edge_ecg_bridge.emulators import Emulator, Shimmer3Emulator
from edge_ecg_bridge.synthetic import SyntheticEcg

MAC = "00:06:66:AA:BB:CC"


class RadioSocket(socket.socket):
    """One end of a socketpair that connects as an RFCOMM socket does."""

    air: Air

    def connect(self, address: tuple[str, int]) -> None:  # type: ignore[override]
        self.air.tries.append(address)
        assert self.gettimeout()  # never without an end
        remote, channel = address
        error = self.air.faults.get(channel, self.air.faults.get(0))
        if error is not None:
            raise error
        assert remote == MAC


class Air:
    """What makes sockets; the other ends are with the device."""

    def __init__(self, faults: dict[int, OSError] | None = None) -> None:
        self.faults = faults or {}
        self.tries: list[tuple[str, int]] = []
        self.made: list[RadioSocket] = []
        self.far: list[socket.socket] = []

    def __call__(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        made = RadioSocket(fileno=ours.detach())
        made.air = self
        self.made.append(made)
        self.far.append(theirs)
        return made

    def close(self) -> None:
        for end in (*self.made, *self.far):
            end.close()


@pytest.fixture
def air() -> Iterator[Air]:
    made = Air()
    yield made
    made.close()


def nothing(remote: str) -> list[int]:
    """A directory that does not tell."""
    return []


def refused() -> OSError:
    return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


def serve(device: Emulator, end: socket.socket, speed: float = 5.0) -> threading.Thread:
    def work() -> None:
        begin = time.monotonic()
        end.settimeout(0.01)
        while True:
            now_s = (time.monotonic() - begin) * speed
            try:
                data = end.recv(4096)
                if not data:
                    return
                device.receive(data, now_s)
            except TimeoutError:
                pass
            except OSError:
                return
            try:
                end.sendall(device.bytes_to_send(now_s))
            except OSError:  # closed meanwhile
                return

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_shimmer_over_the_air_is_found_read_and_stopped(air: Air) -> None:
    device, threads = Shimmer3Emulator(SyntheticEcg(seed=2)), []

    def make() -> socket.socket:
        made = air()
        threads.append(serve(device, air.far[-1]))
        return made

    with open_rfcomm(parse_address(f"bt:{MAC}"), make_socket=make) as source:
        assert source.info.device == "shimmer3"
        assert source.info.fs_hz == 256.0
        got = []
        for item in source:
            if isinstance(item, SampleBlock):
                got.append(item)
                if item.first_sample > 500:
                    break
    assert air.tries == [(MAC, 1)]
    assert sum(block.gap_before for block in got) == 0
    assert np.isfinite(np.concatenate([block.ecg_mv for block in got])).all()
    threads[0].join(5.0)
    assert not device.streaming


def test_a_device_that_goes_out_of_range(air: Air) -> None:
    device = Shimmer3Emulator(SyntheticEcg(seed=2))

    def make() -> socket.socket:
        made = air()
        serve(device, air.far[-1])
        return made

    address = parse_address(f"bt:{MAC}")
    door = ByteStreamDoor(address, lambda baud, rescan: RfcommPlace(MAC, 1, make).open(), name="it")
    with SessionSource(address, *door.connect()) as source:
        items = iter(source)
        next(items)
        next(items)
        air.far[0].shutdown(socket.SHUT_RDWR)
        with pytest.raises(DeviceError, match="link was lost"):
            for _ in items:
                pass


def test_other_channels_are_tried_where_one_is_refused(air: Air) -> None:
    air.faults = {1: refused(), 2: refused()}
    RfcommPlace(MAC, None, air, ask_directory=nothing).open().close()
    assert air.tries == [(MAC, 1), (MAC, 2), (MAC, 3)]
    assert [made.fileno() for made in air.made[:2]] == [-1, -1]  # each try on a fresh socket, none left open


def test_the_directory_s_channels_are_tried_first_and_what_was_found_is_kept(air: Air) -> None:
    air.faults = {channel: refused() for channel in range(1, 31) if channel != 17}
    asked: list[str] = []

    def ask(remote: str) -> list[int]:
        asked.append(remote)
        return [1, 12, 17]

    place = RfcommPlace(MAC, None, air, ask_directory=ask)
    place.open().close()
    assert [channel for _, channel in air.tries] == [1, 12, 17]
    place.open().close()
    assert [channel for _, channel in air.tries] == [1, 12, 17, 17]
    assert asked == [MAC]
    air.faults = {17: refused()}  # it restarted, and listens elsewhere
    place.open().close()
    assert [channel for _, channel in air.tries[4:]] == [17, 1]


def test_a_named_channel_is_the_only_one_tried(air: Air) -> None:
    air.faults = {9: refused()}
    with pytest.raises(DeviceError, match="refuses RFCOMM channel 9") as raised:
        RfcommPlace(MAC, 9, air, ask_directory=pytest.fail).open()
    assert air.tries == [(MAC, 9)]
    assert f"sdptool browse {MAC}" in raised.value.remedy


def test_all_channels_refused(air: Air) -> None:
    air.faults = {0: refused()}
    with pytest.raises(DeviceError, match="refuses RFCOMM channels 1, 2, 3, 4, 5, 6"):
        RfcommPlace(MAC, None, air, ask_directory=nothing).open()


@pytest.mark.parametrize(
    ("code", "what", "remedy"),
    [
        (errno.EHOSTDOWN, "does not answer over Bluetooth", "Switch it on"),
        (errno.ETIMEDOUT, "does not answer over Bluetooth", "Switch it on"),
        (errno.ECONNABORTED, "does not answer over Bluetooth", "phone"),
        (errno.EHOSTUNREACH, "No Bluetooth adapter is switched on", "rfkill unblock bluetooth"),
        (errno.ENETDOWN, "No Bluetooth adapter is switched on", "doctor"),
        (errno.EACCES, "does not let this computer in", "bluetoothctl pair"),
        (errno.EPERM, "does not let this computer in", "bluetoothctl trust"),
        (errno.ECONNRESET, "does not let this computer in", "bluetoothctl remove"),
        (errno.EBUSY, "channel 1 .* is in use", "rfcomm release"),
        (errno.EMLINK, "channel 1 .* is in use", "rfcomm release"),
        (errno.EBADFD, "cannot be reached over RFCOMM channel 1", "rfcomm bind"),
    ],
)
def test_each_fault_has_its_words(air: Air, code: int, what: str, remedy: str) -> None:
    air.faults = {0: OSError(code, os.strerror(code))}
    with pytest.raises(DeviceError, match=what) as raised:
        RfcommPlace(MAC, None, air, ask_directory=nothing).open()
    assert raised.value.exit_code == 3
    assert os.strerror(code) in raised.value.why or code in (errno.EBUSY, errno.EMLINK)
    assert remedy in raised.value.remedy
    assert len(air.tries) == 1  # what is not a refusal is the same on every channel
    assert air.made[0].fileno() == -1


def test_no_answer_in_time(air: Air) -> None:
    air.faults = {0: TimeoutError("timed out")}
    with pytest.raises(DeviceError, match="does not answer") as raised:
        RfcommPlace(MAC, None, air, ask_directory=nothing).open()
    assert raised.value.why == "It did not answer in time."


def test_an_interrupt_closes_the_socket(air: Air) -> None:
    air.faults = {0: KeyboardInterrupt()}  # type: ignore[dict-item]
    with pytest.raises(KeyboardInterrupt):
        RfcommPlace(MAC, None, air, ask_directory=nothing).open()
    assert air.made[0].fileno() == -1


@pytest.mark.skipif(hasattr(socket, "AF_BLUETOOTH"), reason="this Python has Bluetooth sockets")
def test_a_python_without_bluetooth_says_what_to_do() -> None:
    with pytest.raises(DeviceError, match="built without Bluetooth sockets") as raised:
        open_source(f"bt:{MAC}")
    assert "/usr/bin/python3" in raised.value.remedy
    assert "rfcomm bind" in raised.value.remedy


def test_a_kernel_without_rfcomm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "AF_BLUETOOTH", 9999, raising=False)
    monkeypatch.setattr(socket, "BTPROTO_RFCOMM", 3, raising=False)
    with pytest.raises(DeviceError, match="kernel offers no RFCOMM") as raised:
        rfcomm_socket()
    assert "modprobe rfcomm" in raised.value.remedy


@pytest.mark.parametrize(
    ("text", "channel", "options"),
    [
        (f"bt:{MAC}", None, {}),
        ("bt:00-06-66-aa-bb-cc", None, {}),
        (f"bt://{MAC}", None, {}),
        (f"bt://{MAC}/3", 3, {}),
        (f"bt:{MAC}?channel=2", 2, {}),
        (f"bt:{MAC}?channel=LA-RA", None, {"channel": "LA-RA"}),
        (f"bt:{MAC}/4?channel=2&rate=512", 4, {"channel": "2", "rate": "512"}),
    ],
)
def test_addresses(text: str, channel: int | None, options: dict[str, str]) -> None:
    remote, found, rest = split_rfcomm(parse_address(text))
    assert (remote, found, rest.options) == (MAC, channel, options)
    assert str(rest) == text


@pytest.mark.parametrize("target", ["", "Shimmer3-A1B2", "00:06:66:AA:BB", "00:06:66:AA:BB:GG", f"{MAC}/x"])
def test_what_is_no_bluetooth_address(target: str) -> None:
    with pytest.raises(UsageError, match="is no Bluetooth address"):
        open_source(f"bt:{target}")


@pytest.mark.parametrize("text", [f"bt:{MAC}/0", f"bt:{MAC}?channel=31"])
def test_channels_that_do_not_exist(text: str) -> None:
    with pytest.raises(UsageError, match="no RFCOMM channel"):
        open_source(text)


def test_wrong_options_are_found_before_the_radio_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Callable[[], socket.socket]:
        raise AssertionError

    with pytest.raises(UsageError, match="unknown option 'baud'"):
        open_rfcomm(parse_address(f"bt:{MAC}?baud=9600"), make_socket=never)  # type: ignore[arg-type]
    assert rfcomm.rfcomm_socket is rfcomm_socket
