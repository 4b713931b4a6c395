"""Real rates: counted by the host, stamped by the device, and told when they are not what was said."""

from __future__ import annotations

import numpy as np
import pytest

from edge_ecg.samples import SampleBlock
from edge_ecg.signal.clock import HostClock
from edge_ecg.signal.rate import RateWatch


def watch(
    seconds: float, *, nominal_hz: float = 250.0, real_hz: float, timed: bool = False, burst: bool = False
) -> tuple[RateWatch, list[float]]:
    """Blocks of 25 samples, each somewhat late; ``burst``: the first second was waiting in buffers."""
    rng = np.random.default_rng(0)
    clock = HostClock()
    rates, told = RateWatch(nominal_hz, clock), []
    for first in range(0, int(seconds * real_hz), 25):
        numbers = np.arange(first, first + 25)
        arrived_s = 70.0 + (first + 25) / real_hz + float(rng.exponential(0.01))
        if burst:
            arrived_s = max(arrived_s - 1.0, 70.0)
        time_s = numbers / real_hz if timed else None
        block = SampleBlock(np.zeros(25), nominal_hz, first, time_s=time_s, arrived_s=arrived_s)
        clock.observe(block.end_s, arrived_s)
        found = rates.observe(block)
        told += [] if found is None else [found]
    return rates, told


@pytest.mark.parametrize("real_hz", [246.0, 250.0, 251.9, 253.5])
@pytest.mark.parametrize("burst", [False, True])
def test_a_board_without_stamps_is_counted_and_a_wrong_rate_told_once(real_hz: float, burst: bool) -> None:
    rates, told = watch(200.0, real_hz=real_hz, burst=burst)
    assert rates.measured_hz == pytest.approx(real_hz, rel=2e-4)
    assert told == ([pytest.approx(real_hz, rel=1e-3)] if abs(real_hz - 250.0) > 2.5 else [])


def test_a_minute_must_be_counted() -> None:
    rates, told = watch(55.0, real_hz=246.0)
    assert rates.measured_hz is None
    assert told == []


def test_stamps_are_never_doubted() -> None:
    rates, told = watch(200.0, nominal_hz=130.0, real_hz=132.6, timed=True)
    assert told == []
    assert rates.measured_hz == pytest.approx(132.6, rel=2e-4)


def test_a_recording_that_is_played_faster_says_nothing() -> None:
    clock = HostClock()
    rates = RateWatch(250.0, clock)
    for first in range(0, 250 * 200, 25):
        block = SampleBlock(np.zeros(25), 250.0, first, arrived_s=first / 2500.0)
        clock.observe(block.end_s, first / 2500.0)
        assert rates.observe(block) is None
    assert rates.measured_hz is None
