"""Two clocks, one line: the lower envelope against known clocks, and against a brute-force fit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.signal.clock import MIN_SPAN_S, SETTLE_S, HostClock, lower_line


def stream(
    clock: HostClock,
    seconds: float,
    *,
    rate_error: float = 0.0,
    start_s: float = 0.0,
    offset_s: float = 5000.0,
    seed: int = 0,
    jitter_s: float = 0.03,
    step_s: float = 0.1,
) -> float:
    """Blocks of a device that runs ``rate_error`` fast; delays are exponential, at times 0.25 s more."""
    rng = np.random.default_rng(seed)
    device_s = start_s
    while device_s < start_s + seconds:
        device_s += step_s
        delay_s = rng.exponential(jitter_s) + 0.25 * (rng.random() < 0.02)
        clock.observe(device_s, offset_s + device_s / (1.0 + rate_error) + delay_s)
    return device_s


@pytest.mark.parametrize("rate_error", [0.0, 50e-6, -100e-6, 0.007, -0.02, 0.05])
def test_the_line_lies_under_the_jitter(rate_error: float) -> None:
    clock = HostClock()
    end_s = stream(clock, 300.0, rate_error=rate_error)
    assert clock.slope == pytest.approx(1.0 / (1.0 + rate_error), abs=100e-6)
    for back_s in (0.0, 10.0, 100.0):
        at_s = end_s - back_s
        told = clock.host_s(at_s)
        assert told is not None
        assert told - (5000.0 + at_s / (1.0 + rate_error)) == pytest.approx(0.0, abs=0.008)
    assert clock.rate_hz(130.0) == pytest.approx(130.0 * (1.0 + rate_error), rel=100e-6)


def test_a_polar_that_is_really_at_130_9_hz_is_found_out() -> None:
    """A device that counts its samples at 130 Hz and takes 130.9 a second; frames of 73 samples."""
    clock = HostClock()
    stream(clock, 200.0, rate_error=0.9 / 130.0, step_s=73 / 130.0)
    assert clock.rate_hz(130.0) == pytest.approx(130.9, abs=0.02)


def test_before_it_knows_enough_the_slope_is_one() -> None:
    clock = HostClock()
    assert clock.host_s(0.0) is None
    assert clock.slope is None
    clock.observe(1.0, 101.3)
    clock.observe(1.1, 101.2)
    assert clock.host_s(0.0) == pytest.approx(100.1)
    end_s = stream(clock, MIN_SPAN_S + SETTLE_S - 1.0, start_s=1.1, offset_s=100.1, rate_error=0.01)
    assert clock.slope is None
    stream(clock, 5.0, start_s=end_s, offset_s=100.1, rate_error=0.01)
    assert clock.slope == pytest.approx(1 / 1.01, rel=2e-3)
    assert clock.rate_hz(250.0) is None  # a rate wants a minute


def test_what_waited_in_buffers_at_the_start_does_not_count() -> None:
    """Two seconds of samples that come at once would say that the device runs fast."""
    clock = HostClock()
    for device_s in np.arange(0.1, 1.9, 0.1):
        clock.observe(float(device_s), 10.0 + 0.2)
    stream(clock, 100.0, start_s=1.9, offset_s=8.5, jitter_s=0.01)
    assert clock.slope == pytest.approx(1.0, abs=100e-6)
    assert clock.rate_hz(250.0) == pytest.approx(250.0, rel=100e-6)


def test_an_interruption_begins_anew() -> None:
    """Across it the device's time and the host's need not have kept step."""
    clock = HostClock()
    end_s = stream(clock, 100.0)
    stream(clock, 60.0, start_s=end_s + 40.0, offset_s=4000.0)
    told = clock.host_s(end_s + 80.0)
    assert told == pytest.approx(4000.0 + end_s + 80.0, abs=0.02)
    clock.observe(0.0, 1.0)  # and so does a step back
    assert clock.host_s(0.0) == 1.0


def test_hours_leave_no_trace_in_memory_or_digits() -> None:
    clock = HostClock()
    end_s = stream(clock, 600.0, start_s=80_000.0, offset_s=3e6, rate_error=20e-6)
    assert len(clock._points) <= 242
    told = clock.host_s(end_s)
    assert told == pytest.approx(3e6 + end_s / (1.0 + 20e-6), abs=0.01)


@given(
    st.lists(st.tuples(st.floats(0.01, 3.0), st.floats(0.0, 0.5)), min_size=1, max_size=30),
    st.floats(-0.03, 0.03),
)
@settings(max_examples=100, deadline=None)
def test_the_line_is_the_best_of_all_lines_through_two_points(
    steps: list[tuple[float, float]], skew: float
) -> None:
    """No point below it, and no supporting line has a smaller sum of distances."""
    device = np.cumsum([step for step, _ in steps])
    host = 50.0 + (1.0 + skew) * device + [late for _, late in steps]
    points = [(float(x), float(y)) for x, y in zip(device, host, strict=True)]
    a, b = lower_line(points)
    assert (host - (a + b * device) >= -1e-6).all()
    best = np.inf
    for (x0, y0), (x1, y1) in itertools.combinations(points, 2):
        slope = (y1 - y0) / (x1 - x0)
        above = host - (y0 + slope * (device - x0))
        if (above >= -1e-9).all():
            best = min(best, float(above.sum()))
    if np.isfinite(best):
        assert float((host - (a + b * device)).sum()) <= best + 1e-6
