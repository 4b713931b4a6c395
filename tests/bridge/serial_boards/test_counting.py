"""What the boards share: arrival clock, device time, numbering by counter and time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.counting import ArrivalClock, Placed, Placer, Run, TimeLine


def test_rate_by_the_lower_envelope() -> None:
    """Delays that are only ever positive do not move the estimate; the first two seconds do not count."""
    rng, clock = np.random.default_rng(1), ArrivalClock(130.0)
    for i in range(1, 130 * 90):
        if i == 130 * 55:
            assert clock.rate_hz == 130.0  # too early to say
        delay_s = 1.5 if i < 200 else 0.005 + rng.exponential(0.02)
        clock.observe(i, i / 130.9 + delay_s)
    assert clock.rate_hz == pytest.approx(130.9, rel=2e-4)
    assert clock.newest(90.0) == pytest.approx(90.0 * 130.9, abs=2.0)


def test_an_absurd_rate_is_not_believed() -> None:
    clock = ArrivalClock(100.0)
    for second in range(100):
        clock.observe(second * 10, float(second))
    assert clock.rate_hz == 100.0


def test_before_the_first_arrival_nothing_can_have_been_made() -> None:
    assert ArrivalClock(100.0).newest(5.0) == -np.inf


@given(
    pieces=st.lists(st.tuples(st.integers(1, 500), st.integers(0, 300), st.floats(240.0, 260.0)), max_size=30)
)
def test_device_time_rises_without_steps(pieces: list[tuple[int, int, float]]) -> None:
    line, first, times = TimeLine(250.0), 0, []
    for n, gap, rate_hz in pieces:
        first += gap
        times.append(line.times(first, n, rate_hz))
        first += n
    if times:
        steps = np.diff(np.concatenate(times))
        assert (steps > 0.0038).all()
        assert (steps < 302 / 240.0).all()


def place_all(
    placer: Placer[int], arrivals: list[tuple[float, list[Run[int]]]], *, end_s: float
) -> list[Placed[int]]:
    placed = []
    for at_s, runs in arrivals:
        placed += placer.place(runs, at_s)
    return placed + placer.release(end_s)


def run_of(number: int, n: int, modulus: int) -> Run[int]:
    return Run(number % modulus, n, number)


@given(
    modulus=st.sampled_from([16, 200, 256]),
    holes=st.lists(st.integers(0, 900), min_size=1, max_size=5),
    per_read=st.integers(5, 30),
    stall=st.booleans(),
)
@settings(max_examples=200)
def test_what_was_lost_is_found_out(modulus: int, holes: list[int], per_read: int, stall: bool) -> None:
    """Every loss of up to 4.5 s at 200 Hz, with reads of every size; a stall instead loses nothing."""
    assume(modulus > 16 or 16 not in holes)  # a whole turn within the way's unsteadiness leaves no trace
    fs_hz = 200.0
    placer: Placer[int] = Placer(fs_hz, modulus)
    number, arrivals, lost_at = 0, [], {}
    for hole in [0, *holes]:
        waiting: list[Run[int]] = []
        for _ in range(int(800 / per_read)):
            waiting.append(run_of(number, per_read, modulus))
            number += per_read
            if stall and len(waiting) * per_read < hole:
                continue
            arrivals.append((number / fs_hz + 0.01, waiting))
            waiting = []
        if waiting:
            arrivals.append((number / fs_hz + 0.01, waiting))
        if not stall:
            number += hole
            lost_at[number] = hole
    placed = place_all(placer, arrivals, end_s=number / fs_hz + 5.0)
    for run in placed:
        assert run.first == run.load, (run, modulus)
        assert run.gap_before == lost_at.get(run.load, 0)
    assert len(placed) == sum(len(runs) for _, runs in arrivals)


def test_a_buffer_that_empties_slowly_is_no_loss() -> None:
    """Three seconds of data wait and come at three times the pace of the board."""
    placer: Placer[int] = Placer(200.0, 200)
    arrivals = [(n / 200.0, [run_of(n - 10, 10, 200)]) for n in range(10, 2000, 10)]
    at_s, number = 13.0, 1990
    while number / 200.0 < at_s - 0.05:
        arrivals.append((at_s, [run_of(number, 30, 200)]))
        number += 30
        at_s += 0.05
    placed = place_all(placer, arrivals, end_s=at_s + 2.0)
    assert sum(run.gap_before for run in placed) == 0


def test_a_step_back_is_refused_and_a_long_step_is_not() -> None:
    placer: Placer[int] = Placer(250.0, 256)
    for n in range(0, 2500, 10):
        assert placer.place([run_of(n, 10, 256)], (n + 10) / 250.0)
    assert placer.place([run_of(2490, 10, 256)], 10.01) == []
    assert placer.rejected == 1
    (after,) = placer.place([run_of(2730, 10, 256)], 2740 / 250.0)
    assert (after.first, after.gap_before) == (2730, 230)


def test_the_device_s_own_clock_leaves_no_question() -> None:
    placer: Placer[int] = Placer(250.0, 256)
    placer.place([Run(0, 10, 0)], 0.04)
    (after,) = placer.place([Run(10, 10, 0, lost=2560)], 10.32)
    assert (after.first, after.gap_before) == (2570, 2560)
    # But it cannot have made samples for which there was no time.
    (after,) = placer.place([Run(21, 10, 0, lost=257)], 10.36)
    assert (after.first, after.gap_before) == (2581, 1)


def test_what_is_held_comes_out_in_the_end() -> None:
    placer: Placer[int] = Placer(250.0, 256)
    for n in range(0, 1000, 10):
        placer.place([run_of(n, 10, 256)], (n + 10) / 250.0)
    assert placer.place([run_of(1512, 10, 256)], 1522 / 250.0) == []
    assert placer.release(1530 / 250.0) == []
    (after,) = placer.flush()
    assert (after.first, after.gap_before) == (1512, 512)
    assert placer.flush() == []


@pytest.mark.parametrize(("fs_hz", "modulus"), [(125.0, 1), (100.0, 16), (1000.0, 16)])
@pytest.mark.parametrize("error", [-0.03, 0.03])
def test_a_board_off_its_rate_has_lost_nothing(fs_hz: float, modulus: int, error: float) -> None:
    """Falling behind bit by bit is no pause, also before its rate is known."""
    placer: Placer[int] = Placer(fs_hz, modulus)
    rng, number, placed = np.random.default_rng(1), 0, []
    for read in range(1, 50 * 30):
        now_s = 0.02 * read
        new = int(fs_hz * (1.0 + error) * now_s) - number
        placed += placer.place([run_of(number, new, modulus)] if new else [], now_s + rng.uniform(0.0, 0.015))
        number += new
    assert sum(one.gap_before for one in placed + placer.flush()) == 0
    assert placer.rejected == 0
