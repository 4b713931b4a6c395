"""The serial source on real ptys: opened, read, unplugged, busy, forbidden, silent."""

from __future__ import annotations

import errno
import os
import socket
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import serial
from serial.rfc2217 import PortManager

from edge_ecg.discovery import FoundPort, who_holds
from edge_ecg.errors import DeviceError, UsageError
from edge_ecg.samples import SampleBlock, SourceEvent
from edge_ecg.sources import Source, open_source, port_faults
from edge_ecg.sources.address import parse_address
from edge_ecg.sources.kinds import session_for
from edge_ecg.sources.port_faults import explain
from edge_ecg.sources.serial_port import SerialTransport
from edge_ecg.sources.session_source import SessionSource
from edge_ecg_bridge.emulators import (
    DockEmulator,
    Emulator,
    GarbageEmulator,
    Reservoir,
    Shimmer3Emulator,
    SilentEmulator,
    TextEmulator,
)
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=7)


def blocks_until(source: Source, samples: int) -> list[SampleBlock]:
    found: list[SampleBlock] = []
    for item in source:
        if isinstance(item, SampleBlock):
            found.append(item)
            if item.first_sample + len(item) >= samples:
                break
    return found


def expected_mv(n: int, fs_hz: float) -> np.ndarray:
    return Reservoir(ECG(fs_hz)).take(n)


@pytest.mark.parametrize("firmware", [(0, 11, 0), (0, 15, 4)])
def test_a_shimmer_on_a_pty(serve: Callable, firmware: tuple[int, int, int]) -> None:
    device = Shimmer3Emulator(ECG, firmware=firmware)
    port = serve(device, speed=5.0).port
    with open_source(port, device="shimmer3") as source:
        assert source.info.fs_hz == 256.0
        assert source.info.device == "shimmer3"
        assert source.info.address == port
        blocks = blocks_until(source, 1500)
    ecg = np.concatenate([block.ecg_mv for block in blocks])
    assert [block.gap_before for block in blocks] == [0] * len(blocks)
    assert blocks[0].first_sample == 0
    assert np.abs(ecg - expected_mv(len(ecg), 256.0)).max() < 1e-4
    arrivals = [block.arrived_s for block in blocks]
    assert arrivals == sorted(arrivals)
    assert len(blocks) < len(ecg) / 2  # never a block for every sample
    assert not device.streaming  # stopped on close
    assert device._crc_bytes == 0


def test_the_port_can_be_opened_again_and_options_are_used(serve: Callable) -> None:
    host = serve(Shimmer3Emulator(ECG), speed=5.0)
    for lead, share in (("LL-RA", 1.0), ("LA-RA", 0.5), ("vx-rl", 0.8)):
        with open_source(f"{host.port}?channel={lead}&rate=512&gain=6", device="shimmer3") as source:
            assert source.info.fs_hz == 512.0
            assert source.info.details["gain"] == 6
            ecg = np.concatenate([block.ecg_mv for block in blocks_until(source, 600)])
        assert np.abs(ecg - share * expected_mv(len(ecg), 512.0)).max() < 1e-4


def test_a_text_board_on_a_pty(serve: Callable) -> None:
    port = serve(TextEmulator(ECG, line="us,adc", banner="AD8232"), speed=5.0).port
    with open_source(f"{port}?baud=9600", device="text") as source:
        assert source.info.fs_hz == pytest.approx(250.0, rel=1e-3)
        blocks = blocks_until(source, 1000)
    assert sum(block.gap_before for block in blocks) == 0
    assert blocks[0].lead_off is not None


@pytest.mark.parametrize(
    ("device", "kind"),
    [
        (Shimmer3Emulator(ECG, unplug_after_s=6.0), "shimmer3"),
        (TextEmulator(ECG, line="us,adc", unplug_after_s=16.0), "text"),
    ],
    ids=["shimmer3", "text"],
)
def test_unplugged_in_mid_run(serve: Callable, device: Emulator, kind: str) -> None:
    host = serve(device, speed=4.0)
    source = open_source(f"{host.port}?reconnect=no", device=kind)
    items = []
    with source, pytest.raises(DeviceError, match="was unplugged or its link was lost"):  # noqa: PT012
        for item in source:
            items.append(item)  # noqa: PERF402
    assert items[0] == SourceEvent("connected", 0.0, {"device": source.info.device})
    assert isinstance(items[-1], SourceEvent)
    assert items[-1].event == "lost"
    assert sum(len(item) for item in items if isinstance(item, SampleBlock)) > 200
    assert not Path(host.port).is_symlink()


def test_a_port_that_was_unplugged_is_opened_again_when_it_reappears(serve: Callable) -> None:
    """Behind the same name, as udev gives it: the same session, with the gap marked by the device's clock."""
    begun_s = time.monotonic()
    first = serve(Shimmer3Emulator(ECG, unplug_after_s=1.5), name="by-id")
    items: list[SampleBlock | SourceEvent] = []
    with open_source(first.port, device="shimmer3") as source:
        for item in source:
            items.append(item)
            if isinstance(item, SourceEvent) and item.event == "lost":
                # The same Shimmer: its counter ran on while it was away.
                counter = round((time.monotonic() - begun_s) * 32768)
                device = Shimmer3Emulator(ECG, counter=counter)
                serve(device, name="by-id")
            if isinstance(item, SampleBlock) and item.gap_before and item.end_s > 2.0:
                break
        took_s = time.monotonic() - begun_s
        assert source.counters["reconnects"] == 1
    happened = [item.event for item in items if isinstance(item, SourceEvent)]
    assert [event for event in happened if event != "lost"] == ["connected", "reconnected", "gap"]
    last = items[-1]
    assert isinstance(last, SampleBlock)
    assert 1.0 < last.gap_before / 256.0 < took_s
    assert last.end_s == pytest.approx(took_s, abs=1.0)
    assert not device.streaming


def test_a_recording_that_ends_is_read_to_its_last_sample(serve: Callable) -> None:
    def ten_seconds(fs_hz: float) -> Iterator[np.ndarray]:
        yield expected_mv(round(10 * fs_hz), fs_hz)

    host = serve(Shimmer3Emulator(ten_seconds), speed=10.0)
    count = 0
    address = f"{host.port}?reconnect=no"
    with open_source(address, device="shimmer3") as source, pytest.raises(DeviceError):  # noqa: PT012
        for item in source:
            count += len(item) if isinstance(item, SampleBlock) else 0
    assert count == 2560


def test_close_from_another_thread_ends_the_iteration(serve: Callable) -> None:
    source = open_source(serve(Shimmer3Emulator(ECG)).port, device="shimmer3")
    items = iter(source)
    next(items)
    assert isinstance(next(items), SampleBlock)
    threading.Timer(0.1, source.close).start()
    assert all(isinstance(item, SampleBlock) for item in items)
    source.close()


class LeapingClock:
    """Stands still, and leaps when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.step_s = 0.05

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


@pytest.mark.parametrize(
    ("device", "kind", "what"),
    [
        (SilentEmulator, "shimmer3", "Nothing on this port answers as a Shimmer3"),
        (GarbageEmulator, "shimmer3", "keeps sending and does not stop"),
        (DockEmulator, "shimmer3", "dock of a Shimmer .*docks do not stream"),
        (SilentEmulator, "text", "No bytes from the board for 5 s"),
        (GarbageEmulator, "text", "no line of numbers for 5 s"),
    ],
)
def test_what_is_not_the_device_named(serve: Callable, device: type, kind: str, what: str) -> None:
    with pytest.raises(DeviceError, match=what) as raised:
        open_source(serve(device()).port, device=kind, clock=LeapingClock())
    assert raised.value.exit_code == 3
    assert raised.value.remedy


def test_five_seconds_of_silence_on_the_injected_clock(serve: Callable) -> None:
    class FallsSilent(Shimmer3Emulator):
        silent = False

        def bytes_to_send(self, now_s: float) -> bytes:
            data = super().bytes_to_send(now_s)
            return b"" if self.silent else data

    device, clock = FallsSilent(ECG), LeapingClock()
    clock.step_s = 0.02
    address = f"{serve(device).port}?reconnect=no"
    with open_source(address, device="shimmer3", clock=clock) as source:
        items = iter(source)
        next(items)
        assert isinstance(next(items), SampleBlock)
        device.silent = True
        clock.step_s = 0.5
        with pytest.raises(DeviceError, match="No bytes from the Shimmer for 5 s"):
            list(items)


def test_no_such_port() -> None:
    with pytest.raises(DeviceError, match=r"There is no port /dev/ttyUSB77") as raised:
        open_source("/dev/ttyUSB77")
    assert "This machine has" in raised.value.why


def test_not_a_serial_port() -> None:
    with pytest.raises(DeviceError, match="is not a serial port"):
        open_source("/dev/null")


def test_busy_port_names_its_holder(serve: Callable) -> None:
    port = serve(Shimmer3Emulator(ECG)).port
    with serial.Serial(port, exclusive=True), pytest.raises(DeviceError, match="is in use by") as raised:
        open_source(port)
    assert f"(process {os.getpid()})" in raised.value.what


def test_a_docks_port_is_named_when_nothing_answers(serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    port = serve(SilentEmulator()).port
    dock = FoundPort("by-id", os.path.realpath(port), "Shimmer dock, not a stream", None, streams=False)
    monkeypatch.setattr(port_faults, "find_serial_ports", lambda: [dock])
    with pytest.raises(DeviceError, match="Nothing answers on this port") as raised:
        open_source(port, clock=LeapingClock())
    assert raised.value.why.endswith("This port is a Shimmer dock, not a stream.")


def test_who_holds_nothing(tmp_path: Path) -> None:
    assert who_holds(str(tmp_path / "nothing")) == ""


def test_not_permitted(tmp_path: Path) -> None:
    error = serial.SerialException(errno.EACCES, "could not open port: Permission denied")
    told = explain(str(tmp_path), error)
    assert told.what == f"This user may not open {tmp_path}."
    assert "sudo usermod -aG dialout $USER" in told.remedy
    assert "/etc/udev/rules.d/" in told.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_not_permitted_for_real(serve: Callable) -> None:
    port = serve(SilentEmulator()).port
    os.chmod(port, 0)
    with pytest.raises(DeviceError, match="may not open"):
        open_source(port)


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (errno.EHOSTDOWN, "does not answer over Bluetooth"),
        (errno.ECONNREFUSED, "Nobody listens"),
        (errno.EIO, "cannot be opened"),
    ],
)
def test_other_faults_of_opening(code: int, what: str) -> None:
    told = explain("/dev/rfcomm0", serial.SerialException(code, os.strerror(code)))
    assert what in told.what
    assert told.remedy


def test_a_port_in_the_network_is_not_to_be_unplugged() -> None:
    told = explain("rfc2217://pi:2217", ValueError("Remote does not seem to support RFC2217"))
    assert told.why == "Remote does not seem to support RFC2217."
    assert "ser2net" in told.remedy


@pytest.mark.parametrize(
    ("address", "device", "what"),
    [
        ("/dev/ttyUSB77?gain=5", "shimmer3", "no gain of the Shimmer"),
        ("/dev/ttyUSB77?channel=V9", "shimmer3", "channel=V9"),
        ("/dev/ttyUSB77?fs=250", "shimmer3", "unknown option 'fs'"),
        ("/dev/ttyUSB77?rate=256", "text", "unknown option 'rate'"),
        ("/dev/ttyUSB77?unit=kg", "text", "unit=kg"),
        ("/dev/ttyUSB77?baud=fast", None, "baud=fast"),
        ("/dev/ttyUSB77?reconnect=perhaps", None, "reconnect=perhaps"),
        ("/dev/ttyUSB77", "kettle", "no device kind 'kettle'"),
    ],
)
def test_wrong_usage_is_found_before_the_port_is_touched(address: str, device: str | None, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        open_source(address, device=device)


def test_over_tcp() -> None:
    """socket:// to a relay that hands bytes between a TCP client and the virtual device."""
    device = Shimmer3Emulator(ECG)
    begin = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def relay() -> None:
            client, _ = server.accept()
            client.settimeout(0.01)
            with client:
                while True:
                    now_s = (time.monotonic() - begin) * 5.0
                    try:
                        data = client.recv(4096)
                        if not data:
                            return
                        device.receive(data, now_s)
                    except TimeoutError:
                        pass
                    except OSError:
                        return
                    client.sendall(device.bytes_to_send(now_s))

        thread = threading.Thread(target=relay)
        thread.start()
        with open_source(f"socket://127.0.0.1:{server.getsockname()[1]}", device="shimmer3") as source:
            blocks = blocks_until(source, 800)
        thread.join(5.0)
    assert sum(block.gap_before for block in blocks) == 0
    assert not device.streaming


class _Far:
    """A serial port of another machine, as a server of RFC 2217 has it: one that knows one speed."""

    bytesize, parity, stopbits = 8, "N", 1
    rtscts = xonxoff = dtr = rts = break_condition = cts = dsr = ri = cd = False

    @property
    def baudrate(self) -> int:
        return 115200

    @baudrate.setter
    def baudrate(self, baud: int) -> None:
        if baud != 115200:
            raise ValueError("no such speed")

    def reset_input_buffer(self) -> None: ...

    def reset_output_buffer(self) -> None: ...


class _Writer:
    """What a PortManager answers through."""

    def __init__(self, client: socket.socket) -> None:
        self.write = client.sendall


# pyserial's own thread is started in a way that Python has since deprecated.
@pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning", "ignore:setName:DeprecationWarning")
def test_over_rfc2217() -> None:
    """A server may refuse a speed that is tried, and hang up: neither is a bug here."""
    device, begin, unplug = Shimmer3Emulator(ECG), time.monotonic(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def relay() -> None:
            client, _ = server.accept()
            client.settimeout(0.01)
            with client:
                manager = PortManager(_Far(), _Writer(client))
                while not unplug.is_set():
                    now_s = (time.monotonic() - begin) * 5.0
                    try:
                        data = client.recv(4096)
                        if not data:
                            return
                        device.receive(b"".join(manager.filter(data)), now_s)
                    except TimeoutError:
                        pass
                    except OSError:
                        return
                    client.sendall(b"".join(manager.escape(device.bytes_to_send(now_s))))

        thread = threading.Thread(target=relay)
        thread.start()
        address = parse_address(f"rfc2217://127.0.0.1:{server.getsockname()[1]}?reconnect=no")
        transport = SerialTransport(address, 115200)
        transport.set_baud(57600)
        with SessionSource(address, transport, session_for("shimmer3", address)) as source:
            blocks = blocks_until(source, 400)
            unplug.set()
            with pytest.raises(DeviceError, match="unplugged or its link was lost"):
                list(source)
        thread.join(5.0)
    assert sum(block.gap_before for block in blocks) == 0


def test_raw_pty_without_a_device_counts_as_silence() -> None:
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        with pytest.raises(DeviceError, match="Nothing on this port answers"):
            open_source(os.ttyname(slave), device="shimmer3", clock=LeapingClock())
    finally:
        os.close(master)
        os.close(slave)


def test_a_port_that_goes_while_it_is_set_up(serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise termios.error(errno.EIO, "Input/output error")

    port = serve(SilentEmulator()).port
    transport = SerialTransport(parse_address(port), 115200)
    monkeypatch.setattr(termios, "tcflush", gone)
    transport.set_baud(9600)
    transport.close()
    with pytest.raises(DeviceError, match="cannot be opened") as raised:
        SerialTransport(parse_address(port), 9600)
    assert "Input/output error" in raised.value.why
