"""Each board is recognised by its own bytes, in any state, and by no other's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge_ecg_bridge import bitalino, cyton, openview
from edge_ecg_bridge.emulators import (
    BitalinoEmulator,
    CytonEmulator,
    Emulator,
    OpenViewEmulator,
    Shimmer3Emulator,
    TextEmulator,
)
from edge_ecg_bridge.shimmer3 import ShimmerSession
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=2)
RULES: dict[str, Callable[[bytes], bool]] = {
    "cyton": cyton.recognise,
    "bitalino": bitalino.recognise,
    "openview": openview.recognise,
}


def heard(board: Emulator, question: bytes = b"") -> bytes:
    board.receive(question, 0.0)
    return b"".join(board.bytes_to_send(0.05 * n) for n in range(10))


def shimmer_stream() -> bytes:
    session, board, data = ShimmerSession(), Shimmer3Emulator(ECG), b""
    session.start(0.0)
    for n in range(200):
        board.receive(session.bytes_to_send(), 0.05 * n)
        new = board.bytes_to_send(0.05 * n)
        session.receive(new, 0.05 * n)
        session.on_time(0.05 * n)
        data += new
    return data[-4096:]


SEEN: dict[str, tuple[str | None, bytes]] = {
    "cyton asked": ("cyton", b"garbage" + heard(CytonEmulator(ECG), cyton.QUESTION)),
    "cyton streaming": ("cyton", heard(CytonEmulator(ECG, already_streaming=True))[7:]),
    "dongle alone": ("cyton", heard(CytonEmulator(ECG, board_on=False), cyton.QUESTION)),
    "bitalino asked": ("bitalino", b"BITalino_v5.2\n"),
    "bitalino streaming": ("bitalino", heard(BitalinoEmulator(ECG, already_streaming=True))[7:]),
    "openview": ("openview", heard(OpenViewEmulator(ECG))[7:]),
    "openview, old": ("openview", heard(OpenViewEmulator(ECG, payload_bytes=20, banner=b"ready\r\n"))),
    "text": (None, heard(TextEmulator(ECG))),
    "shimmer": (None, shimmer_stream()),
    "noise": (None, np.random.default_rng(0).integers(0, 256, 40_000, dtype=np.uint8).tobytes()),
    "zeros": (None, bytes(4096)),
    "ones": (None, b"\xff" * 4096),
    "headers": (None, b"\xa0" * 4096),
    "nothing": (None, b""),
}


@pytest.mark.parametrize("name", SEEN)
def test_who_it_is(name: str) -> None:
    kind, data = SEEN[name]
    assert [rule for rule, recognise in RULES.items() if recognise(data)] == ([kind] if kind else [])


@pytest.mark.parametrize("channels", [(1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4, 5)])
def test_a_bitalino_with_any_channels(channels: tuple[int, ...]) -> None:
    board = BitalinoEmulator(ECG)
    data = heard(board, bitalino.wire.start_command(channels))[5:]
    assert [rule for rule, recognise in RULES.items() if recognise(data)] == ["bitalino"]
