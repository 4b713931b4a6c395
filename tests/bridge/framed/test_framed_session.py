"""Conversations with a virtual board: what it measures arrives, what is lost is counted, faults are named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge_ecg_bridge.emulators import FramedEmulator, GarbageEmulator, Reservoir, SilentEmulator
from edge_ecg_bridge.emulators.framed import Converter
from edge_ecg_bridge.framed import (
    STOP,
    DataFrame,
    Flag,
    FramedSession,
    FramedSettings,
    FrameFinder,
    FrameType,
)
from edge_ecg_bridge.stream import BridgeError
from edge_ecg_bridge.synthetic import SyntheticEcg

ECG = SyntheticEcg(seed=5)
COUNT_MV = Converter().pv_per_count * 1e-9
TURN = 2**32
WIDE = Converter(pv_per_count=50_000, zero=0, low=-(2**23), high=2**23 - 1, sample_bytes=3)


def truth(n: int, fs_hz: float = 256.0, converter: Converter | None = None, part: int = 1) -> np.ndarray:
    """What the converter makes of the signal, as millivolts."""
    c = converter or Converter()
    counts = np.clip(
        np.rint(Reservoir(ECG(fs_hz)).take(n) / part / (c.pv_per_count * 1e-9)) + c.zero, c.low, c.high
    )
    return (counts - c.zero) * (c.pv_per_count * 1e-9)


@pytest.mark.parametrize("fs_hz", [125.0, 256.0, 500.0])
@pytest.mark.parametrize("converter", [Converter(), WIDE], ids=["10-bit", "24-bit"])
@pytest.mark.parametrize(("channels", "wanted", "part"), [(1, "", 1), (3, "ECG3", 3), (8, "2", 2)])
def test_a_board_is_read_as_it_is(
    converse: Callable, fs_hz: float, converter: Converter, channels: int, wanted: str, part: int
) -> None:
    device = FramedEmulator(ECG, fs_hz=fs_hz, channels=channels, converter=converter, banner=b"ECG ready\r\n")
    session = FramedSession(FramedSettings(channel=wanted))
    said = converse(session, device, until_s=8.0)
    assert said.ready.fs_hz == fs_hz
    assert said.ready.details["channel"] == (wanted if wanted.startswith("ECG") else f"ECG{part}")
    assert said.ready.details["bits"] == 8 * converter.sample_bytes
    n = len(said.ecg_mv)
    assert n >= 7.9 * fs_hz
    assert said.numbers.tolist() == list(range(n))
    np.testing.assert_allclose(said.ecg_mv, truth(n, fs_hz, converter, part), rtol=0, atol=1e-9)
    assert all(block.time_s is None and block.lead_off is None for block in said.samples)
    assert session.counters["bytes_skipped"] == len(b"ECG ready\r\n")
    assert sum(session.counters.values()) == session.counters["bytes_skipped"]


def test_counter_and_clock_wrap(converse: Callable) -> None:
    device = FramedEmulator(ECG, counter=TURN - 700, clock_us=TURN - 4_000_000, even=False)
    said = converse(FramedSession(), device, until_s=8.0)
    n = len(said.ecg_mv)
    assert said.numbers.tolist() == list(range(n))
    np.testing.assert_allclose(said.ecg_mv, truth(n), rtol=0, atol=1e-9)
    time_s = np.concatenate([block.time_s for block in said.samples])
    np.testing.assert_allclose(time_s, np.arange(n) / 256, rtol=0, atol=2e-6)


@pytest.mark.parametrize("rate_error", [-0.03, 0.0, 0.007, 0.05])
def test_the_real_rate_shows_in_the_times(converse: Callable, rate_error: float) -> None:
    device = FramedEmulator(ECG, rate_error=rate_error, even=False, loss=0.1, seed=2)
    said = converse(FramedSession(), device, until_s=30.0)
    time_s = np.concatenate([block.time_s for block in said.samples])
    step_s = 1 / 256 / (1 + rate_error)
    assert (np.diff(time_s) > 0).all()
    # The very first frame's own times are nominal: nothing lies before it.
    np.testing.assert_allclose(
        time_s[8:] - time_s[8], (said.numbers[8:] - said.numbers[8]) * step_s, atol=3e-6
    )
    assert said.lost > 100


def test_every_lost_frame_is_counted_in_samples(converse: Callable) -> None:
    device = FramedEmulator(ECG, loss=0.05, seed=3)
    session = FramedSession()
    said = converse(session, device, until_s=60.0)
    assert device.packets_lost > 100
    assert said.lost == said.numbers[-1] + 1 - len(said.numbers)
    assert len(said.numbers) == 4 * device.packets_sent - 4 * session.counters["packets_rejected"]
    assert said.lost == pytest.approx(
        device.samples_lost, abs=8
    )  # none is counted before the first or after the last
    np.testing.assert_allclose(said.ecg_mv, truth(said.numbers[-1] + 1)[said.numbers], rtol=0, atol=1e-9)


def test_samples_that_the_board_itself_drops(converse: Callable) -> None:
    def signal(fs_hz: float):
        for chunk in ECG(fs_hz):
            chunk[50:53] = np.nan
            yield chunk

    device = FramedEmulator(signal)
    said = converse(FramedSession(), device, until_s=10.0)
    gaps = [block.gap_before for block in said.samples if block.gap_before]
    assert len(gaps) > 8
    assert set(gaps) == {3}
    np.testing.assert_allclose(said.ecg_mv, truth(said.numbers[-1] + 1)[said.numbers], rtol=0, atol=1e-9)


def test_a_host_that_joins_late_or_finds_it_stopped(converse: Callable) -> None:
    running, stopped = FramedEmulator(ECG), FramedEmulator(ECG, already_streaming=False)
    running.bytes_to_send(0.0)
    late = running.bytes_to_send(30.3)[-1337:]  # as much as buffers held
    session = FramedSession()
    session.start(30.3)
    session.receive(late, 30.3)
    running.receive(session.bytes_to_send(), 30.3)
    session.receive(running.bytes_to_send(30.5), 30.5)
    ready, *samples = session.events()
    assert ready.fs_hz == 256.0
    assert all(block.gap_before == 0 for block in samples)
    said = converse(FramedSession(), stopped, until_s=4.0)
    assert len(said.ecg_mv) >= 3.9 * 256


def test_no_info_no_samples(converse: Callable) -> None:
    """Data frames before their info frame cannot be read, and are counted."""
    device = FramedEmulator(ECG, obeys=False)
    device.bytes_to_send(0.0)
    session = FramedSession()
    session.start(0.5)
    session.receive(device.bytes_to_send(0.9), 0.9)
    assert session.events() == []
    assert session.counters["packets_without_info"] == 57
    session.receive(device.bytes_to_send(1.1), 1.1)
    assert session.events()[0].fs_hz == 256.0


def test_electrodes_and_limits(converse: Callable) -> None:
    device = FramedEmulator(ECG, electrode_off=lambda t_s: 3.0 <= t_s < 4.0)
    said = converse(FramedSession(), device, until_s=6.0)
    off = np.concatenate([block.lead_off for block in said.samples])
    limit = np.concatenate([block.saturated for block in said.samples])
    assert np.flatnonzero(off).tolist() == list(range(3 * 256, 4 * 256))
    np.testing.assert_array_equal(off, limit)
    assert said.numbers.tolist() == list(range(len(off)))


def test_an_offset_drives_it_to_its_limit(converse: Callable) -> None:
    said = converse(FramedSession(), FramedEmulator(ECG, electrode_offset_mv=0.8), until_s=4.0)
    limit = np.concatenate([block.saturated for block in said.samples])
    np.testing.assert_array_equal(limit, said.ecg_mv >= (655 - 338) * COUNT_MV - 1e-9)
    assert limit.any()
    assert not limit.all()


def test_the_device_says_that_it_is_saturated() -> None:
    device = FramedEmulator(ECG)
    body = b"\x00\x02" * 4
    data = device.info.frame()
    for k in range(3):
        flags = Flag.SATURATED if k == 1 else Flag(0)
        data += DataFrame(0, flags, 4 * k, k * 15625, body).frame()
    session = FramedSession()
    session.start(0.0)
    session.receive(data, 0.0)
    _, block = session.events()
    assert block.saturated.tolist() == [False] * 4 + [True] * 4 + [False] * 4


def test_acceleration_travels_with_the_samples(converse: Callable) -> None:
    device = FramedEmulator(ECG, acceleration=lambda t_s: (0.0, -1.0, t_s))
    said = converse(FramedSession(), device, until_s=5.0)
    assert said.ready.details["accelerometer"] is True
    g = np.concatenate([block.acceleration_g for block in said.samples])
    assert g.shape == (len(said.ecg_mv), 3)
    first = said.numbers // 4 * 4 / 256  # measured with the first sample of each frame
    np.testing.assert_allclose(g, np.stack([0 * first, 0 * first - 1, first], axis=1), atol=0.0006)


# -- restarts ------------------------------------------------------------------------------------------------


def test_a_restart_is_a_gap_by_the_hosts_clock(converse: Callable) -> None:
    session = FramedSession()
    said = converse(session, FramedEmulator(ECG, run=8), until_s=3.0)
    before = len(said.ecg_mv)
    said.now_s = 4.7  # 1.6 s of boot loader
    second = FramedEmulator(ECG, run=9, banner=b"ECG ready\r\n")
    converse(session, second, until_s=8.0, result=said)
    assert session.counters["restarts"] == 1
    gap = int(said.numbers[before]) - before
    assert said.lost == gap == pytest.approx(1.75 * 256, abs=20)
    np.testing.assert_allclose(said.ecg_mv[:before], truth(before), rtol=0, atol=1e-9)
    after = said.ecg_mv[before:]
    np.testing.assert_allclose(after, truth(len(after)), rtol=0, atol=1e-9)


def test_a_restart_is_never_spliced_onto_the_old_count() -> None:
    """The new run goes on at the very number where the old one ended."""
    first, second = FramedEmulator(ECG, run=255, even=False), FramedEmulator(ECG, run=0, even=False)
    session = FramedSession()
    session.start(0.0)
    first.bytes_to_send(0.0)
    second.bytes_to_send(0.0)
    early = first.bytes_to_send(2.0)
    second.bytes_to_send(2.0)
    session.receive(early, 2.0)
    session.receive(second.info.frame() + second.bytes_to_send(3.0), 3.0)
    _, *blocks = session.events()
    assert [block.gap_before > 0 for block in blocks] == [False, True]
    times = np.concatenate([block.time_s for block in blocks])
    assert (np.diff(times) > 0).all()
    assert session.counters["restarts"] == 1


def test_the_gap_of_a_restart_is_never_none() -> None:
    session = FramedSession()
    session.start(0.0)
    for run in (0, 1):
        device = FramedEmulator(ECG, run=run)
        device.bytes_to_send(0.0)
        session.receive(device.info.frame() + device.bytes_to_send(0.5), 0.5)
    blocks = session.events()[1:]
    assert [block.gap_before for block in blocks] == [0, 1]


def test_a_restart_with_another_rate_ends_the_session() -> None:
    session = FramedSession()
    session.start(0.0)
    data = []
    for run, fs_hz in ((0, 256.0), (1, 500.0)):
        device = FramedEmulator(ECG, run=run, fs_hz=fs_hz)
        device.bytes_to_send(0.0)
        data.append(device.info.frame() + device.bytes_to_send(0.5))
    with pytest.raises(BridgeError, match="restarted with another rate: 500 Hz instead of 256"):
        session.receive(data[0] + data[1], 0.5)
    assert len(session.events()) == 2  # what came before is kept


def test_another_description_of_the_same_run_is_refused(converse: Callable) -> None:
    session, device = FramedSession(), FramedEmulator(ECG)
    said = converse(session, device, until_s=2.0)
    session.receive(FramedEmulator(ECG, converter=WIDE).info.frame(), 2.0)
    converse(session, device, until_s=4.0, result=said)
    np.testing.assert_allclose(said.ecg_mv, truth(len(said.ecg_mv)), rtol=0, atol=1e-9)
    assert session.counters["packets_rejected"] == 1


def test_a_count_that_begins_again_in_the_same_run_is_named(converse: Callable) -> None:
    session = FramedSession()
    said = converse(session, FramedEmulator(ECG), until_s=20.0)
    n = len(said.ecg_mv)
    with pytest.raises(BridgeError, match=r"numbers its samples from before again.*run number"):
        converse(session, FramedEmulator(ECG), until_s=30.0, result=said)
    assert said.now_s < 23.0
    assert len(said.ecg_mv) == n


# -- beginning and end ---------------------------------------------------------------------------------------


def test_stopping(converse: Callable) -> None:
    session, device = FramedSession(), FramedEmulator(ECG)
    said = converse(session, device, until_s=2.0)
    session.stop(2.0)
    assert not session.finished
    under_way = device.bytes_to_send(2.02)
    device.receive(session.bytes_to_send(), 2.02)
    session.receive(under_way + device.bytes_to_send(2.03), 2.03)
    assert session.finished
    assert len(session.events()) == 1
    assert not device.streaming
    assert all(unit.samples == 0 for unit in device.units(9.0))  # it only says what it is
    assert said.lost == 0


def test_stopping_a_board_that_does_not_listen(converse: Callable) -> None:
    session = FramedSession()
    converse(session, FramedEmulator(ECG, obeys=False), until_s=2.0)
    session.stop(2.0)
    assert session.bytes_to_send() == STOP
    assert session.finished


def test_stopping_before_anything_came() -> None:
    session = FramedSession()
    session.start(0.0)
    session.stop(0.5)
    session.on_time(1.4)
    assert not session.finished
    session.on_time(1.5)
    assert session.finished


def test_it_is_asked_again_every_second() -> None:
    session = FramedSession()
    session.start(0.0)
    first = session.bytes_to_send()
    session.on_time(0.9)
    assert session.bytes_to_send() == b""
    session.on_time(1.0)
    assert session.bytes_to_send() == first


class Replaying:
    """Passes on only some types of frames."""

    def __init__(self, device: FramedEmulator, kind: FrameType) -> None:
        self._device, self._kind, self._finder = device, kind, FrameFinder()
        self.ended = False

    def receive(self, data: bytes, now_s: float) -> None:
        """Let it stream on."""

    def bytes_to_send(self, now_s: float) -> bytes:
        units = self._device.units(now_s)
        return b"".join(unit.data for unit in units if unit.data[2] == self._kind)


@pytest.mark.parametrize(
    ("device", "channel", "what"),
    [
        (SilentEmulator(), "", "No bytes from the board for 5 s"),
        (GarbageEmulator(), "", "does not say what it is for 5 s.*the bytes .*baud=230400"),
        (Replaying(FramedEmulator(ECG), FrameType.DATA), "", "does not say what it is for 5 s"),
        (Replaying(FramedEmulator(ECG), FrameType.INFO), "", "'virtual' sent no whole data frame for 5 s"),
        (
            FramedEmulator(ECG, already_streaming=False, obeys=False),
            "",
            "'virtual' says that it does not stream",
        ),
        (FramedEmulator(ECG, fs_hz=50.0), "", "samples at 50 Hz; the ECG needs 100 to 4000"),
        (FramedEmulator(ECG, channels=2), "V5", "no channel 'V5'.*1 ECG1, 2 ECG2"),
        (FramedEmulator(ECG, channels=2), "3", "no channel '3'"),
    ],
)
def test_what_is_wrong_is_named(converse: Callable, device: object, channel: str, what: str) -> None:
    with pytest.raises(BridgeError, match=what) as caught:
        converse(FramedSession(FramedSettings(channel)), device, until_s=20.0)
    assert caught.value.remedy


def test_a_board_that_falls_silent(converse: Callable) -> None:
    session = FramedSession()
    said = converse(session, FramedEmulator(ECG), until_s=3.0)
    with pytest.raises(BridgeError, match="No bytes from the board for 5 s"):
        converse(session, SilentEmulator(), until_s=20.0, result=said)
    assert said.now_s == pytest.approx(8.0, abs=0.1)
