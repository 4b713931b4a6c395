"""A Shimmer's announced rate: asked for again when it is not the one that was set, and believed only then."""

from __future__ import annotations

import pytest

from edge_ecg_bridge.emulators import Shimmer3Emulator
from edge_ecg_bridge.shimmer3 import Settings, ShimmerSession
from edge_ecg_bridge.stream import BridgeError, Ready
from edge_ecg_bridge.synthetic import SyntheticEcg

INQUIRY_RESPONSE = 0x02


def talk(ticks_announced: list[int]) -> Ready:
    """Set a Shimmer without CRC up; its next answers to an inquiry tell these ticks, then the true ones."""
    session = ShimmerSession(Settings(crc_bytes=0))
    device = Shimmer3Emulator(SyntheticEcg(seed=2), firmware=(0, 11, 0))
    lies = list(ticks_announced)
    now_s = 0.0
    session.start(now_s)
    while now_s < 10.0:
        session.on_time(now_s)
        out = session.bytes_to_send()
        device.receive(out, now_s)
        said = bytearray(device.bytes_to_send(now_s))
        if out == b"\x01" and lies:
            at = said.index(INQUIRY_RESPONSE)
            said[at + 1 : at + 3] = lies.pop(0).to_bytes(2, "little")
        session.receive(bytes(said), now_s)
        for event in session.events():
            if isinstance(event, Ready):
                assert not lies
                return event
        now_s += 0.02
    raise AssertionError("it was never ready")


@pytest.mark.parametrize("lies", [[], [65408], [0], [127]])
def test_one_damaged_answer_is_asked_for_again(lies: list[int]) -> None:
    assert talk(lies).fs_hz == 256.0


@pytest.mark.parametrize(("ticks", "why"), [(0, "no rate"), (65408, "0.500978 Hz"), (256, "128 Hz")])
def test_a_rate_that_was_not_taken_is_an_error(ticks: int, why: str) -> None:
    """The fuzzer's find: an answer of 65408 ticks went for a device of half a hertz."""
    with pytest.raises(BridgeError, match="did not take its sampling rate of 256 Hz") as caught:
        talk([ticks, ticks])
    assert why in caught.value.why
    assert caught.value.remedy
