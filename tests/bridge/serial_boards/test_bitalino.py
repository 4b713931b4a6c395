"""BITalino: frames against frames packed by hand, a recording of OpenSignals, the dialogue, losses."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg_bridge.bitalino import BitalinoSession, BitalinoSettings, wire
from edge_ecg_bridge.emulators import BitalinoEmulator, GarbageEmulator, SilentEmulator
from edge_ecg_bridge.emulators.base import Unit
from edge_ecg_bridge.stream import BridgeError, Samples

COUNT_MV = 3300.0 / 1100.0 / 1024
SIZES = {1: 3, 2: 4, 3: 6, 4: 7, 5: 8, 6: 8}


def division(bits: str) -> str:
    """Remainder of a row of bits divided by 10011, on paper."""
    row = [int(bit) for bit in bits]
    for at in range(len(row) - 4):
        if row[at]:
            for k, bit in enumerate((1, 0, 0, 1, 1)):
                row[at + k] ^= bit
    return "".join(map(str, row[-4:]))


def frame(sequence: int, digital: int, values: list[int]) -> bytes:
    """Pack a frame as the data sheet draws it: backwards, high bits first."""
    widths = [10, 10, 10, 10, 6, 6]
    bits = f"{sequence:04b}0000{digital:04b}"
    bits += "".join(f"{value:0{width}b}" for value, width in zip(values, widths, strict=False))
    size = SIZES[len(values)]
    bits = bits.ljust(8 * size, "0")
    data = bytearray(int(bits[8 * n : 8 * n + 8], 2) for n in range(size))[::-1]
    data[-1] |= int(division("".join(f"{byte:08b}" for byte in data)), 2)
    return bytes(data)


def rows_of(*frames: bytes) -> np.ndarray:
    return np.frombuffer(b"".join(frames), dtype=np.uint8).reshape(len(frames), -1)


def test_commands_of_the_data_sheet() -> None:
    assert [wire.rate_command(hz)[0] for hz in (1, 10, 100, 1000)] == [0x03, 0x43, 0x83, 0xC3]
    assert wire.start_command((1, 2, 3, 4, 5, 6)) == b"\xfd"
    assert wire.start_command((2,)) == b"\x09"
    assert wire.parse_version(b"xBITalino_v5.2\n") == (5, 2)
    assert wire.parse_version(b"BITalino_v\n") is None


@pytest.mark.parametrize("channels", SIZES)
def test_sizes(channels: int) -> None:
    assert wire.frame_size(channels) == SIZES[channels]


@given(
    sequence=st.integers(0, 15),
    digital=st.integers(0, 15),
    values=st.lists(st.integers(0, 63), min_size=1, max_size=6),
    high=st.lists(st.integers(0, 15), min_size=4, max_size=4),
)
def test_frames_packed_by_hand(sequence: int, digital: int, values: list[int], high: list[int]) -> None:
    values = [v + 64 * high[i] if i < 4 else v for i, v in enumerate(values)]
    rows = rows_of(frame(sequence, digital, values))
    framer = wire.BitalinoFramer(len(values))
    assert framer._well_formed(rows)[0]
    assert framer._numbers(rows)[0] == sequence
    assert [int(wire.counts(rows, place)[0]) for place in range(len(values))] == values


@given(data=st.binary(min_size=3, max_size=8), flips=st.sets(st.integers(0, 63), min_size=1, max_size=1))
def test_every_single_flipped_bit_shows(data: bytes, flips: set[int]) -> None:
    rows = rows_of(data).copy()
    rows[:, -1] = rows[:, -1] & 0xF0 | wire.crc(rows)
    for flip in flips:
        rows[0, flip // 8 % rows.shape[1]] ^= 1 << flip % 8
    assert wire.crc(rows)[0] != rows[0, -1] & 0x0F


def test_scale() -> None:
    assert wire.to_mv(np.array([0, 512, 1023]), 10).tolist() == pytest.approx([-1.5, 0.0, 1.5 * 511 / 512])
    assert wire.to_mv(np.array([16]), 6)[0] == pytest.approx(-0.75)


DATA = os.environ.get("EDGE_ECG_DATA")


@pytest.mark.skipif(not DATA, reason="needs the recordings")
def test_a_recording_of_opensignals() -> None:
    """Its columns nSeq, I1, I2, O1, O2, A2, packed by hand, come out of the session as they are."""
    path = Path(str(DATA)) / "device-files/opensignals/bitalino_SampleECG.txt"
    table = np.loadtxt(path, dtype=int)[:8000]
    digital = table[:, 1:5] @ [8, 4, 2, 1]
    frames = [
        frame(row[0], bits, [row[5]]) for row, bits in zip(table.tolist(), digital.tolist(), strict=True)
    ]
    framer = wire.BitalinoFramer(1)
    runs = framer.feed(b"".join(frames)) + framer.flush()
    np.testing.assert_array_equal(wire.counts(np.concatenate([found.rows for found in runs]), 0), table[:, 5])


@pytest.mark.parametrize("fs_hz", [100, 1000])
@pytest.mark.parametrize(
    ("channels", "ecg_channel"),
    [((2,), 2), ((1, 2), 1), ((1, 2, 3, 4, 5), 5), ((1, 2, 3, 4, 5, 6), 6), ((6,), 6)],
)
@pytest.mark.parametrize("board", [{}, {"already_streaming": True, "counter": 13}], ids=["idle", "streaming"])
def test_signal_arrives(
    talk: Callable,
    truth: Callable,
    ecg: object,
    fs_hz: int,
    channels: tuple[int, ...],
    ecg_channel: int,
    board: dict,
) -> None:
    said = talk(
        BitalinoSession(BitalinoSettings(fs_hz, channels, ecg_channel)),
        BitalinoEmulator(ecg, **board),
        until_s=4.0,
    )
    said.check_order()
    assert said.lost == 0
    bits = 6 if channels.index(ecg_channel) >= 4 else 10
    assert said.ready.details["bits"] == bits
    share = 1.0 - 0.1 * abs(ecg_channel - 2)
    n = len(said.ecg_mv)
    assert n > 2 * fs_hz
    assert np.abs(said.ecg_mv - share * truth(n, float(fs_hz))).max() <= COUNT_MV * 1024 / 2**bits / 2 * 1.001


@pytest.mark.parametrize(
    "wrong",
    [
        {"fs_hz": 500},
        {"channels": ()},
        {"channels": (2, 1)},
        {"channels": (7,)},
        {"channels": (1,), "ecg_channel": 2},
    ],
)
def test_settings_that_make_no_sense(wrong: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        BitalinoSettings(**wrong)


@pytest.mark.parametrize("lost", [1, 15, 16, 17, 160, 1000, 3210])
def test_losses_of_any_length(talk: Callable, truth: Callable, ecg: object, lost: int) -> None:
    """A hole costs one frame more: the first one behind it is not believed."""
    seen = 0

    def drop(units: list[Unit], _: float) -> list[Unit]:
        nonlocal seen
        kept = []
        for unit in units:
            seen += unit.samples
            if not (unit.samples and 3000 < seen <= 3000 + lost):
                kept.append(unit)
        return kept

    said = talk(BitalinoSession(), BitalinoEmulator(ecg), until_s=9.0, damage=drop)
    said.check_order()
    assert said.dropped == lost
    gaps = [block.gap_before for block in said.samples if block.gap_before]
    # A loss of whole turns of the sequence number leaves no trace in it: nothing is given up, but it takes a
    # pause to be seen at all.
    assert gaps == ([] if lost == 16 else [lost] if lost % 16 == 0 else [lost + 1])
    if lost != 16:
        assert np.abs(said.ecg_mv - truth(said.numbers[-1] + 1, 1000.0)[said.numbers]).max() < COUNT_MV


def test_a_stalled_host_has_lost_nothing(talk: Callable, truth: Callable, ecg: object) -> None:
    said = talk(
        BitalinoSession(), BitalinoEmulator(ecg), until_s=8.0, hears=lambda now_s: not 3.0 <= now_s < 5.0
    )
    assert said.lost == 0
    assert np.abs(said.ecg_mv - truth(len(said.ecg_mv), 1000.0)).max() < COUNT_MV


def test_bit_errors_cost_their_frames_only(talk: Callable, truth: Callable, ecg: object) -> None:
    rng = np.random.default_rng(4)
    flipped = 0

    def flip(units: list[Unit], now_s: float) -> list[Unit]:
        nonlocal flipped
        out = []
        for unit in units:
            data = bytearray(unit.data)
            if unit.samples and now_s > 1.0 and rng.random() < 0.002:
                data[rng.integers(len(data))] ^= 1 << rng.integers(8)
                flipped += 1
            out.append(Unit(bytes(data), unit.samples))
        return out

    session = BitalinoSession(BitalinoSettings(1000, (1, 2, 3)))
    said = talk(session, BitalinoEmulator(ecg), until_s=15.0, damage=flip)
    said.check_order()
    assert flipped > 20
    assert said.lost == flipped
    assert session.counters["packets_rejected"] == flipped
    assert np.abs(said.ecg_mv - truth(said.numbers[-1] + 1, 1000.0)[said.numbers]).max() < COUNT_MV


def test_saturation(talk: Callable, ecg: object) -> None:
    board = BitalinoEmulator(ecg, electrode_off=lambda t_s: 1.0 <= t_s < 1.5)
    said = talk(BitalinoSession(), board, until_s=4.0)
    saturated = np.concatenate([block.saturated for block in said.samples])
    assert np.flatnonzero(saturated).tolist() == list(range(1000, 1500))


def test_stop_leaves_it_stopped(talk: Callable, ecg: object) -> None:
    session, board = BitalinoSession(), BitalinoEmulator(ecg)
    said = talk(session, board, until_s=3.0)
    session.stop(said.now_s)
    talk(session, board, until_s=5.0, result=said)
    assert session.finished
    assert not board.streaming
    assert len(said.ecg_mv) == said.sent


def test_a_device_that_does_not_stop() -> None:
    session, now_s = BitalinoSession(), 0.0
    session.start(0.0)
    error = None
    while error is None:
        session.receive(b"\x55" * 20, now_s)
        try:
            session.on_time(now_s)
        except BridgeError as raised:
            error = raised
        now_s += 0.05
        assert now_s < 20.0
    assert "does not stop when it is told to as a BITalino" in str(error)
    assert session.bytes_to_send() == b"\0" * 4


@pytest.mark.parametrize(
    ("board", "what"),
    [
        (SilentEmulator(), "No BITalino answers on this port.*PIN 1234"),
        (GarbageEmulator(), "does not stop"),
    ],
    ids=["silent", "garbage"],
)
def test_what_is_no_bitalino_is_named(talk: Callable, board: object, what: str) -> None:
    with pytest.raises(BridgeError, match=what):
        talk(BitalinoSession(), board, until_s=20.0)


def test_another_device_that_answers(talk: Callable) -> None:
    board = SilentEmulator()
    said = []
    board.receive = lambda data, now_s: said.append(data) if data else None
    board.units = lambda now_s: [Unit(b"ERROR\r\n")] * (said[-1:] == [b"\x07"] and said.append(b"") is None)
    with pytest.raises(BridgeError, match=r"is not a BITalino.*ERROR"):
        talk(BitalinoSession(), board, until_s=20.0)


def test_a_stream_that_ends(talk: Callable, ecg: object) -> None:
    session, board = BitalinoSession(), BitalinoEmulator(ecg)
    said = talk(session, board, until_s=3.0)
    board.link_lost()
    with pytest.raises(BridgeError, match="No bytes from the BITalino for 5 s"):
        talk(session, board, until_s=20.0, result=said)


def test_a_stream_that_makes_no_sense(talk: Callable, ecg: object) -> None:
    session, board = BitalinoSession(), BitalinoEmulator(ecg)
    said = talk(session, board, until_s=3.0)
    with pytest.raises(BridgeError, match="sends bytes, but no whole frame for 5 s"):
        talk(session, board, until_s=20.0, result=said, damage=lambda units, _: [Unit(b"\x35" * 30)])


def test_all_samples_are_finite_blocks(talk: Callable, ecg: object) -> None:
    said = talk(BitalinoSession(), BitalinoEmulator(ecg), until_s=3.0)
    assert all(isinstance(block, Samples) and np.isfinite(block.ecg_mv).all() for block in said.samples)
