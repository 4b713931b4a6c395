"""Refitting a head: the one minimum, found; held by the head that it starts from; on any data."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax
from sklearn.linear_model import LogisticRegression

from edge_ecg.heads import MlpHead
from edge_ecg.heads.refit import BIAS_VARIANCE, balanced_weights, minimise, refit

Array = NDArray[np.float64]


def examples(seed: int, n: int, d: int, classes: int = 2) -> tuple[Array, NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = rng.normal(0, 0.4, (classes, d))
    return centres[labels] + rng.normal(size=(n, d)), labels


def linear_head(seed: int, d: int, outputs: int = 1, temperature: float = 1.5) -> MlpHead:
    rng = np.random.default_rng(seed)
    return MlpHead(
        rng.normal(size=d),
        rng.uniform(0.5, 2, d),
        [rng.normal(0, 0.1, (d, outputs))],
        [rng.normal(0, 0.5, outputs)],
        temperature,
    )


@pytest.mark.parametrize(("n", "d"), [(30, 8), (12, 50), (1, 3)])
def test_with_the_prior_at_zero_it_is_sklearn_s_ridge_penalised_regression(n: int, d: int) -> None:
    x, y = examples(1, max(n, 2), d)
    found = minimise(x, np.zeros((len(x), 1)), y[:, None].astype(float), np.ones(len(x)), precision=0.5)
    reference = LogisticRegression(C=2.0, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x, y)
    np.testing.assert_allclose(found[:, 0], reference.coef_[0], atol=1e-6)


def test_multinomial_is_sklearn_s_too() -> None:
    x, y = examples(2, 60, 10, classes=3)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(x))
    found = minimise(x, np.zeros((len(x), 3)), np.eye(3)[y], weight, precision=1.0)
    reference = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-12, max_iter=100_000)
    reference.fit(x, y, sample_weight=weight)
    np.testing.assert_allclose(found, reference.coef_.T, atol=1e-6)


@pytest.mark.parametrize(("outputs", "classes"), [(1, 2), (2, 2), (3, 3)])
def test_the_shifted_prior_is_what_the_docstring_says(outputs: int, classes: int) -> None:
    """The whole objective written down anew, in the head's own parameters, and given to scipy."""
    d, logit_sd = 6, 0.7
    head = linear_head(3, d, outputs)
    x, y = examples(4, 24, d, classes)
    z = (x - head.mean) / head.scale
    weights = balanced_weights(y)
    start = np.concatenate([head.weights[0], head.biases[0][None]]).astype(float) / head.temperature

    def objective(flat: Array) -> float:
        layer = flat.reshape(start.shape)
        logits = z @ layer[:-1] + layer[-1]
        if outputs == 1:
            logits = np.column_stack([np.zeros(len(z)), logits])
        loss = -weights @ log_softmax(logits, axis=1)[np.arange(len(z)), y]
        moved = layer - start
        penalty = (moved[:-1] ** 2).sum() + (moved[-1] ** 2).sum() / (d * BIAS_VARIANCE)
        return float(loss + 0.5 * d / logit_sd**2 * penalty)

    best = minimize(objective, start.ravel(), tol=1e-14, options={"gtol": 1e-9}).x.reshape(start.shape)
    found = refit(head, x, y, logit_sd=logit_sd)
    assert found.temperature == 1.0
    np.testing.assert_allclose(found.weights[0], best[:-1], atol=1e-5)
    np.testing.assert_allclose(found.biases[0], best[-1], atol=1e-5)
    assert objective(best.ravel()) < objective(start.ravel()) - 0.1


def test_without_room_to_move_the_head_stays_what_it_was() -> None:
    head = linear_head(5, 20)
    x, y = examples(6, 40, 20)
    found = refit(head, x, y, logit_sd=1e-6)
    np.testing.assert_allclose(found.probabilities(x), head.probabilities(x), atol=1e-6)


def test_data_that_a_line_separates_converge_to_a_finite_head() -> None:
    x = np.concatenate([np.full((20, 384), -1.0), np.full((20, 384), 1.0)])
    y = np.repeat([0, 1], 20)
    head = MlpHead(np.zeros(384), np.ones(384), [np.zeros((384, 1))], [[0.0]])
    found = refit(head, 50 * x, y)
    assert (found.probabilities(50 * x).argmax(axis=1) == y).all()
    assert np.abs(found.weights[0]).max() < 1.0


def test_far_offsets_do_not_break_newton_s_steps() -> None:
    """A head that is wrong with great confidence is where undamped Newton overshoots."""
    x, y = examples(7, 40, 5)
    offset = np.where(y == 1, -60.0, 60.0)[:, None]
    found = minimise(x, offset, y[:, None].astype(float), np.ones(len(x)), precision=0.01)
    gradient = x.T @ (expit(offset + x @ found) - y[:, None]) + 0.01 * found
    assert np.abs(gradient).max() < 1e-4


def test_hidden_layers_stay_and_the_last_one_moves() -> None:
    rng = np.random.default_rng(8)
    head = MlpHead(
        np.zeros(12),
        np.ones(12),
        [rng.normal(size=(12, 7)), rng.normal(size=(7, 1))],
        [rng.normal(size=7), [0.3]],
    )
    x, y = examples(9, 30, 12)
    found = refit(head, x, y)
    np.testing.assert_array_equal(found.weights[0], head.weights[0])
    hidden = np.maximum(x @ head.weights[0] + head.biases[0], 0.0)
    direct = refit(MlpHead(np.zeros(7), np.ones(7), [head.weights[1]], [head.biases[1]]), hidden, y)
    np.testing.assert_allclose(found.probabilities(x), direct.probabilities(hidden), atol=1e-4)


def test_a_missing_feature_counts_as_the_training_mean() -> None:
    head = linear_head(10, 4)
    x, y = examples(11, 20, 4)
    x[::3, 2] = np.nan
    filled = np.where(np.isnan(x), head.mean, x)
    np.testing.assert_allclose(refit(head, x, y).weights[0], refit(head, filled, y).weights[0], atol=1e-6)


def test_each_label_has_the_same_share_however_often_it_was_marked() -> None:
    y = np.array([0] * 30 + [1] * 10)
    weights = balanced_weights(y)
    assert weights[y == 0].sum() == pytest.approx(weights[y == 1].sum())
    assert weights.sum() == pytest.approx(40)


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], [0, 1, 2], [-1, 0, 1], [0, 1]])
def test_examples_that_say_nothing_or_nonsense_are_refused(labels: list[int]) -> None:
    with pytest.raises(ValueError, match="labels"):
        refit(linear_head(0, 4), np.zeros((3, 4)), labels)
