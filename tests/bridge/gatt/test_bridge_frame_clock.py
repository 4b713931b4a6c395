"""Frames with device time: order, losses, rate, and clocks that are set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.frame_clock import Frame, FrameClock, Placed
from edge_ecg_bridge.stamp_fit import StampFit

N = 73
TICK_HZ = 1e9


def clock(**other: object) -> FrameClock:
    settings = {"tolerance": 0.06, "tick_hz": TICK_HZ, "modulus": 1 << 64, "marks_last": True}
    return FrameClock(130.0, **(settings | other))


def frame(number: int, *, rate_hz: float = 130.0, delay_s: float = 0.1, step_s: float = 0.0) -> Frame:
    """The frame of samples ``number * N`` and on; its samples hold its number."""
    end_s = (number + 1) * N / rate_hz
    stamp = round((end_s + 600.0 + step_s) * TICK_HZ) % (1 << 64)
    return Frame(stamp, np.full(N, float(number)), end_s + delay_s, number.to_bytes(4, "little"))


def place(frames: list[Frame], keeper: FrameClock | None = None) -> tuple[FrameClock, list[Placed]]:
    keeper = keeper or clock()
    return keeper, [placed for one in frames for placed in keeper.place(one)]


def numbers(placed: list[Placed]) -> list[int]:
    return [int(one.frame.ecg_mv[0]) for one in placed]


def check(placed: list[Placed]) -> None:
    """Whether every frame has the place that its number says, and gaps add up."""
    first = numbers(placed)[0]
    assert [one.first_sample for one in placed] == [(number - first) * N for number in numbers(placed)]
    ends = [one.first_sample + N for one in placed]
    assert [one.gap_before for one in placed[1:]] == [
        one.first_sample - end for one, end in zip(placed[1:], ends, strict=False)
    ]


@settings(deadline=None)
@given(
    st.floats(-0.05, 0.05),
    st.lists(st.sampled_from(["keep", "keep", "keep", "lose", "double", "swap"]), min_size=4, max_size=80),
    st.randoms(use_true_random=False),
)
def test_losses_doubles_and_disorder(error: float, fates: list[str], random: object) -> None:
    """By the stamps alone, at any rate that the vendor allows, in bursts too."""
    assume("lose" * 5 not in "".join(fates))  # a longer gap before the rate is known leaves it open
    sent: list[Frame] = []
    held: list[Frame] = []
    late = doubled = 0
    for number, fate in enumerate(fates):
        one = frame(number, rate_hz=130.0 * (1 + error), delay_s=random.uniform(0.02, 0.3))
        if fate == "lose":
            continue
        if fate == "swap" and not held and number:
            held.append(one)
            continue
        sent += [one, one] if fate == "double" else [one]
        doubled += fate == "double"
        late += len(held)
        sent += held
        held.clear()
    assume(len(sent) > len(held) + late)
    keeper, placed = place(sent)
    assume(numbers(placed)[0] == numbers([Placed(sent[0], 0, 0, 0, 0)])[0])
    check(placed)
    assert keeper.duplicates == doubled
    assert len(placed) + doubled + late == len(sent)
    assert keeper.frames_late + (keeper._odd is not None) == late
    assert keeper.clock_steps == 0


@pytest.mark.parametrize("rate_hz", [123.5, 127.4, 130.0, 132.6, 136.5])
def test_the_real_rate(rate_hz: float) -> None:
    keeper, placed = place([frame(number, rate_hz=rate_hz) for number in range(12)])
    assert keeper.rate_hz == pytest.approx(rate_hz, rel=1e-6)
    assert placed[-1].stamp_s == pytest.approx(11 * N / rate_hz)


@pytest.mark.parametrize("lost", [1, 8, 600, 60_000])
@pytest.mark.parametrize("rate_hz", [127.4, 132.6])
def test_a_long_gap_at_a_known_rate(lost: int, rate_hz: float) -> None:
    frames = [frame(number, rate_hz=rate_hz) for number in (*range(10), *range(10 + lost, 20 + lost))]
    _, placed = place(frames)
    check(placed)
    assert sum(one.gap_before for one in placed) == lost * N


def test_a_gap_that_is_no_whole_number_of_frames() -> None:
    """A device that stopped measuring and went on: counted to the sample once its rate is known."""
    before = [frame(number) for number in range(10)]
    pause_s = 653 / 130
    after = [
        Frame(one.stamp + round(pause_s * TICK_HZ), one.ecg_mv, one.arrived_s + pause_s, one.key)
        for one in (frame(number) for number in range(10, 15))
    ]
    _, placed = place(before + after)
    assert [one.gap_before for one in placed if one.gap_before] == [653]


@settings(deadline=None)
@given(st.one_of(st.floats(-1e8, -0.7), st.floats(2.0, 1e8)), st.integers(5, 20), st.floats(0.02, 0.2))
def test_a_clock_that_is_set(step_s: float, at: int, delay_s: float) -> None:
    frames = [
        frame(number, delay_s=delay_s, step_s=step_s if number >= at else 0.0) for number in range(at + 10)
    ]
    keeper, placed = place(frames)
    check(placed)
    assert numbers(placed) == list(range(at + 10))
    assert keeper.clock_steps == 1
    assert keeper.frames_late == 0
    assert np.diff([one.stamp_s for one in placed]) == pytest.approx(N / 130)


def test_a_clock_that_is_set_back_by_one_frame() -> None:
    """Its stamps come again, with other samples: no duplicates, and nothing is lost."""
    step_s = -N / 130
    frames = [frame(number, step_s=step_s if number >= 10 else 0.0) for number in range(20)]
    keeper, placed = place(frames)
    check(placed)
    assert numbers(placed) == list(range(20))
    assert (keeper.duplicates, keeper.clock_steps) == (0, 1)


@pytest.mark.parametrize("step_s", [3600.0, -3600.0, 5.0])
def test_one_wild_stamp_costs_its_frame(step_s: float) -> None:
    frames = [frame(number, step_s=step_s if number == 8 else 0.0) for number in range(16)]
    keeper, placed = place(frames)
    check(placed)
    assert numbers(placed) == [*range(8), *range(9, 16)]
    assert (keeper.frames_late, keeper.clock_steps) == (1, 0)


def test_frames_lost_in_a_burst_are_no_set_clock() -> None:
    """All that had waited comes at once; what is missing between is a loss, for it comes late, not early."""
    frames = [frame(number) for number in range(10)]
    at_s = frame(40).arrived_s
    burst = [Frame(one.stamp, one.ecg_mv, at_s, one.key) for one in map(frame, (12, 13, 14, 30, 31, 39))]
    keeper, placed = place(frames + burst + [frame(40), frame(41)])
    check(placed)
    assert keeper.clock_steps == 0


@given(st.lists(st.floats(-0.2, 0.2), min_size=20, max_size=60))
@settings(deadline=None)
def test_stamps_that_tremble_lose_nothing(offsets: list[float]) -> None:
    """A strap's stamps are said to jump back and forth: by less than a frame they change nothing."""
    frames = [
        Frame(one.stamp + round(offset * N / 130 * TICK_HZ), one.ecg_mv, one.arrived_s + 0.2, one.key)
        for one, offset in zip(map(frame, range(len(offsets))), offsets, strict=True)
    ]
    _, placed = place(frames)
    check(placed)
    assert numbers(placed) == list(range(len(offsets)))
    assert all(one.gap_before == 0 for one in placed)
    assert (np.diff([one.stamp_s for one in placed]) > 0).all()


def test_stamps_that_wrap() -> None:
    keeper = FrameClock(256.0, tolerance=0.02, tick_hz=1000.0, modulus=1 << 32, marks_last=False)
    placed = []
    for number in [*range(50), *range(60, 100)]:
        at_s = number * 16 / 256
        stamp = (2**32 - 1500 + int(at_s * 1000)) % 2**32
        placed += keeper.place(Frame(stamp, np.zeros(16), at_s, bytes((number,))))
    assert [one.gap_before for one in placed if one.gap_before] == [160]
    assert placed[-1].first_sample == 99 * 16
    assert placed[-1].stamp_s == pytest.approx(99 * 16 / 256, abs=0.0011)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 100), st.floats(0, 1e6), st.binary(max_size=2)),
        max_size=60,
    )
)
def test_any_stamps_leave_a_rising_count(frames: list) -> None:
    keeper = clock()
    end = 0
    for stamp, n, arrived_s, key in frames:
        for one in keeper.place(Frame(stamp, np.zeros(n), arrived_s, key)):
            assert one.gap_before >= 0
            assert one.first_sample == end + one.gap_before
            end = one.first_sample + len(one.frame.ecg_mv)
    assert len(keeper._recent) <= 32
    assert len(keeper._holes) <= 32


@pytest.mark.parametrize("rate_hz", [255.5, 256.0, 256.4])
def test_times_from_whole_milliseconds(rate_hz: float) -> None:
    fit = StampFit(256.0)
    times = []
    for number in range(0, 256 * 60, 16):
        fit.add(number, int(number / rate_hz * 1000) / 1000)
        times.append(fit.times_s(number, 16))
    times_s = np.concatenate(times)
    assert (np.diff(times_s) > 0).all()
    true_s = np.arange(256 * 60) / rate_hz
    error_s = (times_s - true_s)[256 * 10 :]
    assert np.abs(error_s + 0.0005).max() < 0.0005  # half a millisecond is what cutting the stamps takes
