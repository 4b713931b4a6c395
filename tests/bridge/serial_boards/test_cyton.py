"""Cyton: bytes of the document, the set-up dialogue, losses, the accelerometer, what is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge_ecg_bridge.cyton import CytonSession, CytonSettings
from edge_ecg_bridge.cyton import packets as cyton_packets
from edge_ecg_bridge.cyton.packets import Accelerometer, CytonFramer
from edge_ecg_bridge.cyton.wire import channel_command, parse_greeting
from edge_ecg_bridge.emulators import CytonEmulator, GarbageEmulator, SilentEmulator
from edge_ecg_bridge.emulators.base import Unit
from edge_ecg_bridge.stream import BridgeError

COUNT_MV = 4500.0 / 24 / (2**23 - 1)  # 0.02235 µV, the document's own number

# Written by hand from "Cyton Data Format": header, number, eight channels, x y z, footer.
PACKET = bytes.fromhex(
    "A0 2A 000001 FFFFFF 7FFFFF 800000 00A0C0 123456 FEDCBA 000000 1F40 0000 E0C0 C0".replace(" ", "")
)
COUNTS = [1, -1, 8388607, -8388608, 0xA0C0, 0x123456, 0xFEDCBA - 2**24, 0]


def rows_of(*packets: bytes) -> np.ndarray:
    return np.frombuffer(b"".join(packets), dtype=np.uint8).reshape(len(packets), 33)


def test_packet_of_the_document() -> None:
    rows = rows_of(PACKET)
    assert [int(cyton_packets.counts(rows, channel)[0]) for channel in range(1, 9)] == COUNTS
    assert cyton_packets.to_mv(np.array([1]), 24)[0] * 1000 == pytest.approx(0.02235, abs=5e-6)
    assert cyton_packets.clipped(cyton_packets.counts(rows, 3))[0]
    assert cyton_packets.clipped(cyton_packets.counts(rows, 4))[0]
    assert cyton_packets.stamps_ms(rows)[0] == -1
    # 8000, 0 and -8000 counts of 0.125 mg
    assert Accelerometer().follow(rows)[0].tolist() == [1.0, 0.0, -1.0]


def test_stamped_packets_of_the_document() -> None:
    aux = [("X", 0x1F), ("x", 0x40), ("Y", 0), ("y", 0), ("Z", 0xE0), ("z", 0xC0)]
    rows = rows_of(
        *(
            PACKET[:26]
            + axis.encode()
            + bytes((value,))
            + (0xFFFFFFFE + 4 * i).to_bytes(8, "big")[-4:]
            + b"\xc4"
            for i, (axis, value) in enumerate(aux)
        )
    )
    assert cyton_packets.stamps_ms(rows).tolist() == [0xFFFFFFFE, 2, 6, 10, 14, 18]
    accelerometer = Accelerometer()
    assert accelerometer.follow(rows)[-1].tolist() == [1.0, 0.0, -1.0]
    # Half a value from before a gap and half from behind it make none.
    accelerometer.follow(rows[:1])
    accelerometer.forget()
    assert accelerometer.follow(rows_of(rows[1].tobytes()))[-1].tolist() == [1.0, 0.0, -1.0]


def test_commands_of_the_document() -> None:
    assert channel_command(3, 2, differential=True) == b"x3010100X"
    assert channel_command(1, 24, differential=False) == b"x1060110X"
    greeting = parse_greeting(b"OpenBCI V3 8-16 channel\nADS1299 Device ID: 0x3E\nLIS3DH\nFirmware: v2.0.0\n")
    assert greeting is not None
    assert (greeting.firmware, greeting.daisy) == ((2, 0, 0), False)
    old = parse_greeting(b"OpenBCI V3 16 channel\nADS1299 Device ID: 0x3E\nLIS3DH Device ID: 0x33\n")
    assert old is not None
    assert old.firmware == (1, 0, 0)
    assert parse_greeting(b"Arduino ready\n") is None


@pytest.mark.parametrize("stamps", [False, True], ids=["plain", "stamps"])
@pytest.mark.parametrize(
    "board",
    [
        {},
        {"firmware": (2, 0, 0), "counter": 250},
        {"daisy": True},
        {"already_streaming": True},
        {"banner": b"OpenBCI V3 8-16 channel\r\nOn Board ADS1299 Device ID: 0x3E\r\nFirmware: v3.1.2\r\n$$$"},
        {"clock_ms": 2**32 - 2000},
    ],
    ids=["plain", "firmware2", "daisy", "streaming", "banner", "clock wrap"],
)
def test_signal_arrives(talk: Callable, truth: Callable, ecg: object, board: dict, stamps: bool) -> None:
    said = talk(CytonSession(CytonSettings(stamps=stamps)), CytonEmulator(ecg, **board))
    said.check_order()
    assert said.lost == 0
    n = len(said.ecg_mv)
    assert n > 8 * 250
    assert np.abs(said.ecg_mv - truth(n, 250.0)).max() <= COUNT_MV / 2 * 1.001
    assert said.samples[-1].acceleration_g[-1].tolist() == [0.0, 0.0, 1.0]
    assert said.ready.details["clock"] == ("board" if stamps else "sample numbers and the host's clock")


@pytest.mark.parametrize(("channel", "gain", "differential"), [(1, 1, False), (4, 12, True), (8, 24, False)])
def test_channel_and_gain(
    talk: Callable, truth: Callable, ecg: object, channel: int, gain: int, differential: bool
) -> None:
    board = CytonEmulator(ecg)
    said = talk(CytonSession(CytonSettings(channel, gain, differential)), board, until_s=5.0)
    assert board.gains[channel - 1] == gain
    error = said.ecg_mv - truth(len(said.ecg_mv), 250.0) * (1.0 - 0.1 * (channel - 1))
    assert np.abs(error).max() <= COUNT_MV * 24 / gain / 2 * 1.001


@pytest.mark.parametrize("wrong", [{"channel": 0}, {"channel": 9}, {"gain": 3}])
def test_settings_that_make_no_sense(wrong: dict) -> None:
    with pytest.raises(ValueError, match="must be"):
        CytonSettings(**wrong)


def test_daisy_is_taken_off(talk: Callable, ecg: object) -> None:
    board = CytonEmulator(ecg, daisy=True)
    said = talk(CytonSession(), board, until_s=3.0)
    assert said.ready.details["daisy"] is True
    assert not board.daisy


@pytest.mark.parametrize("settings", [CytonSettings(gain=12), CytonSettings(stamps=True)])
def test_firmware_1_is_told_what_it_cannot(talk: Callable, ecg: object, settings: CytonSettings) -> None:
    with pytest.raises(BridgeError, match=r"firmware 1\.0\.0 knows no .*Update it"):
        talk(CytonSession(settings), CytonEmulator(ecg, firmware=(1, 0, 0)))
    assert talk(CytonSession(), CytonEmulator(ecg, firmware=(1, 0, 0))).ready.details["firmware"] == "1.0.0"


@pytest.mark.parametrize("stamps", [False, True], ids=["numbers", "stamps"])
@pytest.mark.parametrize("lost", [1, 40, 255, 256, 257, 512, 1000])
def test_losses_of_any_length(talk: Callable, truth: Callable, ecg: object, lost: int, stamps: bool) -> None:
    """Also of whole turns of the number, which the number does not show."""
    seen = 0

    def drop(units: list[Unit], _: float) -> list[Unit]:
        nonlocal seen
        kept = []
        for unit in units:
            seen += unit.samples
            if not (unit.samples and 1000 < seen <= 1000 + lost):
                kept.append(unit)
        return kept

    said = talk(CytonSession(CytonSettings(stamps=stamps)), CytonEmulator(ecg), until_s=12.0, damage=drop)
    said.check_order()
    assert said.dropped == lost
    assert [block.gap_before for block in said.samples if block.gap_before] == [lost]
    assert np.abs(said.ecg_mv - truth(said.numbers[-1] + 1, 250.0)[said.numbers]).max() < COUNT_MV


@pytest.mark.parametrize("stamps", [False, True], ids=["numbers", "stamps"])
@pytest.mark.parametrize("stall_s", [0.3, 0.9, 1.02, 2.05, 4.0])
def test_a_stalled_host_has_lost_nothing(
    talk: Callable, truth: Callable, ecg: object, stall_s: float, stamps: bool
) -> None:
    said = talk(
        CytonSession(CytonSettings(stamps=stamps)),
        CytonEmulator(ecg),
        until_s=12.0,
        hears=lambda now_s: not 5.0 <= now_s < 5.0 + stall_s,
    )
    assert said.lost == 0
    assert np.abs(said.ecg_mv - truth(len(said.ecg_mv), 250.0)).max() < COUNT_MV


@pytest.mark.parametrize("rate_error", [-0.01, 0.01])
def test_losses_at_a_wrong_rate(talk: Callable, ecg: object, between: Callable, rate_error: float) -> None:
    session = CytonSession()
    said = talk(session, CytonEmulator(ecg, rate_error=rate_error), until_s=60.0, damage=between(30.0, 34.5))
    assert said.dropped > 1100
    assert said.lost == said.dropped


@pytest.mark.parametrize("stamps", [False, True], ids=["arrivals", "stamps"])
@pytest.mark.parametrize("rate_error", [-0.005, 0.0, 0.01])
def test_real_rate_after_a_minute(talk: Callable, ecg: object, rate_error: float, stamps: bool) -> None:
    session = CytonSession(CytonSettings(stamps=stamps))
    said = talk(session, CytonEmulator(ecg, rate_error=rate_error), until_s=90.0, step_s=0.05)
    said.check_order()
    assert said.time_s[2500] == pytest.approx(10.0)
    late = said.time_s[-2500:]
    rate_hz = 2499 / (late[-1] - late[0])
    assert rate_hz == pytest.approx(250.0 * (1.0 + rate_error), rel=2e-4)


def test_many_small_losses(talk: Callable, truth: Callable, ecg: object) -> None:
    rng = np.random.default_rng(0)
    session = CytonSession()
    said = talk(
        session,
        CytonEmulator(ecg, counter=200),
        until_s=30.0,
        damage=lambda units, _: [u for u in units if not u.samples or rng.random() > 0.05],
    )
    said.check_order()
    assert said.dropped > 300
    assert said.lost in range(said.dropped - 5, said.dropped + 1)  # the last may have no follower yet
    assert len(said.ecg_mv) + said.lost == said.numbers[-1] + 1
    assert np.abs(said.ecg_mv - truth(said.numbers[-1] + 1, 250.0)[said.numbers]).max() < COUNT_MV


def stream(n: int, first: int = 0) -> list[bytes]:
    return [bytes((0xA0, (first + i) & 0xFF)) + i.to_bytes(3, "big") + bytes(27) + b"\xc0" for i in range(n)]


def numbers_of(framer: CytonFramer, data: bytes) -> list[int]:
    return [int(n) for found in framer.feed(data) for n in found.rows[:, 1]]


def test_a_damaged_packet_costs_itself_only() -> None:
    for at, byte in [(0, 0x00), (32, 0xD0), (1, 77)]:
        packets, framer = stream(20), CytonFramer()
        packets[8] = packets[8][:at] + bytes((byte,)) + packets[8][at + 1 :]
        numbers = numbers_of(framer, b"".join(packets))
        assert [n for n in numbers if n < 20 and n != 8] == [n for n in range(19) if n != 8], at


def test_a_doubled_packet_is_one(talk: Callable, truth: Callable, ecg: object) -> None:
    session = CytonSession()
    said = talk(
        session,
        CytonEmulator(ecg),
        until_s=5.0,
        damage=lambda units, _: [u for unit in units for u in ([unit] * 2 if unit.samples else [unit])],
    )
    assert said.lost == 0
    assert session.counters["duplicates"] >= len(said.ecg_mv)
    assert np.abs(said.ecg_mv - truth(len(said.ecg_mv), 250.0)).max() < COUNT_MV


@pytest.mark.parametrize("stamps", [False, True], ids=["numbers", "stamps"])
def test_reordered_packets_are_not_unwrapped(
    talk: Callable, truth: Callable, ecg: object, stamps: bool
) -> None:
    session = CytonSession(CytonSettings(stamps=stamps))

    def swap(units: list[Unit], now_s: float) -> list[Unit]:
        if 5.0 <= now_s < 5.03 and len(units) > 4:
            units[1], units[2] = units[2], units[1]
        return units

    said = talk(session, CytonEmulator(ecg), until_s=10.0, damage=swap)
    said.check_order()
    assert said.lost == 1
    assert session.counters["packets_rejected"] == 1
    assert np.abs(said.ecg_mv - truth(said.numbers[-1] + 1, 250.0)[said.numbers]).max() < COUNT_MV


@pytest.mark.parametrize("error_ms", [-3000, -50, 2000, 40_000])
@pytest.mark.parametrize("packets", [1, 3, 20, 10**6])
def test_a_board_clock_that_steps(
    talk: Callable, truth: Callable, ecg: object, error_ms: int, packets: int
) -> None:
    """Whether for some packets or for good: numbers and arrival say that nothing is missing."""
    seen = 0

    def step(units: list[Unit], _: float) -> list[Unit]:
        nonlocal seen
        out = []
        for unit in units:
            seen += unit.samples
            data = unit.data
            if unit.samples and 1000 < seen <= 1000 + packets:
                stamp = int.from_bytes(data[28:32], "big") + error_ms
                data = data[:28] + (stamp % 2**32).to_bytes(4, "big") + data[32:]
            out.append(Unit(data, unit.samples))
        return out

    session = CytonSession(CytonSettings(stamps=True))
    said = talk(session, CytonEmulator(ecg, clock_ms=10_000), until_s=12.0, damage=step)
    said.check_order()
    assert said.lost == 0
    assert np.abs(said.ecg_mv - truth(len(said.ecg_mv), 250.0)).max() < COUNT_MV


def test_saturation_and_offset(talk: Callable, truth: Callable, ecg: object) -> None:
    board = CytonEmulator(ecg, electrode_off=lambda t_s: 2.0 <= t_s < 3.0, electrode_offset_mv=120.0)
    said = talk(CytonSession(), board, until_s=6.0)
    saturated = np.concatenate([block.saturated for block in said.samples])
    assert np.flatnonzero(saturated).tolist() == list(range(500, 750))
    good = ~saturated
    assert np.abs(said.ecg_mv - 120.0 - truth(len(good), 250.0))[good].max() < COUNT_MV


def test_stop_leaves_the_board_stopped(talk: Callable, ecg: object) -> None:
    session, board = CytonSession(), CytonEmulator(ecg)
    said = talk(session, board, until_s=5.0)
    n = len(said.ecg_mv)
    session.stop(said.now_s)
    talk(session, board, until_s=7.0, result=said)
    assert session.finished
    assert not board.streaming
    assert len(said.ecg_mv) in range(n, said.sent + 1)
    assert len(said.ecg_mv) == said.sent


def test_stop_before_it_answers() -> None:
    session = CytonSession()
    session.start(0.0)
    session.stop(0.0)
    session.on_time(1.0)
    assert session.finished
    assert session.bytes_to_send() == b"ss"


@pytest.mark.parametrize(
    ("board", "what"),
    [
        (SilentEmulator(), "No Cyton answers on this port.*asked for a reset three times.*Switch"),
        (GarbageEmulator(), "does not stop when it is told to as a Cyton would.*the bytes"),
    ],
    ids=["silent", "garbage"],
)
def test_what_is_no_cyton_is_named(talk: Callable, board: object, what: str) -> None:
    with pytest.raises(BridgeError, match=what):
        talk(CytonSession(), board, until_s=20.0)


def test_a_dongle_without_its_board(talk: Callable, ecg: object) -> None:
    with pytest.raises(
        BridgeError, match=r"dongle answers, but the Cyton does not.*failed to poll.*Switch the Cyton"
    ):
        talk(CytonSession(), CytonEmulator(ecg, board_on=False))


def test_a_board_that_is_heard_at_the_second_try(talk: Callable, ecg: object) -> None:
    session, board = CytonSession(CytonSettings(stamps=True)), CytonEmulator(ecg, board_on=False)
    said = talk(session, board, until_s=0.5)
    board.board_on = True
    talk(session, board, until_s=4.0, result=said)
    assert said.ready is not None


def test_a_greeting_too_many_is_passed_over() -> None:
    """A board that is switched on at that moment says it by itself, and once more when it is asked."""
    greeting = b"OpenBCI V3 8-16 channel ADS1299 Firmware: v3.1.2 $$$"
    session = CytonSession(CytonSettings(stamps=True))
    session.start(0.0)
    session.on_time(0.3)
    session.receive(greeting, 0.4)
    session.receive(greeting, 0.5)
    session.receive(b"Time stamp ON$$$", 0.6)
    assert session.bytes_to_send() == b"sv<b"


def test_a_board_that_goes_off(talk: Callable, ecg: object) -> None:
    session, board = CytonSession(), CytonEmulator(ecg)
    said = talk(session, board, until_s=5.0)
    board.receive(b"s", said.now_s)
    with pytest.raises(BridgeError, match="No bytes from the Cyton for 5 s"):
        talk(session, board, until_s=20.0, result=said)


def test_the_dongle_says_that_the_board_is_gone(talk: Callable, ecg: object) -> None:
    session, board = CytonSession(), CytonEmulator(ecg)
    said = talk(session, board, until_s=5.0)
    board.receive(b"s", said.now_s)
    failure = b"Failure: Communications timeout - Device failed to poll Host$$$"
    session.receive(failure, said.now_s + 0.6)
    with pytest.raises(BridgeError, match="dongle answers, but the Cyton does not"):
        session.receive(failure, said.now_s + 1.2)


def test_another_device_that_answers_in_dollars() -> None:
    session = CytonSession()
    session.start(0.0)
    session.on_time(0.3)
    with pytest.raises(BridgeError, match=r"is not a Cyton.*'hello'"):
        session.receive(b"hello$$$", 0.4)


def test_a_board_that_refuses_its_channel() -> None:
    session = CytonSession(CytonSettings(gain=12))
    session.start(0.0)
    session.on_time(0.3)
    session.receive(b"OpenBCI V3 8-16 channel ADS1299 Firmware: v3.1.2 $$$", 0.4)
    assert session.bytes_to_send() == b"svx1050110X"
    with pytest.raises(BridgeError, match=r"told to set its channel and did not agree.*too few chars"):
        session.receive(b"Failure: too few chars$$$", 0.5)
