"""Counting losses by time: against a plain list of every lost sample."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.signal.losses import Losses

FS_HZ = 256.0


@given(
    st.lists(st.tuples(st.integers(1, 3000), st.integers(0, 900)), max_size=25),
    st.integers(0, 70_000),
    st.sampled_from([128.0, FS_HZ, 130.9]),
)
@settings(max_examples=150, deadline=None)
def test_counts_every_lost_sample_once(stream: list[tuple[int, int]], now: int, fs_hz: float) -> None:
    """Good samples and losses in turn; any second of the last minute may be asked for."""
    losses, lost_at, number = Losses(memory_s=1000.0), [], 0
    for good, lost in stream:
        number += good
        losses.add(number / fs_hz, lost, 1.0 / fs_hz)
        lost_at += range(number, number + lost)
        number += lost
    now_s = now / fs_hz
    assert losses.total == len(lost_at)
    assert losses.until(now_s) == sum(at < now for at in lost_at)
    for seconds in (10, 60):
        first = now - seconds * fs_hz
        assert losses.last(seconds, now_s) == sum(first - 1e-6 <= at < now for at in lost_at)
    assert losses.between(0.0, now_s) == losses.until(now_s)


def test_the_total_outlives_the_memory() -> None:
    losses = Losses(memory_s=60.0)
    for second in range(10_000):
        losses.add(float(second), 3, 1.0 / FS_HZ)
    assert losses.total == 30_000
    assert losses.last(60.0, 10_000.0) == 180
    assert len(losses._losses) < 100


def test_nothing_lost_is_nothing() -> None:
    losses = Losses()
    losses.add(1.0, 0, 1.0 / FS_HZ)
    assert (losses.total, losses.last(10.0, 5.0), losses.until(5.0)) == (0, 0, 0)
