"""Standing still and being cut off, as the raw samples show them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge_ecg.signal.raw import clipped_fraction, runs, still_fraction


def test_runs_are_those_of_a_plain_loop() -> None:
    x = np.array([1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 1.0])
    starts, lengths = runs(x)
    assert list(zip(starts.tolist(), lengths.tolist(), strict=True)) == [(0, 2), (2, 1), (3, 3), (6, 1)]
    assert [part.tolist() for part in runs(np.zeros(1))] == [[0], [1]]


@pytest.mark.parametrize("fs_hz", [130.0, 512.0, 4000.0])
def test_stand_still_counts_from_half_a_second(fs_hz: float) -> None:
    x = np.random.default_rng(0).standard_normal(round(10 * fs_hz))
    assert still_fraction(x, fs_hz) == 0.0
    x[: round(0.4 * fs_hz)] = 0.0
    assert still_fraction(x, fs_hz) == 0.0
    x[: round(2 * fs_hz)] = 0.0
    assert still_fraction(x, fs_hz) == pytest.approx(0.2, abs=1e-3)
    assert still_fraction(np.full(round(fs_hz), 5.0), fs_hz) == 1.0


@pytest.mark.parametrize("lsb_mv", [0.0003, 0.005, 0.02])
@pytest.mark.parametrize("fs_hz", [130.0, 360.0, 1000.0, 4000.0])
def test_isoelectric_lines_and_round_peaks_on_a_coarse_converter_are_neither(
    synthetic_ecg: Callable[..., Any], fs_hz: float, lsb_mv: float
) -> None:
    x = np.round(synthetic_ecg(fs_hz, 10.0, bpm=50.0).ecg_mv / lsb_mv) * lsb_mv
    assert still_fraction(x, fs_hz) == 0.0
    assert clipped_fraction(x, fs_hz) == 0.0


@pytest.mark.parametrize("limit_mv", [0.4, 0.6])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("fs_hz", [250.0, 512.0, 1000.0])
def test_cut_off_beats_show(
    synthetic_ecg: Callable[..., Any], fs_hz: float, sign: float, limit_mv: float
) -> None:
    x = sign * np.minimum(synthetic_ecg(fs_hz, 10.0, bpm=75.0).ecg_mv, limit_mv)
    assert clipped_fraction(x, fs_hz) > 0.01


def test_a_constant_is_still_but_not_cut_off() -> None:
    assert clipped_fraction(np.full(2560, 2.5), 256.0) == 0.0
