"""The standard heart-rate characteristic, and the readings of an accelerometer between samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_bridge.acceleration import AccelerationTrack
from edge_ecg_bridge.heart_rate import HeartRate, heart_rate_value, read_heart_rate


@pytest.mark.parametrize(
    ("value", "measured"),
    [
        ("00 48", HeartRate(72)),
        ("01 2C 01", HeartRate(300)),
        ("10 3C 00 04 00 02", HeartRate(60, (1.0, 0.5))),
        ("16 3C 00 04", HeartRate(60, (1.0,), True)),
        ("04 00", HeartRate(0, (), False)),
        ("18 48 10 00 00 04", HeartRate(72, (1.0,))),  # energy between
        ("02 48", HeartRate(72, (), None)),  # "contact" of a strap that cannot tell means nothing
        ("", None),
        ("01 48", None),
        ("08 48", None),
    ],
)
def test_by_hand(value: str, measured: HeartRate | None) -> None:
    assert read_heart_rate(bytes.fromhex(value)) == measured


@settings(deadline=None)
@given(
    st.integers(0, 65535), st.lists(st.integers(0, 65535), max_size=9), st.sampled_from([None, True, False])
)
def test_there_and_back(rate: int, ticks: list[int], contact: bool | None) -> None:
    measured = HeartRate(rate, tuple(one / 1024 for one in ticks), contact)
    assert read_heart_rate(heart_rate_value(measured)) == measured


@settings(deadline=None)
@given(st.binary(max_size=24))
def test_any_bytes(value: bytes) -> None:
    read_heart_rate(value)


def test_the_latest_reading_at_each_sample() -> None:
    track = AccelerationTrack()
    track.add(np.array([1.0, 2.0]), np.array([[1.0, 0, 0], [2.0, 0, 0]]))
    track.add(np.array([3.0]), np.array([[3.0, 0, 0]]))
    found = track.at(np.array([0.5, 1.0, 1.9, 2.0, 4.9, 5.1]))
    np.testing.assert_array_equal(found[:, 0], [np.nan, 1, 1, 2, 3, np.nan])  # older than 2 s is none


def test_old_and_double_readings_are_dropped() -> None:
    track = AccelerationTrack()
    track.add(np.array([1.0, 2.0]), np.ones((2, 3)))
    track.add(np.array([1.0, 2.0]), np.zeros((2, 3)))
    assert track.frames_late == 1
    track.add(np.array([1.5, 2.5]), np.full((2, 3), 5.0))  # half new
    np.testing.assert_array_equal(track.at(np.array([2.0, 2.5]))[:, 0], [1, 5])
    track.add(np.array([-500.0]), np.full((1, 3), 7.0))  # the clock was set
    np.testing.assert_array_equal(track.at(np.array([-499.5, 2.5]))[:, 0], [7, np.nan])


def test_readings_of_hours_are_not_kept() -> None:
    track = AccelerationTrack()
    for second in range(1000):
        track.add(second + np.arange(50) / 50, np.zeros((50, 3)))
    assert len(track._times_s) <= 11 * 50
