"""The virtual board, from its own side."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge_ecg_bridge.emulators import Emulator, FramedEmulator
from edge_ecg_bridge.framed import ASK_INFO, START, STOP, DataFrame, FrameType, Info
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=5)


def short(fs_hz: float) -> Iterator[np.ndarray]:
    """One second and a half of a ramp."""
    yield np.arange(1.5 * fs_hz) * 1e-3


def kinds(device: FramedEmulator, now_s: float) -> list[int]:
    return [unit.data[2] for unit in device.units(now_s)]


def test_units_are_what_is_sent() -> None:
    one, other = FramedEmulator(ECG, banner=b"boot\r\n"), FramedEmulator(ECG, banner=b"boot\r\n")
    for now_s in (0.0, 0.1, 0.13, 2.0):
        units = one.units(now_s)
        assert b"".join(unit.data for unit in units) == other.bytes_to_send(now_s)
        assert sum(unit.samples for unit in units) == 4 * sum(
            unit.data[2] == FrameType.DATA for unit in units
        )
    assert one.units(2.0) == []


def test_the_first_second() -> None:
    device = FramedEmulator(ECG, fs_hz=200.0, counter=2**32 - 1, clock_us=2**32 - 1)
    device.units(0.0)
    units = device.units(0.999)
    frames = [DataFrame.parse(unit.data[4:-2]) for unit in units]
    assert [frame.first for frame in frames] == [2**32 - 1, *range(3, 199, 4)]
    assert [frame.time_us for frame in frames] == [14_999, *range(34_999, 1_000_000, 20_000)]
    assert kinds(device, 1.0) == [FrameType.INFO]


def test_an_info_frame_every_second_and_when_asked() -> None:
    device = FramedEmulator(ECG, already_streaming=False)
    assert kinds(device, 0.0) == [FrameType.INFO]
    assert kinds(device, 0.9) == []
    assert kinds(device, 3.0) == [FrameType.INFO] * 3
    device.receive(ASK_INFO[:3], 3.1)
    device.receive(ASK_INFO[3:], 3.2)
    assert kinds(device, 3.2) == [FrameType.INFO]


def test_it_starts_and_stops_and_counts_meanwhile() -> None:
    device = FramedEmulator(ECG)
    device.units(1.0)
    device.receive(b"\xec" + STOP, 1.0)
    stopped = device.units(1.5)
    assert [Info.parse(unit.data[4:-2]).state & 1 for unit in stopped] == [0]
    device.receive(START, 1.5)
    info, first, *_ = device.units(1.6)
    assert info.data[2] == FrameType.INFO
    assert DataFrame.parse(first.data[4:-2]).first == 129  # the first after 0.5 s of 256 Hz


def test_a_board_that_does_not_listen() -> None:
    device = FramedEmulator(ECG, obeys=False)
    device.units(0.0)
    device.receive(STOP, 0.5)
    assert device.streaming
    assert not Info.parse(device.info.frame()[4:-2]).state & 2


def test_the_recording_ends_or_begins_again() -> None:
    once, again = FramedEmulator(short, fs_hz=100.0), FramedEmulator(short, fs_hz=100.0, loop=True)
    for device in (once, again):
        device.units(0.0)
    assert sum(unit.samples for unit in once.units(5.0)) == 150
    assert once.ended
    assert once.next_due_s is None
    assert sum(unit.samples for unit in again.units(2.9)) == 288  # of 291: three wait for their frame
    assert not again.ended


def test_it_is_unplugged() -> None:
    device = FramedEmulator(ECG, unplug_after_s=2.0)
    assert device.units(10.0)
    assert device.units(11.9)
    assert device.units(12.0) == []
    assert device.ended


@pytest.mark.parametrize(("rate_error", "even", "last_us"), [(0.25, True, 1_245_000), (0.25, False, 996_000)])
def test_a_rate_that_is_off(rate_error: float, even: bool, last_us: int) -> None:
    """A board whose clock is wrong by as much as its rate does not notice."""
    device = FramedEmulator(ECG, fs_hz=200.0, rate_error=rate_error, even=even)
    device.units(0.0)
    frames = [unit.data for unit in device.units(0.999) if unit.samples]
    assert 4 * len(frames) in (248, 252)
    assert DataFrame.parse(frames[61][4:-2]).time_us == pytest.approx(last_us, abs=10_000)


def test_when_it_is_due() -> None:
    device = FramedEmulator(ECG)
    assert device.next_due_s == -np.inf
    device.units(7.0)
    assert device.next_due_s == pytest.approx(7.0 + 1 / 256)
    device = FramedEmulator(ECG, already_streaming=False)
    device.units(7.0)
    assert device.next_due_s == 8.0


def test_impossible_frames() -> None:
    with pytest.raises(ValueError, match="1 to 14 samples of 8 channels"):
        FramedEmulator(ECG, channels=8, samples_per_frame=15)


def test_it_is_an_emulator() -> None:
    device: Emulator = FramedEmulator(ECG)
    device.link_lost()
    assert not device.ended
