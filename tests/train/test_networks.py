"""The network of Table 1, against an independent 1-D float64 version."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from edge_ecg.errors import DataError
from edge_ecg_train.checkpoint import load_encoder, save_encoder
from edge_ecg_train.conv import VALID, blocked_forward, conv, same_padding
from edge_ecg_train.networks import (
    TRUNK_CONVS,
    TRUNK_MACS,
    TRUNK_PARAMETERS,
    TRUNK_RECEPTIVE_FIELD_SAMPLES,
    TRUNK_STRIDE,
    PretextHeads,
    PretextNetwork,
    Trunk,
    TrunkShape,
    global_max,
)

OURS = TrunkShape(padding="valid", pooling="max-mean-std")


def reference_trunk(trunk: Trunk, windows: torch.Tensor) -> torch.Tensor:
    """Table 1 with nn.Conv1d's own arithmetic, activation before pooling."""
    x = windows[:, None, :]
    for index, layer in enumerate(trunk.layers):
        taps = layer.weight.shape[2]
        total = taps - 1
        left = math.floor(total / 2)
        if trunk.shape.padding == "same":
            x = nn.functional.pad(x, (left, total - left))
        x = nn.functional.conv1d(x, layer.weight, layer.bias)
        x = torch.where(x > 0, x, 0.2 * x)
        if index in (1, 3):
            x = nn.functional.max_pool1d(x, kernel_size=8, stride=2)
    if trunk.shape.pooling == "max":
        return x.amax(2)
    mean = x.mean(2)
    deviation = (x - mean[:, :, None]).square().mean(2).sqrt()
    return torch.cat([x.amax(2), mean, deviation], 1)


def test_shapes_of_table_1():
    with torch.no_grad():
        shapes = [tuple(x.shape) for x in Trunk().stages(torch.randn(2, 2560))]
        assert Trunk()(torch.randn(2, 2560)).shape == (2, 128)
    # Stages 2 and 4 are handed on pooled.
    assert shapes == [
        (2, 32, 1, 2560),
        (2, 32, 1, 1277),
        (2, 64, 1, 1277),
        (2, 64, 1, 635),
        (2, 128, 1, 635),
        (2, 128, 1, 635),
    ]


def test_shapes_without_padding():
    trunk, windows = Trunk(OURS), torch.randn(2, 2560)
    with torch.no_grad():
        lengths = [x.shape[3] for x in trunk.stages(windows)]
        assert trunk(windows).shape == (2, OURS.embedding) == (2, 384)
    assert tuple(lengths) == OURS.lengths() == (2529, 1246, 1231, 605, 598, 591)


def test_features_without_padding_do_not_depend_on_where_the_window_begins():
    torch.manual_seed(9)
    trunk, longer = Trunk(OURS), torch.randn(1, 2600)
    with torch.no_grad():
        early, late = trunk.feature_map(longer[:, :2560]), trunk.feature_map(longer[:, 40:])
    # Forty samples are ten steps of the last layer.
    assert torch.allclose(early[..., 10:], late[..., :-10], rtol=0, atol=1e-6)


def test_parameters_and_macs():
    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(Trunk()) == TRUNK_PARAMETERS == 329_152
    assert count(PretextHeads()) == 7 * 33_153
    assert count(PretextNetwork()) == 561_223
    lengths = (2560, 2560, 1277, 1277, 635, 635)
    macs = sum(s.inputs * s.filters * s.taps * n for s, n in zip(TRUNK_CONVS, lengths, strict=True))
    assert macs == TRUNK_MACS == 336_887_808


def test_initialisation_is_glorot_uniform_with_zero_bias():
    torch.manual_seed(0)
    network = PretextNetwork()
    for layer, shape in zip(network.trunk.layers, TRUNK_CONVS, strict=True):
        limit = math.sqrt(6 / (shape.taps * (shape.inputs + shape.filters)))
        assert 0.98 * limit < float(layer.weight.detach().abs().max()) <= limit
        assert not layer.bias.detach().any()
    assert float(network.trunk.layers[0].weight.detach().abs().max()) == pytest.approx(0.0754, rel=0.02)
    for weight, bias in zip(network.heads.weights, network.heads.biases, strict=True):
        limit = math.sqrt(6 / (weight.shape[1] + weight.shape[2]))
        assert 0.95 * limit < float(weight.detach().abs().max()) <= limit
        assert not bias.detach().any()


@pytest.mark.parametrize("shape", [TrunkShape(), OURS], ids=["paper", "ours"])
def test_trunk_equals_independent_float64_version_in_value_and_gradient(shape):
    torch.manual_seed(1)
    trunk, reference = Trunk(shape), Trunk(shape).double()
    reference.load_state_dict(trunk.state_dict())
    with torch.no_grad():
        for one, other in zip(trunk.layers, reference.layers, strict=True):
            one.bias.uniform_(-0.1, 0.1)
            other.bias.copy_(one.bias)
    windows, upstream = torch.randn(3, 2560), torch.randn(3, shape.embedding)
    ours, theirs = trunk(windows), reference_trunk(reference, windows.double())
    assert torch.allclose(ours.double(), theirs, rtol=0, atol=2e-6)
    (ours * upstream).sum().backward()
    (theirs * upstream).sum().backward()
    for one, other in zip(trunk.parameters(), reference.parameters(), strict=True):
        scale = float(other.grad.abs().max())
        assert torch.allclose(one.grad.double(), other.grad, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("name", ["same", "valid"])
@pytest.mark.parametrize(
    ("inputs", "outputs", "taps", "time"),
    [
        (1, 32, 32, 256),
        (32, 32, 32, 130),
        (32, 64, 16, 127),
        (64, 64, 16, 63),
        (64, 128, 8, 31),
        (3, 5, 7, 20),
    ],
)
def test_convolution_gradients_are_those_of_plain_convolution(inputs, outputs, taps, time, name):
    torch.manual_seed(2)
    padding = same_padding(taps) if name == "same" else VALID
    if name == "valid":
        time += taps - 1
    x = torch.randn(2, inputs, 1, time, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(outputs, inputs, taps, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(outputs, dtype=torch.float64, requires_grad=True)
    ours = conv(x.contiguous(memory_format=torch.channels_last), weight, bias, padding)
    upstream = torch.randn(ours.shape, dtype=torch.float64)
    left = (taps - 1) // 2
    framed = x[:, :, 0] if name == "valid" else nn.functional.pad(x[:, :, 0], (left, taps - 1 - left))
    plain = nn.functional.conv1d(framed, weight, bias)
    assert torch.allclose(ours[:, :, 0], plain)
    ours_gradients = torch.autograd.grad(ours, (x, weight, bias), upstream)
    plain_gradients = torch.autograd.grad(plain, (x, weight, bias), upstream[:, :, 0])
    for one, other in zip(ours_gradients, plain_gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9)


def test_bfloat16_gradients_stay_near_the_float32_ones():
    torch.manual_seed(3)
    trunk, windows = Trunk(), torch.randn(4, 2560)
    trunk(windows).square().sum().backward()
    exact = [parameter.grad.clone() for parameter in trunk.parameters()]
    trunk.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        embedded = trunk(windows)
    embedded.float().square().sum().backward()
    for parameter, expected in zip(trunk.parameters(), exact, strict=True):
        assert parameter.grad.dtype == torch.float32
        cosine = nn.functional.cosine_similarity(parameter.grad.flatten(), expected.flatten(), dim=0)
        assert float(cosine) > 0.95


@pytest.mark.parametrize(("taps", "left", "right"), [(32, 15, 16), (16, 7, 8), (8, 3, 4)])
def test_same_padding_of_even_kernels(taps, left, right):
    # Kernel tap j sees x[t + j - left]: an impulse at t = 50 answers from 50 - right to 50 + left.
    x = torch.zeros(1, 1, 1, 101)
    x[..., 50] = 1.0
    weight = torch.arange(1.0, taps + 1).view(1, 1, taps)
    out = conv(x, weight, torch.zeros(1), same_padding(taps)).flatten().numpy()
    expected = np.zeros(101)
    for tap in range(taps):
        expected[50 - (tap - left)] = tap + 1
    assert np.flatnonzero(out).tolist() == list(range(50 - right, 50 + left + 1))
    assert out == pytest.approx(expected)


def test_receptive_field_and_stride_by_perturbation():
    torch.manual_seed(4)
    trunk = Trunk().double()
    # Positive kernels and signal: every sample in the field reaches the output, whatever wins a maximum.
    with torch.no_grad():
        for layer in trunk.layers:
            layer.weight.abs_()
    windows = torch.rand(1, 512, dtype=torch.float64)
    fields = []
    for step in (60, 61):
        # A maximum passes one gradient on only; the union over many signals finds the whole field.
        touched = np.zeros(512, bool)
        for seed in range(60):
            torch.manual_seed(seed)
            x = torch.rand(1, 512, dtype=torch.float64, requires_grad=True)
            (gradient,) = torch.autograd.grad(trunk.feature_map(x)[0, :, step].sum(), x)
            touched |= gradient[0].numpy() != 0
        fields.append(np.flatnonzero(touched))
    first, second = fields
    assert first[-1] - first[0] + 1 == TRUNK_RECEPTIVE_FIELD_SAMPLES == 200
    assert second[0] - first[0] == second[-1] - first[-1] == TRUNK_STRIDE == 4
    # And without gradients: what lies outside changes nothing.
    with torch.no_grad():
        before = trunk.feature_map(windows)[0, :, 60]
        outside = windows.clone()
        outside[0, : first[0]] += 5
        outside[0, first[-1] + 1 :] += 5
        assert torch.equal(trunk.feature_map(outside)[0, :, 60], before)


def test_heads_are_seven_separate_networks():
    torch.manual_seed(5)
    heads = PretextHeads().eval()
    embedding = torch.randn(4, 128)
    out = heads(embedding)
    assert out.shape == (4, 7)
    for task in range(7):
        x = embedding
        for index, (weight, bias) in enumerate(zip(heads.weights, heads.biases, strict=True)):
            x = x @ weight[task] + bias[task]
            if index < 2:
                x = nn.functional.leaky_relu(x, 0.2)
        assert torch.allclose(out[:, task], x[:, 0], atol=1e-5)


def test_heads_drop_six_tenths_while_training_only():
    torch.manual_seed(6)
    heads = PretextHeads()
    with torch.no_grad():
        heads.weights[0].zero_(), heads.biases[0].fill_(1.0)
        heads.weights[1].zero_(), heads.biases[1].fill_(1.0)
        heads.weights[2].fill_(1.0)
        # Each of 128 values is kept with probability 0.4 and then divided by 0.4.
        kept = heads.train()(torch.zeros(2000, 128)).numpy() * 0.4 / 128
        assert kept.mean() == pytest.approx(0.4, abs=0.005)
        assert np.unique(heads.eval()(torch.zeros(3, 128)).numpy()).tolist() == [128.0]


@pytest.mark.parametrize("shape", [TrunkShape(), OURS], ids=["paper", "ours"])
def test_encoder_file_roundtrip_and_layout(tmp_path, shape):
    torch.manual_seed(7)
    trunk = Trunk(shape)
    save_encoder(tmp_path / "encoder.npz", trunk)
    with np.load(tmp_path / "encoder.npz") as arrays:
        weights = [f"conv{i}.{kind}" for i in range(1, 7) for kind in ("weight", "bias")]
        assert sorted(arrays.files) == sorted([*weights, "padding", "pooling"])
        assert arrays["conv3.weight"].shape == (64, 32, 16)
        assert {arrays[name].dtype for name in weights} == {np.dtype(np.float32)}
    back = load_encoder(tmp_path / "encoder.npz")
    assert back.shape == shape
    for one, other in zip(trunk.parameters(), back.parameters(), strict=True):
        assert torch.equal(one, other)
    assert [path.name for path in tmp_path.iterdir()] == ["encoder.npz"]


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "shape", "pooling"])
def test_bad_encoder_file_is_refused(tmp_path, damage):
    path = tmp_path / "encoder.npz"
    save_encoder(path, Trunk())
    if damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not an archive")
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        wrong = {"shape": ("conv1.weight", np.zeros((32, 1, 31), np.float32)), "pooling": ("pooling", "min")}
        name, value = wrong[damage]
        with np.load(path) as arrays:
            changed = {**arrays, name: np.asarray(value)}
        np.savez(path, **changed)
    with pytest.raises(DataError):
        load_encoder(path)


@pytest.mark.parametrize("shape", TRUNK_CONVS, ids=str)
@pytest.mark.parametrize("steps", [301, 640])
@pytest.mark.parametrize("padded", [True, False])
def test_a_convolution_on_blocks_is_the_same_convolution(shape, steps, padded):
    """Values and all three gradients, against the library's own conv1d in float64."""
    torch.manual_seed(0)
    x = torch.randn(2, shape.inputs, 1, steps, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(shape.filters, shape.inputs, shape.taps, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(shape.filters, dtype=torch.float64, requires_grad=True)
    padding = same_padding(shape.taps) if padded else VALID
    ours = blocked_forward(x.contiguous(memory_format=torch.channels_last), weight, bias, padding).squeeze(2)
    theirs = nn.functional.conv1d(nn.functional.pad(x.squeeze(2), padding), weight, bias)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    upstream = torch.randn_like(theirs)
    for a, b in zip(
        torch.autograd.grad(ours, (x, weight, bias), upstream),
        torch.autograd.grad(theirs, (x, weight, bias), upstream),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def test_the_gradient_of_a_maximum_goes_to_where_it_is():
    features = torch.randn(3, 5, 40, requires_grad=True)
    maxima = global_max(features)
    assert torch.equal(maxima, features.amax(-1))
    (gradient,) = torch.autograd.grad(maxima.sum(), features)
    assert torch.equal(gradient, (features == maxima[..., None]).float())
