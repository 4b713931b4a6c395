"""Heads that keep out of the way of eight-bit rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from edge_ecg.errors import UsageError
from edge_ecg_train.heads import HeadConfig, fit_head
from edge_ecg_train.networks import PAPER_TRUNK, Trunk, TrunkShape
from edge_ecg_train.rounding import rounding_errors


def two_equal_features() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = np.arange(400) % 2
    return labels[:, None] + rng.normal(size=(400, 2)), labels


def test_the_penalty_is_ridge_on_what_rounding_adds_to_the_logit() -> None:
    x, labels = two_equal_features()
    errors = np.random.default_rng(4).normal(size=(50, 2)) * [0.1, 0.4]
    covariance = errors.T @ errors / 50
    config = HeadConfig(c=0.1, rounding_penalty=30.0, class_weight="none")
    head = fit_head(x, labels, config, rounding=covariance)

    # The same optimum, written out: minimise log-loss + (|w|² + 30 E[(w·e)²]) / (2 c) over weights of z.
    z = torch.from_numpy((x - x.mean(0)) / x.std(0))
    scaled = torch.from_numpy(covariance / np.outer(x.std(0), x.std(0)))
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([w], max_iter=200, tolerance_grad=1e-10, tolerance_change=1e-14)
    target = torch.from_numpy(labels.astype(float))

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = z @ w[:2] + w[2]
        data = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
        value = data + (w[:2] @ w[:2] + 30.0 * w[:2] @ scaled @ w[:2]) / (2 * 0.1)
        value.backward()
        return value

    optimiser.step(loss)
    np.testing.assert_allclose(head.weights[0][:, 0], w[:2].detach().numpy(), rtol=1e-3)
    np.testing.assert_allclose(head.biases[0][0], w[2].item(), atol=1e-3)


def test_without_a_penalty_the_head_is_plain_logistic_regression() -> None:
    x, labels = two_equal_features()
    head = fit_head(x, labels, HeadConfig(c=0.1), rounding=np.eye(2))
    z = (x - x.mean(0)) / x.std(0)
    plain = LogisticRegression(C=0.1, class_weight="balanced", tol=1e-6, max_iter=5000).fit(z, labels)
    np.testing.assert_allclose(head.weights[0][:, 0], plain.coef_[0], rtol=1e-5)


def test_a_penalty_needs_to_know_the_rounding() -> None:
    x, labels = two_equal_features()
    with pytest.raises(ValueError, match="covariance"):
        fit_head(x, labels, HeadConfig(rounding_penalty=1.0))
    with pytest.raises(UsageError):
        fit_head(x, labels, HeadConfig(rounding_penalty=-1.0))


@pytest.mark.parametrize(
    "shape", [PAPER_TRUNK, TrunkShape("valid", "max-mean-std")], ids=lambda shape: shape.pooling
)
def test_rounding_errors_are_those_of_255_steps_a_channel(shape: TrunkShape) -> None:
    torch.manual_seed(0)
    trunk = Trunk(shape)
    windows = np.random.default_rng(0).normal(size=(3, 2560)).astype(np.float32)
    widths = [0.0] * 6
    with torch.no_grad():
        # Every channel's range first, then the same again with rounded values, window by window.
        x = torch.from_numpy(windows)[:, None, :]
        values = []
        for rounded in (False, True):
            x = torch.from_numpy(windows)[:, None, :]
            for index, conv in enumerate(trunk.layers):
                taps = conv.weight.shape[2]
                sides = ((taps - 1) // 2, taps // 2) if shape.padding == "same" else (0, 0)
                padded = torch.nn.functional.pad(x, sides)
                x = torch.nn.functional.conv1d(padded, conv.weight, conv.bias)
                if index in (1, 3):
                    x = torch.nn.functional.max_pool1d(x, 8, 2)
                if not rounded:
                    widths[index] = 2 * x.abs().amax((0, 2))[None, :, None]
                    if index == 5:
                        high, low = x.amax((0, 2)).clamp(min=0), x.amin((0, 2)).clamp(max=0)
                        widths[5] = (2 * high - 1.25 * low)[None, :, None]
                elif index < 5 or shape.pooling != "max":
                    step = widths[index] / 255
                    x = (x / step).round() * step
                x = torch.where(x >= 0, x, 0.2 * x)
            pooled = [x.amax(2), x.mean(2), x.std(2, correction=0)]
            values.append(torch.cat(pooled[: 1 if shape.pooling == "max" else 3], 1))
    expected = (values[1] - values[0]).numpy()
    measured = rounding_errors(trunk, windows)
    # A sum that falls the other way at half a step moves a value by a step, which spreads; most must agree.
    assert np.median(np.abs(measured - expected)) < 0.05 * np.median(np.abs(expected))
    assert np.abs(measured).max() > 1e-4
