"""The reference sketch on an emulated ATmega328P: what it measures is what arrives."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_ecg_bridge.emulators import Reservoir
from edge_ecg_bridge.framed import ASK_INFO, START, STOP, DataFrame, FrameFinder, FrameType, Info, State
from edge_ecg_bridge.stream import Samples
from edge_ecg_bridge.synthetic import SyntheticEcg

FS_HZ = 256
CYCLES = 62500  # of 16 MHz: 256 Hz exactly
# How late an interrupt may be: others run for a few microseconds.
JITTER_CYCLES = 200
CONVERSION_CYCLES = 13 * 128
PV_PER_COUNT = 4_438_920  # 5 V / 1024 / 1100
ZERO, LOW, HIGH = 338, 20, 655  # 1.65 V, 0.1 V and 3.2 V of 5 V in 1024 steps


def adc_counts(ecg_mv: np.ndarray) -> np.ndarray:
    """What an AD8232 board makes of an ECG: 1100 times around half of its 3.3 V, then 10 bits over 5 V."""
    return np.rint(np.clip(ecg_mv * 1.1 + 1.65, 0, 3.3) / 5 * 1024).astype(int)


def to_mv(counts: np.ndarray) -> np.ndarray:
    return (counts - ZERO) * (PV_PER_COUNT * 1e-9)


def synthetic(seconds: float) -> np.ndarray:
    return adc_counts(Reservoir(SyntheticEcg(seed=3)(FS_HZ)).take(round(seconds * FS_HZ)))


def recorded(seconds: float) -> np.ndarray:
    """Return the beginning of MIT-BIH record 100: 360 Hz, 200 counts a millivolt."""
    root = os.environ.get("EDGE_ECG_DATA")
    if not root:
        pytest.skip("EDGE_ECG_DATA is not set: this test needs the folder of open recordings (docs/data.md)")
    with np.load(Path(root) / "mitdb-subset" / "ecg_360hz_int16.npz") as arrays:
        lead_mv = arrays["r100"][: round(seconds * 360) + 1] / 200.0
    at_s = np.arange(round(seconds * FS_HZ)) / FS_HZ
    return adc_counts(np.interp(at_s, np.arange(len(lead_mv)) / 360, lead_mv))


@pytest.mark.parametrize("signal", [recorded, pytest.param(synthetic, marks=pytest.mark.slow)])
def test_every_sample_arrives_as_the_converter_gave_it(run_uno: Callable, signal: Callable) -> None:
    counts = signal(21.0)
    uno = run_uno(counts, 20.0)
    n = len(uno.counts)
    assert n == pytest.approx(20 * FS_HZ, abs=5)
    np.testing.assert_array_equal(uno.counts, counts[:n])  # the harness served what it was told to
    heard = uno.listen()
    assert heard.ready.fs_hz == 256.0
    assert heard.ready.details["name"] == "AD8232 AVR"
    arrived = len(heard.numbers)
    assert n - arrived <= 6  # a frame under way
    assert heard.numbers.tolist() == list(range(arrived))
    np.testing.assert_allclose(heard.ecg_mv, to_mv(uno.counts[:arrived]), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(np.rint(heard.ecg_mv / (PV_PER_COUNT * 1e-9)) + ZERO, counts[:arrived])
    np.testing.assert_array_equal(heard.saturated, (counts[:arrived] <= LOW) | (counts[:arrived] >= HIGH))
    assert not heard.lead_off.any()
    assert heard.lost == 0
    assert set(heard.session.counters.values()) == {0}


def frames(data: bytes) -> list[DataFrame]:
    return [DataFrame.parse(load) for kind, load in FrameFinder().feed(data) if kind == FrameType.DATA]


def test_the_rate_is_the_documented_one(run_uno: Callable) -> None:
    uno = run_uno(synthetic(11.0), 10.0)
    even = uno.cycles[0] + CYCLES * np.arange(len(uno.cycles))
    assert np.abs(uno.cycles - even).max() <= JITTER_CYCLES
    assert np.diff(uno.cycles).mean() == pytest.approx(CYCLES, abs=2 * JITTER_CYCLES / len(uno.cycles))
    # The device's time is that of the conversion: micros() counts in 4 us.
    found = frames(uno.data)
    last = np.array([frame.first + 3 for frame in found])
    lag_us = np.array([frame.time_us for frame in found]) - uno.cycles[last] / 16
    assert np.ptp(lag_us) <= 16


def test_a_frame_is_under_way_soon_after_its_last_sample(run_uno: Callable) -> None:
    uno = run_uno(synthetic(6.0), 5.0)
    found, at = frames(uno.data), uno.data.find(b"\xec\x47\x11")
    late_s = (uno.sent_cycles[at] - uno.cycles[found[0].first + 3]) / 16e6
    assert 0 < late_s < 0.002
    share = len(uno.data) * 10 / 115200 / 5.0
    assert share < 0.15  # of what the serial port carries


def test_loose_electrodes_are_reported_sample_by_sample(run_uno: Callable) -> None:
    changes = [(2.0, 10, 1), (3.0, 11, 1), (3.5, 10, 0), (4.25, 11, 0), (5.0, 10, 1), (5.01, 10, 0)]
    events = [(at_s, f"pin {pin} {level}") for at_s, pin, level in changes]
    uno = run_uno(synthetic(7.0), 6.0, events)
    heard = uno.listen()
    read = uno.cycles[: len(heard.numbers)] + CONVERSION_CYCLES  # when the pins are looked at
    levels = {10: np.zeros(len(read), dtype=bool), 11: np.zeros(len(read), dtype=bool)}
    for at_s, pin, level in changes:
        assert np.abs(read - at_s * 16e6).min() > JITTER_CYCLES, "the test cannot tell which came first"
        levels[pin][read > at_s * 16e6] = level
    np.testing.assert_array_equal(heard.lead_off, levels[10] | levels[11])
    assert 3 * FS_HZ > heard.lead_off.sum() > 2 * FS_HZ
    assert heard.numbers.tolist() == list(range(len(read)))
    flags = {int(frame.first): frame.flags for frame in frames(uno.data)}
    assert {flags[first] for first in flags if levels[10][first] and levels[11][first]} == {0x03}


def test_a_line_too_slow_drops_frames_and_says_so(run_uno: Callable) -> None:
    """At 9600 baud some 60 % of it fit; sampling goes on as evenly as ever."""
    uno = run_uno(synthetic(21.0), 20.0, defines="-DBAUD=9600")
    even = uno.cycles[0] + CYCLES * np.arange(len(uno.cycles))
    assert np.abs(uno.cycles - even).max() <= JITTER_CYCLES
    heard = uno.listen()
    np.testing.assert_allclose(heard.ecg_mv, to_mv(uno.counts[heard.numbers]), rtol=0, atol=1e-12)
    assert heard.lost == heard.numbers[-1] + 1 - len(heard.numbers)
    sent = {n for frame in frames(uno.data) for n in range(frame.first, frame.first + 4)}
    assert set(heard.numbers.tolist()) == sent
    assert 0.2 < heard.lost / heard.numbers[-1] < 0.6


def test_it_stops_starts_and_says_what_it_is(run_uno: Callable) -> None:
    events = [(2.0, f"send {STOP.hex()}"), (3.5, f"send {ASK_INFO.hex()}"), (6.0, f"send {START.hex()}")]
    uno = run_uno(synthetic(9.0), 8.0, events)
    sent_s = uno.sent_cycles / 16e6
    at, quiet = 0, []
    for kind, payload in FrameFinder().feed(uno.data):
        at = uno.data.find(bytes((0xEC, 0x47, kind, len(payload))) + payload, at) + 1
        if 2.05 < sent_s[at] < 6.0:
            quiet.append((kind, Info.parse(payload)))
    assert {kind for kind, _ in quiet} == {FrameType.INFO}
    assert all(not info.state & State.STREAMING for _, info in quiet)
    assert len(quiet) == 4  # one a second, counted from the last, and one when asked
    heard = uno.listen()
    assert heard.lost == pytest.approx(4 * FS_HZ, abs=8)
    np.testing.assert_allclose(heard.ecg_mv, to_mv(uno.counts[heard.numbers]), rtol=0, atol=1e-12)


def test_a_session_stops_it(run_uno: Callable) -> None:
    uno = run_uno(synthetic(4.0), 3.0, [(2.0, f"send {STOP.hex()}")])
    heard_s = uno.sent_cycles / 16e6
    cut = int(np.searchsorted(heard_s, 2.0))
    heard = uno.listen()
    session = heard.session
    session.stop(3.0)
    assert session.bytes_to_send().endswith(STOP)
    assert not session.finished
    session.receive(uno.data[cut:], 3.0)
    assert session.finished


def test_the_reset_button_is_a_gap_and_no_step_back(run_uno: Callable) -> None:
    uno = run_uno(synthetic(12.0), 10.0, [(4.0, "reset")])
    heard = uno.listen()
    assert heard.session.counters["restarts"] == 1
    assert heard.session.counters["duplicates"] == 0
    first_life = int(np.searchsorted(uno.cycles, 4 * 16e6))
    gaps = [block for block in heard.samples if block.gap_before]
    assert len(gaps) == 1
    # Two frames bear each other out, and all that the host's clock knows is when their bytes came.
    assert 1 <= gaps[0].gap_before <= 0.15 * FS_HZ
    before = heard.numbers < gaps[0].first_sample
    np.testing.assert_allclose(heard.ecg_mv[before], to_mv(uno.counts[: before.sum()]), rtol=0, atol=1e-12)
    after = heard.ecg_mv[~before]
    np.testing.assert_allclose(
        after, to_mv(uno.counts[first_life : first_life + len(after)]), rtol=0, atol=1e-12
    )
    assert (np.diff(heard.numbers) > 0).all()
    assert all(isinstance(block, Samples) for block in heard.samples)


def test_it_fits_an_uno_with_room_to_spare(avr_size: dict[str, int]) -> None:
    assert avr_size[".text"] + avr_size[".data"] < 8 * 1024  # of 32 kB
    assert avr_size[".data"] + avr_size[".bss"] < 1024  # of 2 kB; the stack needs the rest
