"""The virtual boards of all kinds are found, in whatever state, within 3 s, and can then be read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("edge_ecg_bridge.bitalino")
pytest.importorskip("edge_ecg_bridge.framed")

from edge_ecg.samples import SampleBlock
from edge_ecg.sources import open_source, probes
from edge_ecg.sources.ble_kinds import GATT_KINDS
from edge_ecg.sources.detect import LIMIT_S, find_kind
from edge_ecg.sources.kinds import KINDS
from edge_ecg.sources.pty_host import PtyHost
from edge_ecg.sources.simulated import VirtualTransport
from edge_ecg_bridge.emulators import (
    BitalinoEmulator,
    CytonEmulator,
    Emulator,
    FramedEmulator,
    OpenViewEmulator,
    Shimmer3Emulator,
    TextEmulator,
)
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=5)


class Line:
    """A board behind a serial line: it boots first, and speaks at one speed."""

    def __init__(self, board: Emulator, boot_s: float, baud: int) -> None:
        self.board, self.boot_s, self.board_baud, self.baud = board, boot_s, baud, 115200

    def set_baud(self, baud: int) -> None:
        self.baud = baud

    def receive(self, data: bytes, now_s: float) -> None:
        if self.baud == self.board_baud and now_s >= self.boot_s:
            self.board.receive(data, now_s)

    def bytes_to_send(self, now_s: float) -> bytes:
        data = self.board.bytes_to_send(now_s) if now_s >= self.boot_s else b""
        return data if self.baud == self.board_baud else bytes(byte * 5 + 1 & 0xFF | 0x80 for byte in data)

    @property
    def next_due_s(self) -> float | None:
        return self.board.next_due_s

    @property
    def ended(self) -> bool:
        return self.board.ended

    def link_lost(self) -> None:
        self.board.link_lost()


BOARDS: list[tuple[str, str, Callable[[], Emulator], int]] = [
    ("shimmer3", "idle", lambda: Shimmer3Emulator(ECG), 115200),
    ("bitalino", "idle", lambda: BitalinoEmulator(ECG), 115200),
    ("bitalino", "streaming", lambda: BitalinoEmulator(ECG, already_streaming=True), 115200),
    ("cyton", "idle", lambda: CytonEmulator(ECG), 115200),
    ("cyton", "streaming", lambda: CytonEmulator(ECG, already_streaming=True), 115200),
    ("cyton", "old", lambda: CytonEmulator(ECG, firmware=(1, 0, 0)), 115200),
    ("framed", "streaming", lambda: FramedEmulator(ECG), 115200),
    ("framed", "idle", lambda: FramedEmulator(ECG, already_streaming=False), 115200),
    ("framed", "four channels", lambda: FramedEmulator(ECG, channels=4, banner=b"hello\r\n"), 115200),
    ("openview", "library 2", lambda: OpenViewEmulator(ECG), 57600),
    ("openview", "older", lambda: OpenViewEmulator(ECG, payload_bytes=12, text_every=5), 57600),
    ("text", "115200", lambda: TextEmulator(ECG), 115200),
    ("text", "9600", lambda: TextEmulator(ECG, fs_hz=150.0, line="adc"), 9600),
]
IDS = [f"{kind}-{state}" for kind, state, _, _ in BOARDS]
# Those that have no bootloader are there at once, or not at all.
BOOTING = [board for board in BOARDS if board[0] in ("framed", "openview", "text")]


@pytest.mark.parametrize(("kind", "state", "make", "baud"), BOARDS, ids=IDS)
def test_each_board_is_found(kind: str, state: str, make: Callable[[], Emulator], baud: int) -> None:
    line = Line(make(), 0.0, baud)
    transport = VirtualTransport(line, speed=0)
    assert find_kind(transport, line.set_baud) == kind
    assert transport.now() <= LIMIT_S
    assert line.baud == baud


@pytest.mark.slow
@pytest.mark.parametrize("boot_s", [1.0, 1.8])
@pytest.mark.parametrize(("kind", "state", "make", "baud"), BOOTING)
def test_each_board_that_boots_first_is_found(
    kind: str, state: str, make: Callable[[], Emulator], baud: int, boot_s: float
) -> None:
    line = Line(make(), boot_s, baud)
    transport = VirtualTransport(line, speed=0)
    assert find_kind(transport, line.set_baud) == kind
    assert transport.now() <= LIMIT_S


@pytest.mark.parametrize(
    ("kind", "state", "make", "baud"),
    [board for board in BOARDS if board[0] not in ("shimmer3", "text")],
    ids=[one for one in IDS if one.split("-")[0] not in ("shimmer3", "text")],
)
@pytest.mark.slow
def test_what_was_found_can_be_read(
    kind: str, state: str, make: Callable[[], Emulator], baud: int, tmp_path: Path
) -> None:
    """Whatever it was asked before, no question has left it in a state that its session cannot end."""
    with PtyHost(make(), link=tmp_path / "port", speed=2.0) as host:
        thread = threading.Thread(target=host.serve)
        thread.start()
        try:
            with open_source(host.port) as source:
                assert kind in source.info.device
                blocks = (item for item in source if isinstance(item, SampleBlock))
                for block in blocks:
                    assert block.gap_before == 0
                    if block.first_sample > source.info.fs_hz:
                        break
        finally:
            host.stop()
            thread.join(5.0)


def test_every_kind_is_recognised_and_every_kind_that_is_recognised_can_be_read() -> None:
    # What speaks Bluetooth LE alone is known by what it offers there, not by bytes on a port.
    assert {probe.kind for probe in probes.PROBES} - {"dock"} == set(KINDS) - set(GATT_KINDS)
