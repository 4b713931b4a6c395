"""The streaming filters against SciPy's designs and its filter loop."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, iirnotch, lfilter, lfilter_zi

from edge_ecg.signal.iir import HIGH_PASS_HZ, Biquad, high_pass, notch

FS_HZ = 256.0


@pytest.mark.parametrize("fs_hz", [100.0, 256.0, 1000.0])
def test_high_pass_is_the_butterworth_design(fs_hz: float) -> None:
    b, a = butter(2, HIGH_PASS_HZ, "highpass", fs=fs_hz)
    ours = high_pass(fs_hz)
    np.testing.assert_allclose(ours.b, b, rtol=1e-12)
    np.testing.assert_allclose(ours.a, a, rtol=1e-12)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_notch_is_scipys_design(mains_hz: float) -> None:
    b, a = iirnotch(mains_hz, 30.0, fs=FS_HZ)
    ours = notch(FS_HZ, mains_hz)
    np.testing.assert_allclose(ours.b, b, rtol=1e-12)
    np.testing.assert_allclose(ours.a, a, rtol=1e-12)


@pytest.mark.parametrize("section", [high_pass(FS_HZ), notch(FS_HZ, 50.0)])
def test_filtering_equals_lfilter_from_its_steady_state(section: Biquad) -> None:
    x = 250.0 + np.random.default_rng(0).standard_normal(5000)
    expected, _ = lfilter(section.b, section.a, x, zi=lfilter_zi(section.b, section.a) * x[0])
    np.testing.assert_allclose(Biquad(section.b, section.a).process(x), expected, atol=1e-9)


@given(cuts=st.lists(st.integers(0, 800), max_size=20))
@settings(max_examples=30, deadline=None)
def test_chunks_do_not_matter(cuts: list[int]) -> None:
    x = np.random.default_rng(0).standard_normal(800)
    section = high_pass(FS_HZ)
    edges = [0, *sorted(cuts), 800]
    parts = [section.process(x[a:b]) for a, b in itertools.pairwise(edges)]
    np.testing.assert_array_equal(np.concatenate(parts), high_pass(FS_HZ).process(x))


def test_an_electrode_offset_makes_no_step() -> None:
    assert np.abs(high_pass(FS_HZ).process(np.full(2560, 300.0))).max() < 1e-9


def test_a_step_has_settled_after_one_second() -> None:
    y = high_pass(FS_HZ).process(np.concatenate([np.zeros(1), np.ones(1000)]))
    assert np.abs(y[257:]).max() < 0.05


def test_the_notch_takes_mains_and_leaves_the_heart() -> None:
    t = np.arange(round(20 * FS_HZ)) / FS_HZ
    assert np.abs(notch(FS_HZ, 50.0).process(np.sin(2 * np.pi * 50.0 * t))[2560:]).max() < 1e-3
    heart = np.sin(2 * np.pi * 12.0 * t)
    assert np.abs(notch(FS_HZ, 50.0).process(heart)[2560:]).max() == pytest.approx(1.0, abs=0.01)
