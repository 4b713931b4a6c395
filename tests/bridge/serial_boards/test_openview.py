"""OpenView boards: frames of ProtoCentral's own sketches, text in between, counted rate, losses, scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg_bridge.emulators import GarbageEmulator, OpenViewEmulator, SilentEmulator
from edge_ecg_bridge.emulators.base import Unit
from edge_ecg_bridge.openview import OpenViewSession, OpenViewSettings
from edge_ecg_bridge.openview.frames import OpenViewFramer, ecg_counts, electrode_off
from edge_ecg_bridge.stream import BridgeError

COUNT_MV = 16 * 2420.0 / 12 / (2**23 - 1)
# Written by hand after the sketch "02.OpenView": ECG -2, respiration 300, heart rate 72, respiration rate 15.
FRAME = bytes.fromhex("0AFA080002 FEFF 2C01 4800 0F00 000B".replace(" ", ""))
OLD_FRAME = bytes.fromhex("0AFA140002 0080 2C01".replace(" ", "")) + bytes(16) + bytes.fromhex("000B")


def test_frames_of_the_sketches() -> None:
    (found,) = OpenViewFramer().feed(FRAME)
    assert (ecg_counts(found.rows).tolist(), found.damaged) == ([-2], 0)
    assert not electrode_off(found.rows)[0]
    (old,) = OpenViewFramer().feed(OLD_FRAME)
    assert ecg_counts(old.rows).tolist() == [-32768]
    (off,) = OpenViewFramer().feed(FRAME[:5] + bytes(8) + FRAME[-2:])
    assert electrode_off(off.rows)[0]


def counts_of(framer: OpenViewFramer, data: bytes) -> tuple[list[int], int]:
    found = framer.feed(data)
    return [int(v) for frames in found for v in ecg_counts(frames.rows)], sum(f.damaged for f in found)


@given(
    texts=st.lists(st.from_regex(rb"[ -~\r\n\t]{0,40}", fullmatch=True), min_size=1, max_size=20),
    cut=st.integers(1, 20),
)
def test_text_in_between_costs_nothing(texts: list[bytes], cut: int) -> None:
    data = b"".join(text + FRAME for text in texts)
    framer, values, damaged = OpenViewFramer(), [], 0
    for at in range(0, len(data), cut):
        more, bad = counts_of(framer, data[at : at + cut])
        values += more
        damaged += bad
    assert values == [-2] * len(texts)
    assert damaged == 0
    assert framer.bytes_skipped == sum(map(len, texts))


@pytest.mark.parametrize(
    ("harm", "damaged"),
    [
        (FRAME[:7], 1),
        (FRAME[7:], 1),
        (FRAME[:7] + FRAME[:9], 1),
        (FRAME[:-1] + b"\xff", 1),
        (b"\xff" * 45, 3),
        (FRAME[:2] + b"\xff\xff" + FRAME[4:], 1),
        (OLD_FRAME, 2),
    ],
)
def test_damaged_frames_are_counted(harm: bytes, damaged: int) -> None:
    framer = OpenViewFramer()
    values, bad = counts_of(framer, FRAME * 3 + harm + FRAME * 3)
    assert (values, bad) == ([-2] * 6, damaged)
    assert framer.packets_rejected + framer.bytes_skipped > 0


def test_header_in_the_data_is_no_header() -> None:
    frame = FRAME[:5] + b"\x0a\xfa\x08\x00\x02\x00\x00\x0a" + FRAME[-2:]
    values, bad = counts_of(OpenViewFramer(), frame * 50)
    assert (values, bad) == ([0xFA0A - 65536] * 50, 0)


@pytest.mark.parametrize(
    ("board", "fs_hz", "count_mv"),
    [
        ({}, 125.0, COUNT_MV),
        ({"payload_bytes": 20, "banner": b"Initiliziation is done\r\n"}, 125.0, 16 * COUNT_MV),
        ({"text_every": 40}, 125.0, COUNT_MV),
        ({"fs_hz": 250.0}, 250.0, COUNT_MV),
    ],
)
def test_signal_arrives(
    talk: Callable, truth: Callable, ecg: object, board: dict, fs_hz: float, count_mv: float
) -> None:
    device = OpenViewEmulator(ecg, **board)
    said = talk(OpenViewSession(), device, until_s=15.0)
    said.check_order()
    assert (said.ready.fs_hz, said.ready.details["rate"], said.lost) == (fs_hz, "counted", 0)
    n = len(said.ecg_mv)
    assert n > 12 * fs_hz
    assert np.abs(said.ecg_mv - truth(said.sent, fs_hz)[-n:]).max() <= count_mv / 2 * 1.001


def test_settings(talk: Callable, truth: Callable, ecg: object) -> None:
    said = talk(
        OpenViewSession(OpenViewSettings(fs_hz=124.0, gain=6.0, shift=5)), OpenViewEmulator(ecg), until_s=4.0
    )
    assert (said.ready.fs_hz, said.ready.details["rate"]) == (124.0, "given")
    n = len(said.ecg_mv)
    assert n > 1.9 * 125
    assert np.abs(said.ecg_mv / 4 - truth(said.sent, 125.0)[-n:]).max() <= COUNT_MV


@pytest.mark.parametrize("rate_error", [-0.004, 0.0, 0.02])
def test_real_rate_after_a_minute(talk: Callable, ecg: object, rate_error: float) -> None:
    said = talk(OpenViewSession(), OpenViewEmulator(ecg, rate_error=rate_error), until_s=100.0)
    said.check_order()
    assert said.lost == 0
    assert said.ready.fs_hz == 125.0
    late = said.time_s[-1250:]
    assert 1249 / (late[-1] - late[0]) == pytest.approx(125.0 * (1.0 + rate_error), rel=2e-4)


def test_an_unusual_rate_is_taken_as_counted(talk: Callable, ecg: object) -> None:
    said = talk(OpenViewSession(), OpenViewEmulator(ecg, fs_hz=171.0), until_s=8.0)
    assert said.ready.fs_hz == pytest.approx(171.0, rel=0.015)


def test_a_useless_rate(talk: Callable, ecg: object) -> None:
    with pytest.raises(BridgeError, match="sends 50 frames a second; the ECG needs at least 100"):
        talk(OpenViewSession(), OpenViewEmulator(ecg, fs_hz=50.0), until_s=20.0)


@pytest.mark.parametrize("pause_s", [0.5, 1.0, 3.7])
def test_a_pause_is_a_loss(
    talk: Callable, truth: Callable, ecg: object, between: Callable, pause_s: float
) -> None:
    said = talk(OpenViewSession(), OpenViewEmulator(ecg), until_s=20.0, damage=between(10.0, 10.0 + pause_s))
    said.check_order()
    assert said.lost == said.dropped
    before = said.sent - 1 - said.numbers[-1]
    assert np.abs(said.ecg_mv - truth(said.sent, 125.0)[said.numbers + before]).max() <= COUNT_MV


@pytest.mark.parametrize("stall_s", [0.5, 1.0, 3.7])
def test_a_stalled_host_has_lost_nothing(
    talk: Callable, truth: Callable, ecg: object, stall_s: float
) -> None:
    said = talk(
        OpenViewSession(),
        OpenViewEmulator(ecg),
        until_s=20.0,
        hears=lambda now_s: not 10.0 <= now_s < 10.0 + stall_s,
    )
    assert said.lost == 0
    n = len(said.ecg_mv)
    assert np.abs(said.ecg_mv - truth(said.sent, 125.0)[-n:]).max() <= COUNT_MV


def test_damage_in_the_stream_is_counted(talk: Callable, truth: Callable, ecg: object) -> None:
    """A cut frame and one that is gone: the bytes show that something is missing, time shows how much."""
    rng, before_s = np.random.default_rng(2), 0.0

    def cut(units: list[Unit], now_s: float) -> list[Unit]:
        nonlocal before_s
        out = list(units)
        if 8.0 < now_s < 58.0 and now_s > before_s + 0.2 and rng.random() < 0.02 and len(out) >= 3:
            before_s = now_s
            out[0] = Unit(out[0].data[:7])
            del out[1]
        return out

    said = talk(OpenViewSession(), OpenViewEmulator(ecg), until_s=60.0, damage=cut)
    said.check_order()
    assert said.dropped > 30
    assert said.lost == said.dropped
    before = said.sent - 1 - said.numbers[-1]
    assert np.abs(said.ecg_mv - truth(said.sent, 125.0)[said.numbers + before]).max() <= COUNT_MV


def test_electrode_off(talk: Callable, ecg: object) -> None:
    board = OpenViewEmulator(ecg, electrode_off=lambda t_s: 8.0 <= t_s < 9.0)
    said = talk(OpenViewSession(), board, until_s=12.0)
    off = np.concatenate([block.lead_off for block in said.samples])
    assert off.sum() == 125
    assert not said.ecg_mv[off].any()


@pytest.mark.parametrize(
    ("board", "what"),
    [
        (SilentEmulator(), "No bytes from the board for 5 s.*found no ADS1292R"),
        (GarbageEmulator(), r"no OpenView frame for 5 s.*the bytes.*baud=57600"),
    ],
    ids=["silent", "garbage"],
)
def test_what_is_no_openview_board_is_named(talk: Callable, board: object, what: str) -> None:
    with pytest.raises(BridgeError, match=what):
        talk(OpenViewSession(), board, until_s=20.0)


def test_stop_delivers_what_is_held(talk: Callable, ecg: object, between: Callable) -> None:
    session = OpenViewSession()
    said = talk(session, OpenViewEmulator(ecg), until_s=11.3, damage=between(10.0, 11.0))
    assert said.lost == 0
    session.stop(said.now_s)
    said.samples += session.events()
    assert session.finished
    said.check_order()
    assert said.lost == said.dropped
