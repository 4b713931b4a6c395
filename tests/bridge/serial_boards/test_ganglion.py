"""Ganglion: packets packed bit by bit, differences and what a loss spoils, high bits, the dialogue."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg_bridge.emulators import GanglionEmulator, SilentEmulator
from edge_ecg_bridge.emulators.base import Unit
from edge_ecg_bridge.ganglion import GanglionSession, GanglionSettings, wire
from edge_ecg_bridge.ganglion.packets import Decoded, GanglionDecoder
from edge_ecg_bridge.stream import BridgeError

COUNT_MV = 15686.0 / 8388607 / 1000
FIRMWARES = [(2, 0, 0), (3, 0, 1)]


def pack(number: int, values: list[int], bits: int, last: int = 0) -> bytes:
    """Pack eight numbers as the document's maps do: high bit first, the sign in place of the lowest bit."""
    row = "".join(f"{value & ((1 << bits) - 1):0{bits}b}"[:-1] + str(int(value < 0)) for value in values)
    row += f"{last:08b}" if bits == 18 else ""
    assert len(row) == 152
    return bytes((number,)) + bytes(int(row[at : at + 8], 2) for at in range(0, 152, 8))


def raw(values: list[int]) -> bytes:
    return b"\0" + b"".join((value & 0xFFFFFF).to_bytes(3, "big") for value in values) + b"ABCDEFG"


@pytest.mark.parametrize("bits", [18, 19])
@given(data=st.data())
def test_words_packed_by_hand(bits: int, data: st.DataObject) -> None:
    """The sign stands apart, so that a number of 18 bits and a sign reaches from -2^18 to 2^18."""
    values = data.draw(st.lists(st.integers(-(1 << bits), (1 << bits) - 1), min_size=8, max_size=8))
    found = wire.words(pack(1, values, bits)[1:], bits)
    assert found.shape == (2, 4)
    assert found.ravel().tolist() == [value & ~1 for value in values]


def test_example_of_the_document() -> None:
    """ "0b1111111111111111101 is -3": to the bit that the sign has taken."""
    assert int(f"{-3 & 0x7FFFF:019b}", 2) == 0b1111111111111111101
    assert wire.words(pack(101, [-3] * 8, 19)[1:], 19).ravel().tolist() == [-4] * 8


def decode(decoder: GanglionDecoder, data: bytes, *, behind_gap: bool = False) -> Decoded:
    packet = decoder.read(data)
    assert packet is not None
    return decoder.decode(packet, behind_gap=behind_gap)


def test_differences() -> None:
    decoder = GanglionDecoder(deltas=True)
    whole = decode(decoder, raw([1000, -2000, 8388607, -8388608]))
    assert whole.counts.tolist() == [[1000, -2000, 8388607, -8388608]]
    first = decode(decoder, pack(101, [10, -20, 30, 0, 2, 4, -6, 8], 19))
    # The board sends the old value minus the new one.
    assert first.counts.tolist() == [[990, -1980, 8388577, -8388608], [988, -1984, 8388583, -8388616]]
    second = decode(decoder, pack(2, [100000, -100000, 0, 0, 0, 0, 0, 0], 18, last=0x80))
    assert second.counts[0].tolist() == [988 - 100000, -1984 + 100000, 8388583, -8388616]
    assert second.acceleration_g[1] == pytest.approx(-128 * 0.032)


@pytest.mark.parametrize(
    ("deltas", "number", "place", "counter", "samples"),
    [
        (True, 0, 0, 0, 1),
        (True, 1, 1, 1, 2),
        (True, 100, 100, 199, 2),
        (True, 101, 1, 1, 2),
        (True, 200, 100, 199, 2),
        (False, 0, 0, 0, 2),
        (False, 99, 99, 198, 2),
        (False, 100, 0, 0, 2),
        (False, 199, 99, 198, 2),
    ],
)
def test_packet_numbers(deltas: bool, number: int, place: int, counter: int, samples: int) -> None:
    found = GanglionDecoder(deltas=deltas).read(bytes((number,)) + bytes(19))
    assert found is not None
    assert (found.place, found.counter, found.samples) == (place, counter, samples)


def test_a_lost_packet_spoils_all_to_the_next_whole_sample() -> None:
    decoder = GanglionDecoder(deltas=True)
    assert decode(decoder, pack(150, [2] * 8, 19)).counts is None
    decode(decoder, raw([0] * 4))
    assert decode(decoder, pack(101, [2] * 8, 19)).counts is not None
    assert decode(decoder, pack(103, [2] * 8, 19), behind_gap=True).counts is None
    assert decode(decoder, pack(104, [2] * 8, 19)).counts is None
    assert decode(decoder, raw([7] * 4)).counts.tolist() == [[7] * 4]
    assert decode(decoder, pack(101, [2] * 8, 19)).counts[-1].tolist() == [3] * 4


def test_high_bits() -> None:
    decoder = GanglionDecoder(deltas=False)
    samples = [8388607, -8388608, 64, -64, 0, -1, 1000000, -1000000]
    for bits, number in ((18, 11), (19, 199)):
        found = decode(decoder, pack(number, [s >> (24 - bits) for s in samples], bits, last=31))
        error = np.array(samples) - found.counts.ravel()
        assert ((error >= 0) & (error < 1 << (25 - bits))).all()
    assert found.acceleration_g[0] == pytest.approx(31 * 0.032)


def test_what_is_no_packet_is_counted() -> None:
    decoder = GanglionDecoder(deltas=False)
    good = pack(5, [1000] * 8, 19)[1:]
    assert decoder.read(b"\x05short") is None
    assert decoder.read(b"\xc9" + good) is None  # an impedance
    assert decoder.read(bytes((105, good[0] ^ 0x80)) + good[1:]) is None  # a sign that its copy contradicts
    assert decoder.packets_rejected == 3
    assert decoder.read(b"\x69" + good) is not None
    assert decoder.read(b"\x69" + good) is None
    assert decoder.duplicates == 1


@pytest.mark.parametrize("accelerometer", [None, True, False])
@pytest.mark.parametrize("channel", [1, 3])
@pytest.mark.parametrize("firmware", FIRMWARES)
def test_signal_arrives(
    talk: Callable,
    truth: Callable,
    ecg: object,
    firmware: tuple[int, int, int],
    channel: int,
    accelerometer: bool | None,
) -> None:
    session = GanglionSession(GanglionSettings(channel, accelerometer))
    board = GanglionEmulator(ecg, firmware=firmware, acceleration_g=(0.32, -0.64, 0.96))
    said = talk(session, board, until_s=8.0)
    said.check_order()
    assert said.lost == 0
    n = len(said.ecg_mv)
    assert n > 6 * 200
    error = said.ecg_mv - truth(n, 200.0) * (1.0 - 0.1 * (channel - 1))
    # Differences lose a bit each, 200 of them at most; high bits lose 5 or 6 bits and the sign's.
    bound = 201 if firmware[0] == 2 else 128 if said.ready.details["accelerometer"] else 64
    assert np.abs(error).max() <= bound * COUNT_MV
    assert said.ready.details["accelerometer"] is (
        firmware[0] == 3 if accelerometer is None else accelerometer
    )
    if said.ready.details["accelerometer"]:
        # From the first sample on, NaN until there is a reading: a recording has the first block's columns.
        assert all(block.acceleration_g is not None for block in said.samples)
        assert said.samples[-1].acceleration_g[-1].tolist() == pytest.approx([0.32, -0.64, 0.96])
    else:
        assert said.samples[-1].acceleration_g is None


@pytest.mark.parametrize("firmware", FIRMWARES)
@pytest.mark.parametrize(
    "board",
    [{"already_streaming": True}, {"banner": b"OpenBCI Ganglion v2.0.0\nsend 'b' to start data stream\n"}],
)
def test_from_any_state(
    talk: Callable, truth: Callable, ecg: object, board: dict, firmware: tuple[int, int, int]
) -> None:
    said = talk(GanglionSession(), GanglionEmulator(ecg, firmware=firmware, **board), until_s=8.0)
    assert said.ready.details["firmware"] == ".".join(map(str, firmware))
    assert np.abs(said.ecg_mv - truth(len(said.ecg_mv), 200.0)).max() <= 201 * COUNT_MV


@pytest.mark.parametrize("firmware", FIRMWARES)
@pytest.mark.parametrize("lost_s", [0.011, 0.4, 1.0, 1.005, 1.7, 3.3])
def test_losses_of_any_length(
    talk: Callable,
    truth: Callable,
    ecg: object,
    between: Callable,
    firmware: tuple[int, int, int],
    lost_s: float,
) -> None:
    session = GanglionSession()
    board = GanglionEmulator(ecg, firmware=firmware)
    said = talk(session, board, until_s=12.0, step_s=0.01, damage=between(5.0, 5.0 + lost_s))
    said.check_order()
    spoilt = session.counters["samples_spoilt"]
    assert said.dropped > 0
    assert spoilt == 0 or firmware[0] == 2
    assert spoilt > 0 or firmware[0] == 3 or lost_s != 0.4
    assert said.lost == said.dropped + spoilt
    assert np.abs(said.ecg_mv - truth(said.numbers[-1] + 1, 200.0)[said.numbers]).max() <= 201 * COUNT_MV


@pytest.mark.parametrize("firmware", FIRMWARES)
def test_reordered_packets(
    talk: Callable, truth: Callable, ecg: object, firmware: tuple[int, int, int]
) -> None:
    swaps = rejected = 0

    def swap(units: list[Unit], now_s: float) -> list[Unit]:
        nonlocal swaps, rejected
        if swaps < 3 and now_s > 3.0 + swaps and len(units) > 2:
            swaps += 1
            units[0], units[1] = units[1], units[0]
            rejected += units[1].samples
        return units

    session = GanglionSession()
    said = talk(session, GanglionEmulator(ecg, firmware=firmware), until_s=9.0, damage=swap)
    said.check_order()
    assert swaps == 3
    assert said.lost == rejected + session.counters["samples_spoilt"]
    assert session.counters["packets_rejected"] == 3
    assert np.abs(said.ecg_mv - truth(said.numbers[-1] + 1, 200.0)[said.numbers]).max() <= 201 * COUNT_MV


def test_saturation(talk: Callable, ecg: object) -> None:
    board = GanglionEmulator(ecg, electrode_off=lambda t_s: 2.0 <= t_s < 3.0)
    said = talk(GanglionSession(), board, until_s=8.0)
    saturated = np.concatenate([block.saturated for block in said.samples])
    assert np.flatnonzero(saturated).tolist() == list(range(400, 600))


@pytest.mark.parametrize("channel", [0, 5])
def test_a_channel_that_there_is_not(channel: int) -> None:
    with pytest.raises(ValueError, match="channel must be 1 to 4"):
        GanglionSettings(channel)


def test_told_its_firmware_it_is_not_asked() -> None:
    session, now_s = GanglionSession(GanglionSettings(firmware=3)), 0.0
    session.start(0.0)
    while not session.events():
        now_s += 0.05
        session.on_time(now_s)
        assert now_s < 5.0
    assert session.bytes_to_send() == b"snb"


def test_joined_notifications_are_parted(talk: Callable, ecg: object) -> None:
    session = GanglionSession(GanglionSettings(firmware=3))
    session.start(0.0)
    for tick in range(40):
        session.on_time(0.05 * tick)
    assert session.events()
    session.receive(b"".join(pack(n, [1] * 8, 18) for n in range(10)), 2.0)
    (block,) = session.events()
    assert len(block.ecg_mv) == 20


def test_stop_leaves_it_stopped(talk: Callable, ecg: object) -> None:
    session, board = GanglionSession(), GanglionEmulator(ecg)
    said = talk(session, board, until_s=4.0)
    session.stop(said.now_s)
    talk(session, board, until_s=6.0, result=said)
    assert session.finished
    assert not board.streaming
    assert len(said.ecg_mv) == said.sent


def test_what_does_not_answer(talk: Callable) -> None:
    board = SilentEmulator()
    board.units = lambda now_s: []
    with pytest.raises(
        BridgeError, match=r"Ganglion does not answer.*three times.*firmware=2 or \?firmware=3"
    ):
        talk(GanglionSession(), board, until_s=30.0)


def test_what_answers_something_else() -> None:
    session, now_s, error = GanglionSession(), 0.0, None
    session.start(0.0)
    while error is None:
        now_s += 0.5
        assert now_s < 30.0
        session.receive(b"\xcfhello", now_s)
        try:
            session.on_time(now_s)
        except BridgeError as raised:
            error = raised
    assert "is not a Ganglion" in str(error)
    assert "hello" in str(error)


def test_silence(talk: Callable, ecg: object) -> None:
    session, board = GanglionSession(), GanglionEmulator(ecg)
    said = talk(session, board, until_s=4.0)
    board.link_lost()
    with pytest.raises(BridgeError, match="No data from the Ganglion for 5 s"):
        talk(session, board, until_s=20.0, result=said)
