"""The virtual boards themselves: recordings with holes, their end, loops, units, commands in any pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edge_ecg_bridge.bitalino import BitalinoSession, wire
from edge_ecg_bridge.cyton import CytonSession
from edge_ecg_bridge.emulators import BitalinoEmulator, CytonEmulator, GanglionEmulator, OpenViewEmulator
from edge_ecg_bridge.ganglion import GanglionSession
from edge_ecg_bridge.openview import OpenViewSession
from edge_ecg_bridge.stream import FloatArray

BOARDS = {
    "cyton": (CytonSession, CytonEmulator, b"vb"),
    "ganglion": (GanglionSession, GanglionEmulator, b"vb"),
    "bitalino": (BitalinoSession, BitalinoEmulator, b"\x07\xc3\x09"),
    "openview": (OpenViewSession, OpenViewEmulator, b""),
}


def recording(
    seconds: float, hole_s: tuple[float, float] = (0.0, 0.0)
) -> Callable[[float], Iterator[FloatArray]]:
    """A sine of 1 mV that ends, with a hole."""

    def at(fs_hz: float) -> Iterator[FloatArray]:
        t_s = np.arange(round(seconds * fs_hz)) / fs_hz
        ecg_mv = np.sin(2 * np.pi * t_s)
        ecg_mv[(t_s >= hole_s[0]) & (t_s < hole_s[1])] = np.nan
        yield from np.array_split(ecg_mv, 7)

    return at


@pytest.mark.parametrize("name", BOARDS)
def test_a_hole_in_the_recording_is_a_loss(talk: Callable, name: str) -> None:
    session, board, _ = BOARDS[name]
    said = talk(session(), board(recording(20.0, (9.0, 11.0))), until_s=25.0)
    said.check_order()
    fs_hz = said.ready.fs_hz
    assert said.lost == pytest.approx(2.0 * fs_hz, abs=3)
    # An OpenView board's first two seconds are not used.
    before = 0 if name != "openview" else round(20.0 * fs_hz) - 1 - said.numbers[-1]
    numbers = said.numbers + before
    assert np.abs(said.ecg_mv - np.sin(2 * np.pi * numbers / fs_hz)).max() < 0.05


@pytest.mark.parametrize("name", BOARDS)
def test_it_hangs_up_at_the_end_of_the_recording(name: str) -> None:
    _, make, start = BOARDS[name]
    board = make(recording(2.0))
    board.receive(start, 0.0)
    assert board.units(0.1)
    assert not board.ended
    assert board.next_due_s is not None
    units = board.units(5.0)
    assert units
    assert board.ended
    assert board.recording_over
    assert board.next_due_s is None


@pytest.mark.parametrize("name", BOARDS)
def test_a_loop_goes_on(name: str) -> None:
    _, make, start = BOARDS[name]
    board = make(recording(2.0), loop=True)
    board.receive(start, 0.0)
    samples = sum(unit.samples for step in range(50) for unit in board.units(0.1 * step))
    assert samples == pytest.approx(
        4.9 * {"cyton": 250, "ganglion": 200, "bitalino": 1000, "openview": 125}[name], abs=3
    )
    assert not board.ended


@pytest.mark.parametrize("name", BOARDS)
def test_units_joined_are_the_bytes(name: str) -> None:
    _, make, start = BOARDS[name]
    by_unit, joined = make(recording(9.0)), make(recording(9.0))
    for step in range(60):
        now_s = 0.05 * step
        for board in (by_unit, joined):
            board.receive(start if step == 0 else b"", now_s)
        assert b"".join(unit.data for unit in by_unit.units(now_s)) == joined.bytes_to_send(now_s)
        assert joined.units(now_s) == []


@pytest.mark.parametrize("name", ["cyton", "ganglion", "bitalino"])
def test_a_board_that_streams_already(name: str) -> None:
    _, make, _ = BOARDS[name]
    board = make(recording(9.0), already_streaming=True)
    assert board.next_due_s == -np.inf
    board.units(0.0)
    assert sum(unit.samples for unit in board.units(1.0)) >= 199
    assert board.streaming


def test_cyton_commands_of_others() -> None:
    board = CytonEmulator(recording(9.0), daisy=True)
    said = b""
    for byte in b"dDx1030110Xx1090110Xz110Z<>C\xf0\x07cC12!?":
        board.receive(bytes((byte,)), 0.0)
        said += board.bytes_to_send(0.0)
    assert said.split(b"$$$") == [
        b"updating channel settings to default",
        b"060110",
        b"Success: Channel set for 1",
        b"Failure: 9th char not X",
        b"Success: Lead off set for 1",
        b"Time stamp ON",
        b"Time stamp OFF",
        b"16",
        b"Success: System is Up",
        b"daisy removed",
        b"no daisy to attach!8",
        b"",
    ]
    assert (board.gains[0], board.powered[:3]) == (6, [True, False, True])


def test_a_channel_that_is_switched_off_reads_zero(talk: Callable, ecg: object) -> None:
    session, board = CytonSession(), CytonEmulator(ecg)
    said = talk(session, board, until_s=3.0)
    board.receive(b"1", said.now_s)
    talk(session, board, until_s=4.0, result=said)
    assert not said.ecg_mv[-200:].any()


def test_a_daisy_alternates() -> None:
    """Odd numbers are the board's channels, even ones the Daisy's, each the mean of two samples."""
    board = CytonEmulator(lambda fs_hz: iter([np.full(100, 1.0)]), daisy=True)
    board.receive(b"b", 0.0)
    rows = np.frombuffer(board.bytes_to_send(0.2), dtype=np.uint8).reshape(-1, 33)
    first = rows[:, 2].astype(int) << 16 | rows[:, 3].astype(int) << 8 | rows[:, 4]
    count = 24 * 8388607 / 4500
    assert rows[:, 1].tolist() == list(range(len(rows)))
    np.testing.assert_allclose(first[1::2], count, atol=1)
    np.testing.assert_allclose(first[2::2], 0.95 * count, atol=1)


def test_bitalino_ignores_commands_while_it_streams() -> None:
    board = BitalinoEmulator(recording(9.0))
    board.receive(b"\x03\x07" + wire.start_command((1, 2)), 0.0)
    assert board.fs_hz == 1
    assert board.bytes_to_send(0.0) == b"BITalino_v5.2\n"
    board.receive(b"\x07\xc3", 0.5)
    assert board.fs_hz == 1
    assert board.bytes_to_send(0.5) == b""
    board.receive(b"\x00\x07", 0.6)
    assert board.bytes_to_send(0.7) == b"BITalino_v5.2\n"
