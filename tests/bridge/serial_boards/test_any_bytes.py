"""Any bytes in any pieces: finite samples in order or documented errors, and bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.bitalino import BitalinoSession, BitalinoSettings
from edge_ecg_bridge.cyton import CytonSession, CytonSettings
from edge_ecg_bridge.emulators import BitalinoEmulator, CytonEmulator, GanglionEmulator, OpenViewEmulator
from edge_ecg_bridge.ganglion import GanglionSession, GanglionSettings
from edge_ecg_bridge.openview import OpenViewSession, OpenViewSettings
from edge_ecg_bridge.stream import BridgeError, Event, Ready, Samples, Session
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=7)
BOARDS: dict[str, tuple[Callable[[], Session], Callable[[], object]]] = {
    "cyton": (CytonSession, lambda: CytonEmulator(ECG)),
    "cyton stamps": (lambda: CytonSession(CytonSettings(stamps=True)), lambda: CytonEmulator(ECG)),
    "bitalino": (
        lambda: BitalinoSession(BitalinoSettings(100, (1, 2, 3, 4, 5))),
        lambda: BitalinoEmulator(ECG),
    ),
    "openview": (lambda: OpenViewSession(OpenViewSettings(fs_hz=125.0)), lambda: OpenViewEmulator(ECG)),
    "ganglion 2": (GanglionSession, lambda: GanglionEmulator(ECG, firmware=(2, 0, 0))),
    "ganglion 3": (lambda: GanglionSession(GanglionSettings()), lambda: GanglionEmulator(ECG)),
}
STEP_S = 0.05


def streaming(name: str) -> tuple[Session, list[tuple[float, bytes]]]:
    """A session whose board streams, and three more seconds of the board's bytes with their times."""
    session, board = BOARDS[name][0](), BOARDS[name][1]()
    session.start(0.0)
    now_s, ready = 0.0, False
    while not ready or now_s < 4.0:
        board.receive(session.bytes_to_send(), now_s)
        session.receive(board.bytes_to_send(now_s), now_s)
        session.on_time(now_s)
        ready = ready or any(isinstance(event, Ready) for event in session.events())
        now_s += STEP_S
        assert now_s < 10.0
    return session, [(now_s + STEP_S * i, board.bytes_to_send(now_s + STEP_S * i)) for i in range(60)]


def in_order(events: list[Event], next_sample: int | None) -> int | None:
    for event in events:
        assert isinstance(event, Ready | Samples)
        if isinstance(event, Samples):
            assert np.isfinite(event.ecg_mv).all()
            assert len(event.time_s) == len(event.ecg_mv)
            assert next_sample is None or event.first_sample == next_sample + event.gap_before
            next_sample = event.first_sample + len(event.ecg_mv)
    return next_sample


def held_bytes(session: Session) -> int:
    """Bytes that a session keeps, in buffers of any depth."""
    total = 0
    for holder in (session, *(getattr(session, name, None) for name in ("_framer", "_decoder"))):
        for value in getattr(holder, "__dict__", {}).values():
            total += len(value) if isinstance(value, bytes | bytearray) else 0
    return total


@pytest.mark.parametrize("name", BOARDS)
@given(
    pieces=st.lists(
        st.one_of(
            st.binary(max_size=120),
            st.sampled_from(
                [b"$$$", b"\xa0\x01", b"\x0a\xfa\x08\x00\x02", b"BITalino_v5.2\n", b"OpenBCI ADS1299 $$$"]
            ),
            st.builds(lambda b: b * 33, st.sampled_from([b"\xa0", b"\xc0", b"\x00", b"\xff", b"\x0a\xfa"])),
        ),
        max_size=30,
    )
)
@settings(max_examples=60)
def test_from_the_beginning(name: str, pieces: list[bytes]) -> None:
    session = BOARDS[name][0]()
    session.start(0.0)
    next_sample, now_s = 0, 0.0
    failure = None
    try:
        for piece in pieces:
            now_s += 0.4
            session.receive(piece, now_s)
            session.on_time(now_s)
            session.bytes_to_send()
            next_sample = in_order(session.events(), next_sample)
        session.stop(now_s)
        session.on_time(now_s + 2.0)
        in_order(session.events(), next_sample)
    except BridgeError as error:
        failure = error
    assert session.finished if failure is None else failure.what and failure.remedy
    assert held_bytes(session) < 10_000
    assert all(count >= 0 for count in session.counters.values())


HARM = st.tuples(
    st.integers(0, 2**31), st.sampled_from(["flip", "cut", "add"]), st.binary(min_size=1, max_size=60)
)


@pytest.mark.parametrize("name", BOARDS)
@given(
    harms=st.lists(HARM, min_size=1, max_size=8), sizes=st.lists(st.integers(20, 400), min_size=1, max_size=9)
)
@settings(max_examples=15, deadline=None)
def test_damage_in_mid_stream(name: str, harms: list[tuple[int, str, bytes]], sizes: list[int]) -> None:
    """Flipped, lost and added bytes: two seconds later the values are right again."""
    session, reads = streaming(name)
    sound, _ = streaming(name)
    stream = bytearray(b"".join(read for _, read in reads[:20]))
    for where, kind, what in harms:
        at = where % len(stream)
        if kind == "flip":
            stream[at] ^= what[0] or 1
        else:
            stream[at : at + (len(what) if kind == "cut" else 0)] = b"" if kind == "cut" else what
    ecg_mv: list[list[float]] = [[], []]
    next_sample, at, turn = None, 0, 0
    while at < len(stream):
        n = sizes[turn % len(sizes)]
        session.receive(bytes(stream[at : at + n]), reads[0][0])
        at, turn = at + n, turn + 1
    for i, (now_s, read) in enumerate(reads):
        if i >= 20:
            session.receive(read, now_s)
            session.on_time(now_s)
        sound.receive(read, now_s)
        sound.on_time(now_s)
        for which, one in enumerate((session, sound)):
            events = one.events()
            ecg_mv[which] += [mv for event in events if isinstance(event, Samples) for mv in event.ecg_mv]
            if which == 0:
                next_sample = in_order(events, next_sample)
    assert ecg_mv[0][-20:] == ecg_mv[1][-20:]
    assert held_bytes(session) < 10_000


@pytest.mark.parametrize("name", [name for name in BOARDS if not name.startswith("ganglion")])
@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=40))
@settings(max_examples=15, deadline=None)
def test_pieces_do_not_matter(name: str, sizes: list[int]) -> None:
    (whole, reads), (pieces, _), turn = streaming(name), streaming(name), 0
    for now_s, read in reads[:20]:
        whole.receive(read, now_s)
        at = 0
        while at < len(read):
            n = sizes[turn % len(sizes)]
            pieces.receive(read[at : at + n], now_s)
            at, turn = at + n, turn + 1
    expected, found = ([e for e in s.events() if isinstance(e, Samples)] for s in (whole, pieces))
    assert found[0].first_sample == expected[0].first_sample
    for field in ("ecg_mv", "time_s", "saturated"):
        one, other = (np.concatenate([getattr(e, field) for e in events]) for events in (expected, found))
        np.testing.assert_array_equal(one, other)
    assert len(np.concatenate([e.ecg_mv for e in found])) > 60
    assert pieces.counters == whole.counters


@pytest.mark.parametrize("name", BOARDS)
def test_a_stream_while_time_stands_still_takes_no_memory(name: str) -> None:
    """As after a pause of which nobody can say yet what it was."""
    session, reads = streaming(name)
    for _ in range(40):
        for _, read in reads:
            session.receive(read, reads[-1][0] + 2.0)
        session.events()
    assert len(session._placer._held) <= 2001


@pytest.mark.parametrize("name", BOARDS)
def test_endless_noise_takes_no_memory(name: str) -> None:
    rng = np.random.default_rng(0)
    session, reads = streaming(name)
    for _ in range(100):
        session.receive(rng.integers(0, 256, 5000, dtype=np.uint8).tobytes(), reads[0][0])
        session.events()
    assert held_bytes(session) < 10_000
