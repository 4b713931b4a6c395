"""The pretext loss, its L2 term and the schedule, against hand computation in float64."""

from __future__ import annotations

import math

import pytest
import torch

from edge_ecg_train.losses import L2, TASK_WEIGHTS, pretext_loss, staircase
from edge_ecg_train.networks import PretextNetwork, parameter_groups
from edge_ecg_train.transforms import VERSIONS


def test_task_weights():
    by_name = dict(zip(VERSIONS, TASK_WEIGHTS, strict=True))
    assert by_name == {
        "original": 0.195,
        "noise": 0.195,
        "scale": 0.195,
        "negate": 0.0125,
        "flip": 0.0125,
        "permute": 0.195,
        "time_warp": 0.195,
    }
    assert math.fsum(TASK_WEIGHTS) == pytest.approx(1.0)


def by_hand(logits: list[list[float]], labels: list[int]) -> float:
    total = 0.0
    for task, weight in enumerate(TASK_WEIGHTS):
        entropy = 0.0
        for row, label in zip(logits, labels, strict=True):
            p = 1 / (1 + math.exp(-row[task]))
            entropy -= math.log(p) if label == task else math.log(1 - p)
        total += weight * entropy / len(labels)
    return total


def test_loss_equals_hand_computation():
    logits = torch.randn(30, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    labels = torch.arange(30) % 7
    expected = by_hand(logits.tolist(), labels.tolist())
    assert float(pretext_loss(logits, labels)) == pytest.approx(expected, rel=1e-12)
    assert float(pretext_loss(logits.float(), labels)) == pytest.approx(expected, rel=1e-5)


def test_losses_and_gradients_of_parts_add_up_to_the_batch():
    logits = torch.randn(28, 7, dtype=torch.float64, requires_grad=True)
    labels = torch.arange(28) % 7
    (whole,) = torch.autograd.grad(pretext_loss(logits, labels), logits)
    parts = [pretext_loss(logits[i : i + 5], labels[i : i + 5], 28) for i in range(0, 28, 5)]
    assert float(sum(parts).detach()) == pytest.approx(float(pretext_loss(logits, labels).detach()))
    (summed,) = torch.autograd.grad(sum(parts), logits)
    assert torch.allclose(whole, summed, rtol=1e-12)


def test_l2_adds_its_gradient_to_kernels_and_none_to_biases():
    torch.manual_seed(0)
    network = PretextNetwork().double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(0.1, 0.2)
    # Adam without memory and with a huge epsilon moves by -lr/eps * gradient: it shows what gradient it saw.
    huge = 1e6
    optimiser = torch.optim.Adam(parameter_groups(network, L2), lr=huge, betas=(0.0, 0.0), eps=huge)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    kernels = 0
    for name, parameter in network.named_parameters():
        seen = before[name] - parameter.detach()
        if "weight" in name:
            kernels += 1
            assert torch.allclose(seen, 1e-4 * before[name], rtol=1e-6)
        else:
            assert not seen.any()
    assert kernels == 6 + 3
    # The same number as the gradient of the penalty itself.
    weight = next(iter(network.parameters())).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(1e-4 * 0.5 * weight.square().sum(), weight)
    assert torch.allclose(gradient, 1e-4 * weight.detach())


def test_staircase():
    expected = {0: 1e-3, 9_999: 1e-3, 10_000: 9e-4, 19_999: 9e-4, 20_000: 8.1e-4, 100_000: 1e-3 * 0.9**10}
    for step, rate in expected.items():
        assert staircase(step) == pytest.approx(rate, rel=1e-12)
