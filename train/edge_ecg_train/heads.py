"""Heads on embeddings: logistic regression, or a multi-layer perceptron as in the paper.

Nothing is chosen by looking at windows that a head is tested on: the number of epochs is fixed, the
standardisation is the training windows', and the temperature is fitted on people left out of the training
people, one group after another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from torch import nn

from edge_ecg.errors import DataError, UsageError
from edge_ecg.heads.mlp import MlpHead
from edge_ecg.heads.personal import PERSONAL_FEATURES, SOURCES

from .inner_folds import inner_folds
from .sampling import batch_rows

Features = NDArray[np.float32] | NDArray[np.float64]

_TEMPERATURES = (0.05, 20.0)
_UNSEEN_CLASS_BIAS = -30.0


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """How a head is built and trained.

    Parameters
    ----------
    kind:
        "linear": logistic regression (scikit-learn's, to its optimum). "mlp": dense layers with ReLU, Adam.
        "hybrid": linear, on the embedding and on features of the beat intervals (``fusion``), with a second
        head for people whose baseline is known.
    c:
        Linear, hybrid: the inverse strength of the L2 penalty on what the embedding weighs.
    c_plain:
        Hybrid: the same for the head without a baseline, if it differs. Absolute embeddings tell people apart
        more than their states, so it takes a stronger penalty.
    rounding_penalty:
        Linear, hybrid: how much more a weight costs in the directions in which eight-bit arithmetic moves
        embeddings (see ``rounding_covariance``); 0 ignores them.
    hidden, dropout, l2:
        MLP: the widths of the hidden layers, the probability to drop a hidden value, and λ of a penalty
        λ * sum w² over kernels.
    epochs, batch, learning_rate:
        MLP: a fixed number of epochs, Adam at a constant rate.
    standardise:
        Bring each embedding value to mean 0 and standard deviation 1 over the training windows.
    class_weight:
        "balanced": classes count equally, however many windows they have. "none": windows do.
    temperature:
        Also fit a temperature for the probabilities (needs groups, see ``fit_head``).
    intervals, personal:
        Hybrid: the interval features (:mod:`edge_ecg.heads.intervals`) beside the embedding; and those beside
        an embedding's difference from the baseline (:mod:`edge_ecg.heads.personal`).
    c_intervals:
        Hybrid: the inverse strength of the penalty on what these features weigh.
    fusion:
        Hybrid: "late" weighs two models by people left out, "early" fits one (:mod:`edge_ecg_train.fusion`).
    baseline_s:
        Hybrid: seconds at rest that the second head's baseline is taken from; 0: no second head.
    context_s:
        Hybrid: seconds over which a device averages logits.
    seed:
        Of an MLP's weights, order and dropout.

    """

    kind: Literal["linear", "mlp", "hybrid"] = "linear"
    c: float = 1.0
    c_plain: float | None = None
    rounding_penalty: float = 0.0
    hidden: tuple[int, ...] = (64,)
    dropout: float = 0.0
    l2: float = 0.0
    epochs: int = 200
    batch: int = 128
    learning_rate: float = 1e-3
    standardise: bool = True
    class_weight: Literal["balanced", "none"] = "balanced"
    temperature: bool = False
    seed: int = 0
    intervals: tuple[str, ...] = SOURCES
    personal: tuple[str, ...] = PERSONAL_FEATURES
    c_intervals: float = 1.0
    fusion: Literal["late", "early"] = "late"
    baseline_s: float = 60.0
    context_s: float = 0.0

    def plain(self) -> HeadConfig:
        """Return the settings of the head without a baseline."""
        return self if self.c_plain is None else replace(self, c=self.c_plain)


_PAPER = HeadConfig(kind="mlp", hidden=(512, 512), standardise=False, class_weight="none")

PRESETS: dict[str, HeadConfig] = {
    "linear": HeadConfig(),
    "mlp": HeadConfig(kind="mlp", hidden=(64,), dropout=0.4, l2=1e-4, epochs=60),
    "hybrid": HeadConfig(kind="hybrid", c=0.01, c_plain=1e-4),
    "swell": _PAPER,
    "wesad": _PAPER,
    "dreamer": replace(_PAPER, hidden=(512, 512, 512), dropout=0.2, l2=1e-4),
    "amigos": replace(_PAPER, hidden=(512, 512, 512), dropout=0.4),
}
"""Small heads of our own, and those of the released code by data set. Where that has two sigmoid outputs for
two classes, ours have one, whose logit is the second class's."""


def fit_head(
    embeddings: Features,
    labels: NDArray[np.int64],
    config: HeadConfig | None = None,
    *,
    classes: int | None = None,
    groups: NDArray[np.str_] | None = None,
    rounding: NDArray[np.float64] | None = None,
) -> MlpHead:
    """Fit a head on a frozen encoder's embeddings.

    Parameters
    ----------
    embeddings:
        (n, d), with interval features behind them or not; NaN where one is not known.
    labels:
        (n,) class numbers from 0.
    config:
        The kind of head; a linear one if None.
    classes:
        How many classes there are, when some may be missing here; else the largest label and one.
    groups:
        Who each window is of, (n,): what the temperature's folds keep apart.
    rounding:
        (d, d) covariance of the encoder's rounding error, for a ``rounding_penalty``.

    Raises
    ------
    DataError
        If there are fewer than two classes, or fewer than two people for the temperature.
    UsageError
        If a setting makes no sense.

    """
    config = config or HeadConfig()
    _check(config)
    if len(np.unique(labels)) < 2:
        raise DataError(
            "A head needs windows of at least two classes.",
            why=f"There are {len(labels)} labelled windows of {len(np.unique(labels))} class(es).",
            remedy="Prepare recordings of all classes.",
        )
    count = max(int(labels.max()) + 1, classes or 2)
    if config.rounding_penalty and rounding is None:
        raise ValueError("a rounding penalty needs the covariance of the rounding error")
    head = _fit(embeddings, labels, config, count, rounding)
    if config.temperature:
        if groups is None:
            raise ValueError("a temperature needs groups")
        head.temperature = left_out_temperature(
            embeddings,
            labels,
            groups,
            lambda rows: _fit(embeddings[rows], labels[rows], config, count, rounding),
        )
    return head


def _fit(
    embeddings: Features,
    labels: NDArray[np.int64],
    config: HeadConfig,
    classes: int,
    rounding: NDArray[np.float64] | None,
) -> MlpHead:
    x = np.asarray(embeddings, np.float64)
    mean, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    if config.standardise:
        mean, scale = standardisation(x)
    x = np.nan_to_num((x - mean) / scale, copy=False)  # a missing value counts as the mean, as in MlpHead
    if config.kind == "linear":
        shrink = np.eye(x.shape[1])
        if rounding is not None and config.rounding_penalty:
            shrink = _shrink(rounding / np.outer(scale, scale), config.rounding_penalty)
        weights, biases = _fit_linear(x @ shrink, labels, config, classes)
        weights = [shrink @ np.asarray(weight) for weight in weights]
    else:
        weights, biases = _fit_mlp(x, labels, config, classes)
    return MlpHead(mean, scale, weights, biases)


def standardisation(x: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of the columns of (n, d) values, missing ones (NaN) left out.

    A value that never changes has nothing to say; dividing by its rounding error would make it loud, so its
    scale is 1.
    """
    known = np.isfinite(x)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, x, 0.0).sum(0) / count
    sd = np.sqrt(np.where(known, (x - mean) ** 2, 0.0).sum(0) / count)
    return mean, np.where(sd > 1e-6 * np.maximum(1.0, np.abs(mean)), sd, 1.0)


Layers = tuple[list[ArrayLike], list[ArrayLike]]


def _shrink(covariance: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """Return (I + penalty * covariance)^(-1/2).

    Ridge regression on features that went through this matrix is ridge regression on the features with the
    penalty ||w||² + penalty * E[(w · error)²]: what rounding would add to the logit costs as weights do.
    """
    values, vectors = np.linalg.eigh(np.eye(len(covariance)) + penalty * covariance)
    root: NDArray[np.float64] = (vectors / np.sqrt(values)) @ vectors.T
    return root


def _fit_linear(
    x: NDArray[np.float64], labels: NDArray[np.int64], config: HeadConfig, classes: int
) -> Layers:
    weight = "balanced" if config.class_weight == "balanced" else None
    model = LogisticRegression(C=config.c, class_weight=weight, max_iter=5000, tol=1e-6)
    model.fit(x, labels)
    if classes == 2:
        return [model.coef_.T], [model.intercept_]
    kernel = np.zeros((x.shape[1], classes))
    bias = np.full(classes, _UNSEEN_CLASS_BIAS)
    if len(model.classes_) == 2:  # scikit-learn gives the one logit of two classes
        kernel[:, model.classes_[1]] = model.coef_[0]
        bias[model.classes_] = 0.0, model.intercept_[0]
    else:
        kernel[:, model.classes_] = model.coef_.T
        bias[model.classes_] = model.intercept_
    return [kernel], [bias]


def _fit_mlp(x: NDArray[np.float64], labels: NDArray[np.int64], config: HeadConfig, classes: int) -> Layers:
    outputs = 1 if classes == 2 else classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        layers = dense_layers(x.shape[1], config.hidden, outputs, config.dropout)
        dense = [layer for layer in layers if isinstance(layer, nn.Linear)]
        groups: list[dict[str, Any]] = [
            {"params": [layer.weight for layer in dense], "weight_decay": 2 * config.l2},
            {"params": [layer.bias for layer in dense]},
        ]
        optimiser = torch.optim.Adam(groups, lr=config.learning_rate, eps=1e-7)
        features = torch.from_numpy(x.astype(np.float32))
        targets = torch.from_numpy(np.asarray(labels, np.int64))
        weights = class_weights(labels, classes, config.class_weight)
        rows, size = np.arange(len(x)), min(config.batch, len(x))
        layers.train()
        for step in range(config.epochs * -(-len(x) // size)):
            batch = torch.from_numpy(batch_rows(rows, step, size, config.seed))
            optimiser.zero_grad(set_to_none=True)
            loss = class_loss(layers(features[batch]), targets[batch], weights)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return layer_arrays(layers)


def dense_layers(inputs: int, hidden: tuple[int, ...], outputs: int, dropout: float) -> nn.Sequential:
    """Return dense layers with ReLU and dropout between, Glorot-uniform kernels, zero biases."""
    layers: list[nn.Module] = []
    width = inputs
    for units in hidden:
        layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
        width = units
    layers.append(nn.Linear(width, outputs))
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def layer_arrays(layers: nn.Sequential) -> Layers:
    """Return the kernels (in, out) and biases of dense layers, as ``MlpHead`` takes them."""
    dense = [layer for layer in layers if isinstance(layer, nn.Linear)]
    return (
        [layer.weight.detach().cpu().numpy().T for layer in dense],
        [layer.bias.detach().cpu().numpy() for layer in dense],
    )


def class_weights(labels: NDArray[np.int64], classes: int, kind: str) -> torch.Tensor:
    """Return a weight for each class, (classes,), whose mean over the labels is 1."""
    if kind != "balanced":
        return torch.ones(classes)
    counts = np.bincount(labels, minlength=classes)
    seen = np.count_nonzero(counts)
    return torch.from_numpy(len(labels) / (seen * np.maximum(counts, 1.0))).float()


def class_loss(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean cross-entropy of (n, 1) sigmoid or (n, k) softmax logits."""
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], 1)
    each = nn.functional.cross_entropy(logits, labels, reduction="none")
    return (weights[labels] * each).mean()


def left_out_temperature(
    embeddings: Features,
    labels: NDArray[np.int64],
    groups: NDArray[np.str_],
    fit: Callable[[NDArray[np.int64]], MlpHead],
) -> float:
    """Return the temperature that makes the likelihood of people left out the largest (Guo et al. 2017).

    Parameters
    ----------
    embeddings, labels, groups:
        As of :func:`fit_head`.
    fit:
        Fits a head on some rows.

    Raises
    ------
    DataError
        If there are fewer than two people, or each has windows of one class only.

    """
    if len(np.unique(groups)) < 2:
        raise DataError(
            "A temperature needs at least two people.", remedy="Train without it, or on more people."
        )
    logits, truth = [], []
    for training, left_out in inner_folds(labels, groups):
        out = fit(training).logits(embeddings[left_out])
        logits.append(np.hstack([np.zeros_like(out), out]) if out.shape[1] == 1 else out)
        truth.append(labels[left_out])
    if not logits:
        raise DataError("Each person has windows of one class only: no temperature can be fitted.")
    joined, right = np.concatenate(logits).astype(np.float64), np.concatenate(truth)

    def loss(log_temperature: float) -> float:
        scores = log_softmax(joined / np.exp(log_temperature), axis=1)
        return float(-scores[np.arange(len(right)), right].mean())

    best = minimize_scalar(loss, bounds=tuple(np.log(_TEMPERATURES)), method="bounded")
    return float(np.exp(best.x))


def _check(config: HeadConfig) -> None:
    if config.kind not in ("linear", "mlp"):
        raise UsageError(
            f"A head of kind {config.kind!r} cannot be fitted on embeddings alone.",
            remedy="Use linear or mlp.",
        )
    if config.class_weight not in ("balanced", "none"):
        raise UsageError(
            f"Class weights {config.class_weight!r} are unknown.", remedy="Use balanced or none."
        )
    positive = {
        "c": config.c,
        "c_plain": 1.0 if config.c_plain is None else config.c_plain,
        "c_intervals": config.c_intervals,
        "epochs": config.epochs,
        "batch": config.batch,
    }
    wrong = [name for name, value in positive.items() if value <= 0]
    wrong += [name for name, value in {"rounding_penalty": config.rounding_penalty}.items() if value < 0]
    if wrong or not 0 <= config.dropout < 1:
        raise UsageError(
            f"A head's {', '.join(wrong) or 'dropout'} makes no sense.",
            remedy="c, epochs and batch are positive; a penalty is at least 0, dropout too, and below 1.",
        )
