"""Electrode noise and swapped electrodes: how much, how often, and always the same from the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.io import savemat

from edge_ecg.errors import DataError
from edge_ecg_train.augment import NOISES, AugmentConfig, augment, read_noise


@pytest.fixture
def folder(tmp_path):
    """Thirty seconds of each kind at 360 Hz, on an offset and a drift that the signal chain would remove."""
    for number, name in enumerate(NOISES):
        t = np.arange(10800) / 360
        channel = 500 + 40 * t + 100 * np.sin(2 * np.pi * (5 + number) * t)
        samples = np.stack([np.arange(10800), channel, channel], 1).astype(np.int16)
        savemat(tmp_path / f"{name}.mat", {name: samples})
    return tmp_path


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_noise_is_read_at_the_models_rate_without_offset_and_drift(folder, monkeypatch):
    clips = read_noise(folder)
    assert clips.shape == (3, 7680)
    middle = clips[:, 1000:-1000]
    assert np.abs(middle.mean(1)).max() < 1.0
    for number, clip in enumerate(middle):
        spectrum = np.abs(np.fft.rfft(clip))
        assert spectrum.argmax() * 256 / len(clip) == pytest.approx(5 + number, abs=0.05)
        assert clip.std() == pytest.approx(100 / np.sqrt(2), rel=0.06)
    monkeypatch.setenv("EDGE_ECG_DATA", str(folder.parent))
    np.testing.assert_array_equal(read_noise(folder.name), clips)


def test_noise_of_the_ratio_that_was_asked_for(folder):
    windows = torch.randn(64, 2560, generator=draws()) * 3 + 7
    config = AugmentConfig(noise_probability=1.0, noise_snr_db=(6.0, 6.0))
    noise = augment(windows, config, torch.from_numpy(read_noise(folder)), draws()) - windows
    ratio = 20 * torch.log10(windows.std(1) / noise.std(1))
    torch.testing.assert_close(ratio, torch.full((64,), 6.0), rtol=1e-3, atol=1e-3)


def test_only_as_many_windows_as_asked_for(folder):
    windows = torch.randn(2000, 400, generator=draws())
    config = AugmentConfig(noise_probability=0.3, swap_probability=0.25)
    out = augment(windows, config, torch.from_numpy(read_noise(folder)), draws())
    again = augment(windows, config, torch.from_numpy(read_noise(folder)), draws())
    assert torch.equal(out, again)
    clean = (out.abs() == windows.abs()).all(1)
    assert clean.float().mean() == pytest.approx(0.7, abs=0.04)
    assert ((out == -windows).all(1)[clean]).float().mean() == pytest.approx(0.25, abs=0.04)


def test_nothing_is_done_unless_asked_for():
    windows = torch.randn(4, 400)
    assert torch.equal(augment(windows, AugmentConfig(), None, draws()), windows)


@pytest.mark.parametrize("damage", ["missing", "not a matrix", "text"])
def test_noise_that_is_not_there_is_said(folder, damage):
    place = folder / "EM.mat"
    if damage == "missing":
        place.unlink()
    elif damage == "text":
        place.write_text("noise")
    else:
        savemat(place, {"EM": np.zeros(0, np.int16)})
    with pytest.raises(DataError, match=r"no electrode noise.*EM\.mat"):
        read_noise(folder)
