"""Both normalisations, re-derived the long way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.signal.normalise import CalibratedNormaliser, Scale, trimmed_scale


@given(seed=st.integers(0, 1000), n=st.integers(80, 3000))
@settings(max_examples=40, deadline=None)
def test_trimmed_scale_is_the_founding_codes_statistic(seed: int, n: int) -> None:
    x = np.random.default_rng(seed).standard_t(3, n)
    in_order = sorted(x.tolist())
    low, high = int(0.025 * n), n - int(0.025 * n)
    kept = in_order[low:high]
    mean_kept = sum(kept) / len(kept)
    sd = (sum((value - mean_kept) ** 2 for value in kept) / len(kept)) ** 0.5
    scale = trimmed_scale(x)
    assert scale.mean_mv == pytest.approx(sum(in_order) / n, abs=1e-12)
    assert scale.sd_mv == pytest.approx(sd, rel=1e-9)


def test_r_peaks_lie_outside_the_trim_and_come_out_larger() -> None:
    x = 0.05 * np.random.default_rng(0).standard_normal(2560)
    x[::213] += 1.0
    trimmed, plain = trimmed_scale(x), Scale(float(x.mean()), float(x.std()))
    assert trimmed.apply(x).max() > 1.3 * plain.apply(x).max()


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(100), np.full(100, 3.7)])
def test_a_constant_signal_has_no_scale(samples: np.ndarray) -> None:
    with pytest.raises(ValueError, match="constant"):
        trimmed_scale(samples)


def test_apply_gives_float32_of_the_same_shape() -> None:
    z = Scale(1.0, 2.0).apply([[1.0, 3.0], [5.0, -1.0]])
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, [[0.0, 1.0], [2.0, -1.0]])


def test_the_calibrated_scale_is_a_running_mean_and_then_a_slow_average() -> None:
    rng = np.random.default_rng(0)
    windows = [rng.standard_normal(2560) * (1.0 + 0.1 * k) + k for k in range(12)]
    scales = [trimmed_scale(window) for window in windows]
    normaliser = CalibratedNormaliser(memory_blocks=4)
    expected = 0.0
    for k, (window, scale) in enumerate(zip(windows, scales, strict=True), start=1):
        normaliser.update(window)
        assert normaliser.scale is not None
        if k <= 4:
            expected = float(np.mean([one.sd_mv for one in scales[:k]]))
        else:
            expected = 0.75 * expected + 0.25 * scale.sd_mv
        assert normaliser.scale.sd_mv == pytest.approx(expected, rel=1e-12)


@given(future=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_future_changes_nothing_in_the_past(future: int) -> None:
    past = [np.random.default_rng(k).standard_normal(2560) for k in range(5)]

    def normalised(windows: list[np.ndarray]) -> list[np.ndarray]:
        normaliser = CalibratedNormaliser()
        out = []
        for window in windows:
            normaliser.update(window)
            assert normaliser.scale is not None
            out.append(normaliser.scale.apply(window))
        return out

    changed = [np.random.default_rng(future).standard_normal(2560) * 50.0 for _ in range(3)]
    for a, b in zip(normalised(past), normalised(past + changed), strict=False):
        np.testing.assert_array_equal(a, b)


def test_a_constant_window_is_no_calibration() -> None:
    normaliser = CalibratedNormaliser()
    normaliser.update(np.zeros(2560))
    assert normaliser.scale is None
    assert normaliser.blocks == 0
