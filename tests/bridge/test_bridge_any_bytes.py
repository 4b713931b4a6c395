"""What devices really say, mutated: documented errors, samples that keep their numbers, bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.emulators import Emulator, Shimmer3Emulator, TextEmulator
from edge_ecg_bridge.shimmer3 import Settings, ShimmerSession
from edge_ecg_bridge.stream import BridgeError, Ready, Session
from edge_ecg_bridge.synthetic import SyntheticEcg
from edge_ecg_bridge.text import TextSession, TextSettings

ECG = SyntheticEcg(seed=2)
Kind = tuple[Callable[[], Session], Callable[[], Emulator]]
KINDS: dict[str, Kind] = {
    "shimmer3": (ShimmerSession, lambda: Shimmer3Emulator(ECG)),
    "shimmer3, no CRC": (ShimmerSession, lambda: Shimmer3Emulator(ECG, firmware=(0, 11, 0))),
    "shimmer3r, accelerometer": (
        lambda: ShimmerSession(Settings(acceleration="on", crc_bytes=1)),
        lambda: Shimmer3Emulator(ECG, hardware=10),
    ),
    "text, time": (lambda: TextSession(TextSettings(fs_hz=250.0)), lambda: TextEmulator(ECG)),
    "text, counts": (
        lambda: TextSession(TextSettings(fs_hz=250.0)),
        lambda: TextEmulator(ECG, line="adc"),
    ),
}


@cache
def conversation(name: str) -> list[tuple[float, bytes]]:
    """What the device says in three seconds, and when."""
    make, device = KINDS[name][0](), KINDS[name][1]()
    said, now_s = [], 0.0
    make.start(0.0)
    while now_s < 3.0:
        make.on_time(now_s)
        device.receive(make.bytes_to_send(), now_s)
        data = device.bytes_to_send(now_s)
        if data:
            said.append((now_s, data))
            make.receive(data, now_s)
        now_s += 0.05
    return said


def documented(error: BridgeError) -> None:
    assert error.what
    assert error.remedy


CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.sampled_from(["flip", "drop", "double", "insert", "move"]),
        st.integers(1, 60),
        st.binary(min_size=1, max_size=30),
    ),
    max_size=8,
)


@pytest.mark.parametrize("name", KINDS)
@given(changes=CHANGES, piece=st.sampled_from([1, 7, 20, 4096]))
@settings(max_examples=40, deadline=None)
def test_mutated_conversations(name: str, changes: list[tuple[float, str, int, bytes]], piece: int) -> None:
    said = [[at_s, bytearray(data)] for at_s, data in conversation(name)]
    for where, how, size, foreign in changes:
        data = said[round(where * (len(said) - 1))][1]
        at = round(where * 997) % (len(data) + 1)
        if how == "flip" and data:
            data[at % len(data)] ^= 1 << size % 8
        elif how == "drop":
            del data[at : at + size]
        elif how == "double":
            data[at:at] = data[at : at + size]
        elif how == "insert":
            data[at:at] = foreign
        elif how == "move":
            data[:] = data[at:] + data[:at]
    session, expected = KINDS[name][0](), 0
    session.start(0.0)
    try:
        for at_s, data in said:
            session.on_time(at_s)
            for begin in range(0, len(data), piece):
                session.receive(bytes(data[begin : begin + piece]), at_s)
            session.bytes_to_send()
            for event in session.events():
                if isinstance(event, Ready):
                    assert 0 < event.fs_hz < 1e5
                    continue
                assert np.isfinite(event.ecg_mv).all()
                assert event.gap_before >= 0
                assert event.first_sample == expected + event.gap_before
                expected = event.first_sample + len(event.ecg_mv)
                for flags in (event.lead_off, event.saturated, event.acceleration_g):
                    assert flags is None or len(flags) == len(event.ecg_mv)
    except BridgeError as error:
        documented(error)
    assert all(count >= 0 for count in session.counters.values())
    held = [len(value) for value in vars(session).values() if isinstance(value, bytearray | bytes | list)]
    assert max(held) < 10_000
