"""The network: the paper's arithmetic, the filter in front, and equality with independent references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import resample_poly
from torch import nn

from edge_ecg.errors import UsageError
from edge_ecg_train.device import Execution, prepare_machine
from edge_ecg_train.embeddings import embed
from edge_ecg_train.transformer.network import (
    DECIMATION,
    FULL,
    LITE,
    SAMPLES,
    TransformerConfig,
    TransformerNetwork,
    decimation_filter,
    sinusoidal_positions,
    transformer_facts,
)

TINY = TransformerConfig(
    taps=(9, 5), channels=(4, 16), strides=(4, 4), layers=2, heads=2, feedforward=8, dropout=0.0
)


def made(config: TransformerConfig, seed: int = 0) -> TransformerNetwork:
    torch.manual_seed(seed)
    return TransformerNetwork(config).eval()


def test_the_paper_s_arithmetic():
    # science.md 7, worked out there by hand: parameters of the convolutions without their norms.
    assert FULL.cnn_parameters() == 832_000
    assert FULL.transformer_parameters() == 3_159_040
    assert FULL.parameters() / 1e6 == pytest.approx(3.99, abs=0.005)
    assert FULL.cnn_macs() / 1e9 == pytest.approx(1.06, abs=0.005)
    assert FULL.transformer_macs() / 1e9 == pytest.approx(7.39, abs=0.005)
    assert FULL.macs() / 1e9 == pytest.approx(8.45, abs=0.006)
    for changed, gmac in (({"layers": 2}, 4.76), ({"layers": 6}, 12.15), ({"feedforward": 512}, 7.11)):
        assert replace(FULL, **changed).macs() / 1e9 == pytest.approx(gmac, abs=0.006)
    assert FULL.cnn_receptive_field == 113
    assert (FULL.tokens, FULL.embedding, FULL.stride) == (1280, 256, 1)


def test_lite_fits_a_pi():
    assert LITE.macs() <= 0.35e9
    assert (LITE.tokens, LITE.embedding, LITE.stride) == (160, 256, 8)
    assert transformer_facts(LITE)["stride"] == 16  # samples at 256 Hz


@pytest.mark.parametrize("config", [FULL, LITE, TINY])
def test_counts_are_those_of_the_network(config):
    assert sum(one.numel() for one in TransformerNetwork(config).parameters()) == config.parameters()


@pytest.mark.slow  # the counter's import alone takes seconds
def test_macs_are_those_that_pytorch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    network = made(TINY).train()  # training mode: evaluation takes a fused layer that the counter cannot see
    with (
        FlopCounterMode(display=False) as counter,
        torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
    ):
        network(torch.zeros(1, 2560))
    assert counter.get_total_flops() == 2 * TINY.macs()


def test_full_shapes_through_the_stages():
    network, shapes = made(FULL), []
    for block in network.convs:
        block.register_forward_hook(lambda module, given, out: shapes.append(tuple(out.shape)))
    network.layers[-1].register_forward_hook(lambda module, given, out: shapes.append(tuple(out.shape)))
    with torch.inference_mode():
        assert network.decimate(torch.zeros(1, 2560)).shape == (1, 1280)
        assert network(torch.zeros(1, 2560)).shape == (1, 256)
    assert shapes == [(1, 64, 1, 1280), (1, 128, 1, 1280), (1, 256, 1, 1280), (1, 1281, 256)]


def test_filter_response():
    taps = decimation_filter()
    assert taps.sum() == pytest.approx(1.0)
    assert np.allclose(taps, taps[::-1])
    frequency = np.fft.rfftfreq(2**14, 1 / 256)
    gain_db = 20 * np.log10(np.maximum(np.abs(np.fft.rfft(taps, 2**14)), 1e-9))
    assert np.abs(gain_db[frequency <= 50]).max() < 0.03
    assert gain_db[frequency >= 64].max() < -60


def test_decimation_is_that_of_scipy():
    windows = np.random.default_rng(0).standard_normal((2, 2560)).astype(np.float32)
    ours = made(TINY).decimate(torch.from_numpy(windows)).numpy()
    reference = resample_poly(windows.astype(float), 1, 2, axis=1, window=decimation_filter())
    assert ours == pytest.approx(reference, abs=1e-5)
    # A 100 Hz wave would come out as one of 28 Hz, a 10 Hz wave stays what it is.
    t = np.arange(2560) / 256
    waves = np.stack([np.sin(2 * np.pi * f_hz * t) for f_hz in (10, 100)]).astype(np.float32)
    slow, fast = made(TINY).decimate(torch.from_numpy(waves)).numpy()[:, 50:-50]
    assert slow == pytest.approx(waves[0, ::DECIMATION][50:-50], abs=3e-3)
    assert np.abs(fast).max() < 2e-3


def test_positions_follow_the_formula():
    places = sinusoidal_positions(20, 8)
    for position, pair in ((0, 0), (3, 0), (19, 2), (7, 3)):
        angle = position / 10_000 ** (2 * pair / 8)
        assert places[position, 2 * pair] == pytest.approx(np.sin(angle))
        assert places[position, 2 * pair + 1] == pytest.approx(np.cos(angle))
    assert made(TINY).positions.shape == (SAMPLES // 16 + 1, 16)


def test_cls_stands_first_and_order_matters():
    network = made(TINY)
    seen = []
    network.layers[0].register_forward_pre_hook(lambda module, given: seen.append(given[0].clone()))
    ecg = torch.randn(2, SAMPLES)
    with torch.inference_mode():
        network.tokens(ecg)
        assert torch.equal(seen[0][0, 0], network.cls + network.positions[0])
        assert torch.equal(seen[0][0, 0], seen[0][1, 0])
        # Without positions the CLS token could not tell a window's order of tokens.
        before = network.tokens(ecg)[:, 0]
        network.positions.zero_()
        x = network.tokens(ecg)
        assert not torch.allclose(x[:, 0], before, atol=1e-4)


def test_convolutions_against_numpy():
    config = replace(TINY, strides=(2, 4))
    network = made(config)
    ecg = np.random.default_rng(1).standard_normal(SAMPLES)
    x = ecg[None]
    for block, taps, stride in zip(network.convs, config.taps, config.strides, strict=True):
        weight = block.conv.weight.detach().double().numpy()[:, :, 0]
        padded = np.pad(x, ((0, 0), (taps // 2, taps // 2)))
        cut = np.lib.stride_tricks.sliding_window_view(padded, taps, axis=1)[:, ::stride]
        x = np.einsum("oik,itk->ot", weight, cut) + block.conv.bias.detach().numpy()[:, None]
        x = np.maximum(x, 0)
        x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)  # norms start as identities
    hidden = torch.from_numpy(ecg).float()[None, None, None]
    for block in network.convs:
        hidden = block(hidden)
    assert hidden[0, :, 0].detach().numpy() == pytest.approx(x, abs=1e-4)


@pytest.mark.parametrize(("pooling", "width"), [("cls", 16), ("mean", 16), ("mean-std", 32)])
def test_pooling(pooling, width):
    network = made(replace(TINY, pooling=pooling))
    windows = torch.randn(3, 2560)
    with torch.inference_mode():
        tokens = network.tokens(network.decimate(windows)).numpy()
        embedding = network(windows).numpy()
    others = tokens[:, 1:]
    expected = {
        "cls": tokens[:, 0],
        "mean": others.mean(1),
        "mean-std": np.concatenate([others.mean(1), others.std(1)], 1),
    }[pooling]
    assert embedding.shape == (3, width)
    assert embedding == pytest.approx(expected, abs=1e-5)


def test_embed_takes_it_like_the_trunk():
    windows = np.random.default_rng(0).standard_normal((5, 2560)).astype(np.float32)
    network = made(TINY)
    machine = prepare_machine(Execution("cpu", "fp32", 1, micro_batch_signals=2))
    with torch.inference_mode():
        assert embed(network, windows, machine) == pytest.approx(
            network(torch.from_numpy(windows)).numpy(), abs=1e-5
        )


def test_a_layer_is_the_post_norm_layer_of_the_paper():
    """Against attention written out: MultiHead(x) + x, norm, ReLU network + x, norm."""
    layer = made(TINY).layers[0]
    x = torch.randn(1, 7, 16)
    attention = layer.self_attn
    query, key, value = (x @ attention.in_proj_weight.T + attention.in_proj_bias).chunk(3, -1)
    heads = []
    for part in range(2):
        mine = slice(8 * part, 8 * part + 8)
        scores = torch.softmax(query[..., mine] @ key[..., mine].transpose(1, 2) / 8**0.5, -1)
        heads.append(scores @ value[..., mine])
    joined = torch.cat(heads, -1) @ attention.out_proj.weight.T + attention.out_proj.bias
    norm = nn.functional.layer_norm
    hidden = norm(x + joined, (16,))
    dense = torch.relu(hidden @ layer.linear1.weight.T + layer.linear1.bias)
    expected = norm(hidden + dense @ layer.linear2.weight.T + layer.linear2.bias, (16,))
    with torch.no_grad():
        assert torch.allclose(layer(x), expected, atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"taps": (9,)},
        {"taps": (8, 5)},
        {"strides": (3, 4)},
        {"heads": 3},
        {"channels": (4, 15)},
        {"layers": 0},
        {"dropout": 1.0},
        {"taps": (), "channels": (), "strides": ()},
    ],
)
def test_senseless_forms(wrong):
    with pytest.raises(UsageError):
        replace(TINY, **wrong)
