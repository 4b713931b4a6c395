"""Each transformation against a float64 version written from its definition, sample by sample."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg_train.transforms import (
    VERSIONS,
    TransformConfig,
    add_noise,
    make_versions,
    permute,
    time_warp,
    transform,
)

N = 2560


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def windows(n: int, samples: int = N, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0.3, 2.0, (n, samples)))


def resize(piece: np.ndarray, length: int) -> np.ndarray:
    """Linear at half-pixel centres, edges held: OpenCV's INTER_LINEAR, one output sample at a time."""
    out = []
    for i in range(length):
        position = (i + 0.5) * len(piece) / length - 0.5
        position = min(max(position, 0.0), len(piece) - 1.0)
        low = math.floor(position)
        high = min(low + 1, len(piece) - 1)
        share = position - low
        out.append(piece[low] * (1 - share) + piece[high] * share)
    return np.array(out)


def warped_by_definition(x: np.ndarray, stretched: tuple[int, ...], start: int) -> np.ndarray:
    pieces = [x[i * 284 : (i + 1) * 284] for i in range(9)]
    joined = np.concatenate([resize(p, 299 if i in stretched else 271) for i, p in enumerate(pieces)])
    assert len(joined) == 2579
    return joined[start : start + N]


def test_original_scale_negate_and_flip_are_exact():
    x = windows(5)
    rows = x.numpy()
    expected = {"original": rows, "scale": rows * 1.1, "negate": -rows, "flip": rows[:, ::-1]}
    for name, values in expected.items():
        got = transform(x, VERSIONS.index(name), draws()).numpy()
        assert np.array_equal(got, values), name


def test_noise_is_white_gaussian_15_db_below_each_window():
    x = windows(400) * torch.linspace(0.1, 10, 400, dtype=torch.float64)[:, None]
    noise = (add_noise(x, 15.0, draws()) - x).numpy()
    power = np.array([sum(v * v for v in row) / N for row in x.numpy()])
    snr_db = 10 * np.log10(power / (noise**2).mean(1))
    # The power of 2560 Gaussian values scatters by sqrt(2/2560) = 2.8 %, 0.12 dB; their mean by 0.006 dB.
    assert snr_db.mean() == pytest.approx(15.0, abs=0.03)
    assert np.abs(snr_db - 15).max() < 0.6
    z = noise / np.sqrt(power / 10**1.5)[:, None]
    assert z.mean() == pytest.approx(0, abs=4 / math.sqrt(z.size))
    assert (z**4).mean() == pytest.approx(3.0, abs=0.05)  # Gaussian
    lag_1 = (z[:, 1:] * z[:, :-1]).mean()
    assert lag_1 == pytest.approx(0, abs=4 / math.sqrt(z.size))  # white


def test_noise_counts_the_mean_as_power():
    x = torch.full((50, N), 4.0, dtype=torch.float64)
    noise = (add_noise(x, 15.0, draws()) - x).numpy()
    assert 10 * np.log10(16.0 / (noise**2).mean()) == pytest.approx(15.0, abs=0.1)


def test_permutation_rearranges_20_pieces_of_128():
    x = windows(300)
    out = transform(x, VERSIONS.index("permute"), draws()).numpy()
    orders = []
    for row, moved in zip(x.numpy(), out, strict=True):
        order = []
        for place in range(20):
            piece = moved[128 * place : 128 * (place + 1)]
            sources = [s for s in range(20) if np.array_equal(row[128 * s : 128 * (s + 1)], piece)]
            assert len(sources) == 1
            order += sources
        assert sorted(order) == list(range(20))
        orders.append(order)
    # Uniform: every piece is equally often at every place (expected 15 of 300; 6 standard deviations).
    counts = np.zeros((20, 20))
    for order in orders:
        counts[np.arange(20), order] += 1
    assert np.abs(counts - 15).max() < 6 * math.sqrt(15)
    assert len({tuple(order) for order in orders}) == 300


def test_time_warp_equals_its_definition():
    x = windows(40)
    out = time_warp(x, 9, 1.05, draws(3)).numpy()
    assert out.shape == (40, N)
    choices, starts = set(), set()
    for row, warped in zip(x.numpy(), out, strict=True):
        found = find_warp(row, warped)
        assert found is not None
        choices.add(found[0])
        starts.add(found[1])
    assert len(choices) > 20
    assert min(starts) >= 0
    assert max(starts) <= 18
    assert len(starts) > 8


def find_warp(row: np.ndarray, warped: np.ndarray) -> tuple[tuple[int, ...], int] | None:
    """The choice of pieces and the cut that explain a warped window, of all 126 x 19 there are."""
    long = [resize(row[i * 284 : (i + 1) * 284], 299) for i in range(9)]
    short = [resize(row[i * 284 : (i + 1) * 284], 271) for i in range(9)]
    for stretched in itertools.combinations(range(9), 5):
        joined = np.concatenate([long[i] if i in stretched else short[i] for i in range(9)])
        for start in range(19):
            # The first samples rule nearly all out.
            if np.allclose(joined[start : start + 8], warped[:8], atol=1e-9, rtol=0) and np.allclose(
                joined[start : start + N], warped, atol=1e-9, rtol=0
            ):
                assert np.allclose(warped_by_definition(row, stretched, start), warped, atol=1e-9, rtol=0)
                return stretched, start
    return None


def test_time_warp_in_float32_is_as_exact_as_float32_can_be():
    x = windows(8)
    exact = time_warp(x, 9, 1.05, draws(5))
    single = time_warp(x.float(), 9, 1.05, draws(5))
    assert float((single.double() - exact).abs().max()) < 5e-7 * float(x.abs().max())


def test_time_warp_draws_every_choice_and_every_cut():
    ramp = torch.arange(N, dtype=torch.float64).repeat(4000, 1)
    out = time_warp(ramp, 9, 1.05, draws(7))
    # On a ramp the slope tells stretched (284/299) from squeezed (284/271), the first value tells the cut.
    starts = np.round(((out[:, 0] + 0.5) * 299 / 284 - 0.5).numpy())
    starts_short = np.round(((out[:, 0] + 0.5) * 271 / 284 - 0.5).numpy())
    slope = (out[:, 200] - out[:, 100]).numpy() / 100
    start = np.where(slope < 1, starts, starts_short)
    assert sorted(set(start.astype(int).tolist())) == list(range(19))
    assert np.bincount(start.astype(int)).min() > 4000 / 19 * 0.7
    assert np.mean(slope < 1) == pytest.approx(5 / 9, abs=0.04)


@pytest.mark.parametrize("version", range(7))
def test_trailing_zeros_are_cut_off_before_and_put_back_after(version):
    x = windows(6)
    padded = x.clone()
    padded[2, 2000:] = 0.0
    padded[4, 1000:] = 0.0
    padded[5] = 0.0
    padded[0, 100:200] = 0.0  # zeros inside are signal
    out = transform(padded, version, draws())
    assert out.shape == x.shape
    assert not out[2, 2000:].any()
    assert not out[4, 1000:].any()
    assert not out[5].any()
    assert torch.isfinite(out).all()
    name = VERSIONS[version]
    if name == "flip":
        assert torch.equal(out[2, :2000], padded[2, :2000].flip(0))
    if name == "permute":
        assert sorted(out[4, :1000].tolist()) == sorted(padded[4, :1000].tolist())
    if name == "noise":
        noise = (out[2] - padded[2])[:2000]
        snr = 10 * torch.log10(padded[2, :2000].square().mean() / noise.square().mean())
        assert float(snr) == pytest.approx(15, abs=0.6)


def test_all_versions_of_all_windows_with_their_labels():
    x = windows(4)
    signals, labels = make_versions(x, 7, draws())
    assert signals.shape == (28, N)
    assert torch.bincount(labels, minlength=7).tolist() == [4] * 7
    by_name = {name: signals[labels == i] for i, name in enumerate(VERSIONS)}
    assert torch.equal(by_name["original"], x)
    assert torch.equal(by_name["negate"], -x)
    assert torch.equal(by_name["flip"], x.flip(1))
    for other in ("noise", "permute", "time_warp"):
        assert not torch.allclose(by_name[other], x)


@settings(deadline=None, max_examples=20)
@given(versions=st.integers(1, 7), n=st.integers(1, 12), seed=st.integers(0, 2**31))
def test_some_versions_are_distinct_for_each_window(versions, n, seed):
    # A window is known by its mean absolute value's order of magnitude, whatever is done to it.
    x = windows(n, 640, seed=1) * 100.0 ** torch.arange(n, dtype=torch.float64)[:, None]
    signals, labels = make_versions(x, versions, draws(seed))
    assert len(signals) == len(labels) == n * versions
    magnitude = signals.abs().mean(1) / windows(n, 640, seed=1).abs().mean()
    owner = torch.round(torch.log10(magnitude) / 2).long()
    pairs = set(zip(owner.tolist(), labels.tolist(), strict=True))
    assert len(pairs) == n * versions
    assert torch.bincount(owner, minlength=n).tolist() == [versions] * n


def test_drawn_versions_are_balanced():
    _, labels = make_versions(windows(7000, 64), 1, draws())
    assert np.abs(torch.bincount(labels, minlength=7).numpy() - 1000).max() < 6 * math.sqrt(1000)


def test_same_generator_same_versions():
    x = windows(5)
    first, second, other = (make_versions(x, 3, draws(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])


def test_strengths_are_configurable():
    x = windows(3)
    config = TransformConfig(scale_factor=0.9, noise_snr_db=30.0)
    assert torch.equal(transform(x, 2, draws(), config), x * 0.9)
    quiet = transform(x, 1, draws(), config) - x
    loud = transform(x, 1, draws()) - x
    assert float(loud.std() / quiet.std()) == pytest.approx(10 ** (15 / 20), rel=1e-6)


def test_permutation_drops_a_remainder():
    out = permute(windows(2, 103), 20, draws())
    assert out.shape == (2, 100)


@given(st.integers(0, 2**40), st.floats(1.01, 4.0))
def test_drawn_strengths_lie_in_their_spread(seed, spread):
    plain = TransformConfig(spread=spread)
    drawn = plain.drawn(seed)
    assert drawn == plain.drawn(seed)
    assert drawn.spread == 1.0
    assert abs(drawn.noise_snr_db - 15.0) <= 20 * math.log10(spread) + 1e-9
    assert 0.1 / spread - 1e-9 <= drawn.scale_factor - 1.0 <= 0.1 * spread + 1e-9
    assert 0.05 / spread - 1e-9 <= drawn.warp_stretch - 1.0 <= 0.05 * spread + 1e-9
    assert 20 / spread - 1 <= drawn.permute_pieces <= 20 * spread + 1
    for version in range(len(VERSIONS)):
        assert transform(windows(2), version, draws(), drawn).shape == (2, N)


def test_without_a_spread_strengths_are_the_released_codes():
    assert TransformConfig().drawn(3) == TransformConfig()
