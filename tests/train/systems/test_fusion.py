"""Late and early fusion: the folded head is the computation in stages, and the weights are the right ones."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from edge_ecg_train.fusion import fit_early, fit_hybrid, fit_late, weigh
from edge_ecg_train.heads import PRESETS, HeadConfig, fit_head

HYBRID = PRESETS["hybrid"]
WIDTH = 20


def people(
    classes: int = 2, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.str_]]:
    """Embeddings that say a little, three intervals that say much and are missing now and then."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, 300)
    features = rng.normal(size=(300, WIDTH + 3)) * np.geomspace(0.1, 50, WIDTH + 3) + 4
    features[:, :3] += 0.06 * labels[:, None] * [1, 2, 3]
    features[:, WIDTH] += 40 * labels
    features[::11, WIDTH:] = np.nan
    return features, labels, np.repeat([f"p{i}" for i in range(10)], 30)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_folded_head_is_the_two_stages(classes: int) -> None:
    features, labels, groups = people(classes)
    fused = fit_late(features, labels, groups, WIDTH, classes, HYBRID)
    np.testing.assert_allclose(
        fused.as_head().probabilities(features), fused.probabilities(features), atol=2e-5
    )
    # The stages once more, from heads that are fitted here.
    ours = fit_head(features[:, :WIDTH], labels, HeadConfig(c=0.01)).logits(features[:, :WIDTH])
    theirs = fit_head(features[:, WIDTH:], labels, HeadConfig(c=1.0)).logits(features[:, WIDTH:])
    scores = fused.weights[0] * ours + fused.weights[1] * theirs + fused.bias
    scores = np.hstack([np.zeros_like(scores), scores]) if classes == 2 else scores
    np.testing.assert_allclose(fused.probabilities(features), softmax(scores, axis=1), atol=2e-5)


def test_weights_are_those_of_logistic_regression() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random(400) < 0.3).astype(np.int64)
    logits = [labels[:, None] * one + rng.normal(size=(400, 1)) for one in (1.0, 0.6)]
    model = LogisticRegression(C=np.inf, class_weight="balanced", tol=1e-8).fit(np.hstack(logits), labels)
    weights, bias = weigh(logits, labels)
    np.testing.assert_allclose([*weights, *bias], [*model.coef_[0], *model.intercept_], atol=1e-3)


def test_a_model_that_misleads_counts_nothing() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 300)
    good = np.eye(3)[labels] + rng.normal(size=(300, 3))
    bad = -np.eye(3)[labels] + rng.normal(size=(300, 3))
    weights, _ = weigh([good, bad], labels)
    assert weights[0] > 0.5
    assert weights[1] == 0.0


def test_many_embedding_values_do_not_outvote_the_intervals() -> None:
    """Two hundred values of noise beside one interval that tells: joined naively they drown it."""
    rng = np.random.default_rng(3)
    labels = np.tile([0, 1], 150)
    features = np.hstack([rng.normal(size=(300, 200)), (labels + 0.7 * rng.normal(size=300))[:, None]])
    groups = np.repeat([f"p{i}" for i in range(10)], 30)
    train, test = np.arange(180), np.arange(180, 300)
    config = HeadConfig(kind="hybrid", c=1.0)
    fused = fit_hybrid(features[train], labels[train], groups[train], 200, 2, config)
    naive = fit_head(features[train], labels[train], HeadConfig(c=1.0))
    alone = roc_auc_score(labels[test], features[test, -1])
    late = roc_auc_score(labels[test], fused.probabilities(features[test])[:, 1])
    joined = roc_auc_score(labels[test], naive.probabilities(features[test])[:, 1])
    assert late > alone - 0.02
    assert late > joined + 0.05


def test_early_fusion_is_a_ridge_with_two_penalties() -> None:
    features, labels, _ = people()
    known = features[np.isfinite(features).all(axis=1)]
    labels = labels[np.isfinite(features).all(axis=1)]
    config = HeadConfig(kind="hybrid", fusion="early", c=0.02, c_intervals=5.0, class_weight="none")
    head = fit_early(known, labels, WIDTH, 2, config)
    x = (known - known.mean(0)) / known.std(0)
    weights = head.weights[0][:, 0] / head.scale * known.std(0)
    # At the optimum the slope of the log loss is minus that of the penalty, w / c of its part.
    wrong = labels - head.probabilities(known)[:, 1]
    c = np.where(np.arange(WIDTH + 3) < WIDTH, 0.02, 5.0)
    np.testing.assert_allclose(x.T @ wrong, weights / c, atol=2e-2 * np.abs(weights / c).max())


@pytest.mark.parametrize("fusion", ["late", "early"])
def test_a_missing_interval_is_an_average_one(fusion: str) -> None:
    features, labels, groups = people()
    config = HeadConfig(kind="hybrid", c=0.01, fusion=fusion)  # type: ignore[arg-type]
    head = fit_hybrid(features, labels, groups, WIDTH, 2, config)
    average = np.where(np.isfinite(features), features, np.nanmean(features, axis=0))
    np.testing.assert_allclose(head.probabilities(features), head.probabilities(average), atol=1e-5)


def test_temperature_softens_what_is_too_sure() -> None:
    """One half of the people is labelled at random: what is learnt of the others is no certainty."""
    features, labels, groups = people()
    labels = np.where(groups < "p5", labels, np.random.default_rng(5).integers(0, 2, 300))
    sharp = HeadConfig(kind="hybrid", c=1000.0, c_intervals=1000.0, fusion="early", temperature=True)
    assert fit_hybrid(features, labels, groups, WIDTH, 2, sharp).temperature > 1.2


def test_rounding_keeps_the_embedding_part_away() -> None:
    features, labels, groups = people()
    rounding = np.zeros((WIDTH, WIDTH))
    rounding[2, 2] = 1.0
    config = HeadConfig(kind="hybrid", c=0.1, rounding_penalty=1e6)
    head = fit_late(features, labels, groups, WIDTH, 2, config, rounding).embedding
    free = fit_late(features, labels, groups, WIDTH, 2, HeadConfig(kind="hybrid", c=0.1)).embedding
    assert abs(head.weights[0][2, 0]) < 0.01 * abs(free.weights[0][2, 0])


def test_two_people_are_too_few_to_weigh() -> None:
    features, labels, _ = people()
    fused = fit_late(features, labels, np.full(300, "one"), WIDTH, 2, HYBRID)
    assert fused.weights == (0.5, 0.5)
