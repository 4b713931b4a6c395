"""Movement: sitting is not, walking is, an unknown one is not; and what a window makes of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ecg.samples import SampleBlock
from edge_ecg.signal import MOTION_G, Reason, Window, WindowChain, assess
from edge_ecg.signal.motion import magnitude_g, movement_g

FS_HZ = 130.0
SENSOR_HZ = 52.0
Acceleration = NDArray[np.float64]


def held(values: Acceleration, n: int) -> Acceleration:
    """The latest reading of a slower sensor at each ECG sample."""
    return values[np.minimum((np.arange(n) * SENSOR_HZ / FS_HZ).astype(int), len(values) - 1)]


def simulated(n: int, *, walking: bool, seed: int = 0) -> Acceleration:
    """Chest sensor: 5 mg of noise, breathing that tilts it by 2 degrees; steps of 0.25 g at 1.8 Hz."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(n * SENSOR_HZ / FS_HZ) + 1) / SENSOR_HZ
    tilt = np.radians(2.0 * np.sin(2 * np.pi * 0.25 * t) + rng.uniform(-60, 60))
    g = np.stack([np.sin(tilt), np.zeros_like(t), np.cos(tilt)], axis=1)
    if walking:
        step = 0.25 * np.sin(2 * np.pi * 1.8 * t) + 0.10 * np.sin(2 * np.pi * 3.6 * t + 1.0)
        g *= 1.0 + step[:, None]
        g[:, 1] += 0.08 * np.sin(2 * np.pi * 0.9 * t)
    return held(g + 0.005 * rng.standard_normal(g.shape), n)


@pytest.mark.parametrize("seed", range(20))
def test_sitting_and_walking_lie_on_their_sides_of_the_limit(seed: int) -> None:
    sitting = movement_g(magnitude_g(simulated(1300, walking=False, seed=seed)), FS_HZ)
    walking = movement_g(magnitude_g(simulated(1300, walking=True, seed=seed)), FS_HZ)
    assert sitting < 0.3 * MOTION_G
    assert walking > 3.0 * MOTION_G


def test_turning_over_slowly_with_a_badly_calibrated_sensor_is_no_motion() -> None:
    angle = np.linspace(0, np.pi / 2, 1300)
    turned = np.stack([1.04 * np.sin(angle), np.zeros(1300), 0.97 * np.cos(angle)], axis=1)
    assert movement_g(magnitude_g(turned), FS_HZ) < MOTION_G


@given(st.integers(0, 4))
def test_two_seconds_of_walking_anywhere_count(block: int) -> None:
    acceleration = simulated(1300, walking=False)
    part = slice(260 * block, 260 * (block + 1))
    acceleration[part] = simulated(1300, walking=True)[part]
    assert movement_g(magnitude_g(acceleration), FS_HZ) > MOTION_G


def test_what_is_not_known_is_no_motion() -> None:
    unknown = np.full((1300, 3), np.nan)
    assert movement_g(magnitude_g(unknown), FS_HZ) == 0.0
    assert movement_g(np.zeros(0), FS_HZ) == 0.0
    unknown[:100] = simulated(100, walking=True)  # less than half of two seconds
    assert movement_g(magnitude_g(unknown), FS_HZ) == 0.0
    unknown[:200] = simulated(200, walking=True)
    assert movement_g(magnitude_g(unknown), FS_HZ) > MOTION_G


def windows(acceleration: Acceleration | None, ecg_mv: NDArray[np.float64]) -> list[Window]:
    chain = WindowChain(FS_HZ)
    ticks = []
    for at in range(0, len(ecg_mv), 73):
        part = slice(at, at + 73)
        g = None if acceleration is None else acceleration[part]
        ticks += chain.push(SampleBlock(ecg_mv[part], FS_HZ, at, acceleration_g=g))
    return [tick.window for tick in ticks + chain.flush() if tick.window is not None]


def test_a_window_in_motion_is_withheld_and_says_so(synthetic_ecg: Callable) -> None:
    n = 5200
    ecg_mv = synthetic_ecg(FS_HZ, n / FS_HZ).ecg_mv
    acceleration = simulated(n, walking=False)
    acceleration[2600:3120] = simulated(n, walking=True)[2600:3120]  # from 20 s to 24 s
    found = windows(acceleration, ecg_mv)
    moving = [window.start_s for window in found if Reason.MOTION in assess(window).reasons]
    assert moving == [window.start_s for window in found if window.end_s > 20.0 and window.start_s < 24.0]
    assert moving
    assert all(assess(window).good for window in found if window.start_s not in moving)
    assert "keep still" in Reason.MOTION.advice


def test_without_an_accelerometer_nothing_changes(synthetic_ecg: Callable) -> None:
    ecg_mv = synthetic_ecg(FS_HZ, 20.0).ecg_mv
    without, still = windows(None, ecg_mv), windows(simulated(len(ecg_mv), walking=False), ecg_mv)
    assert [window.motion_g for window in without] == [0.0] * len(without)
    for a, b in zip(without, still, strict=True):
        np.testing.assert_array_equal(a.ecg_mv, b.ecg_mv)
        assert assess(a).score == assess(b).score
