"""Numbers and times: what was lost, what lies behind, what is not believed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_ecg_bridge.framed import DataFrame
from edge_ecg_bridge.framed.order import Order, Placed

FS_HZ = 250.0
US = 4000
TURN = 2**32


def frame(first: int, samples: int = 4, *, early_us: int = 0, number0: int = 0, time0: int = 0) -> DataFrame:
    """A frame of a board that counts from number0 and time0."""
    time_us = time0 + (first + samples - 1) * US - early_us
    return DataFrame(0, 0, (number0 + first) % TURN, time_us % TURN, b"")


def place(order: Order, *firsts: int, **start: int) -> list[Placed]:
    return [placed for first in firsts for placed in order.take(frame(first, **start), 4)]


@pytest.mark.parametrize("number0", [0, TURN - 6, TURN // 2 - 6])
@pytest.mark.parametrize("time0", [0, TURN - 30_000])
def test_numbers_and_times_wrap(number0: int, time0: int) -> None:
    placed = place(Order(FS_HZ), *range(0, 40, 4), number0=number0, time0=time0)
    assert [(item.first, item.end, item.lost) for item in placed] == [(i, i + 4, 0) for i in range(0, 40, 4)]
    assert [item.last_s for item in placed] == pytest.approx([(i + 3) / FS_HZ for i in range(0, 40, 4)])


def test_a_gap_is_counted_in_samples() -> None:
    placed = place(Order(FS_HZ), 0, 4, 16, 20, number0=TURN - 10, time0=TURN - 50_000)
    assert [(item.first, item.lost) for item in placed] == [(0, 0), (4, 0), (16, 8), (20, 0)]
    assert placed[2].last_s == pytest.approx(19 / FS_HZ)


@pytest.mark.parametrize("hours", [0.01, 1.0, 1.2, 5.0, 30.0])
def test_a_long_gap_must_be_borne_out_and_is_counted_over_wraps_of_the_time(hours: float) -> None:
    """The time wraps after 71.6 minutes; the number knows how often."""
    order, far = Order(FS_HZ), 8 + round(hours * 3600 * FS_HZ)
    place(order, 0, 4)
    assert place(order, far) == []
    placed = place(order, far + 4)
    assert [(item.first, item.lost) for item in placed] == [(far, far - 8), (far + 4, 0)]
    assert placed[1].last_s == pytest.approx((far + 7) / FS_HZ, rel=1e-9)
    assert order.refused == 0


def test_what_lies_behind_is_refused_and_counted() -> None:
    order = Order(FS_HZ)
    place(order, 0, 4, 8)
    assert place(order, 8, 4, 0) == []
    assert order.behind == 3
    assert [item.lost for item in place(order, 12)] == [0]


def test_a_number_without_its_time_is_refused() -> None:
    order = Order(FS_HZ)
    place(order, 0, 4)
    wrong = DataFrame(0, 0, 100, frame(8).time_us, b"")
    assert order.take(wrong, 4) == []
    assert [(item.first, item.lost) for item in place(order, 8)] == [(8, 0)]
    assert order.refused == 1


def test_the_first_frame_must_be_borne_out() -> None:
    order = Order(FS_HZ)
    assert place(order, 5_000_000) == []
    assert place(order, 100) == []
    assert [item.first for item in place(order, 104)] == [0, 4]
    assert order.refused == 1


def test_a_clock_that_was_set_keeps_the_number() -> None:
    order = Order(FS_HZ)
    place(order, 0, 4)
    late = [order.take(frame(first, time0=10_000_000), 4) for first in (8, 12)]
    placed = [item for found in late for item in found]
    assert [(item.first, item.lost) for item in placed] == [(8, 0), (12, 0)]
    assert placed[1].last_s == pytest.approx(15 / FS_HZ)


def test_a_time_that_stands_still_is_refused() -> None:
    order = Order(FS_HZ)
    place(order, 0, 4)
    assert order.take(frame(8, early_us=4 * US), 4) == []  # the time of the frame before


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 30)), min_size=2, max_size=50),
    st.integers(0, TURN - 1),
    st.integers(0, TURN - 1),
    st.floats(-0.05, 0.05),
)
def test_any_losses_are_counted_exactly(
    steps: list[tuple[int, int]], number0: int, time0: int, rate_error: float
) -> None:
    """Frames of any size with any gaps before them, at a rate that is off by up to 5 %."""
    order, at, sizes, gaps, found = Order(FS_HZ), 0, [], [], []
    for samples, gap in steps:
        at += gap
        time_us = round(time0 + (at + samples) * US * (1 + rate_error)) % TURN
        found += order.take(DataFrame(0, 0, (number0 + at) % TURN, time_us, b""), samples)
        at += samples
        sizes.append(samples)
        gaps.append(gap)
    assert [item.samples for item in found] == sizes
    assert [item.lost for item in found] == [0, *gaps[1:]]
    times = [item.last_s for item in found]
    assert all(a < b for a, b in pairwise(times))
