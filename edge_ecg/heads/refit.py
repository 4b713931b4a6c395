"""Fitting a head's last layer to one person: logistic regression that starts from, and is held by, the head.

Maximum a posteriori: the last layer's weights have a Gaussian prior whose mean is the head as it was trained
on many people, so a few marked windows move it a little and a hundred of them more. The minimum of

    sum_i w_i * cross_entropy(y_i, z_i @ W + b)  +  precision / 2 * (|W - W0|^2 + |b - b0|^2 / BIAS_VARIANCE)

is unique and is found by Newton's method in the space that the examples span (at most as many dimensions as
examples), where the prior is the same; so 400 inputs and a hundred examples take milliseconds. With the prior
at zero it is ridge-penalised logistic regression (Bishop, Pattern Recognition and Machine Learning, 2006,
sections 4.3 and 4.5).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .mlp import MlpHead

FloatArray = NDArray[np.float64]

LOGIT_SD = 1.0
"""The prior's standard deviation of how far a typical window's logit moves."""

BIAS_VARIANCE = 4.0
"""Prior variance of the bias in units of all weights' together: a person's threshold moves most freely."""

_MAX_STEPS = 100
_TOLERANCE = 1e-10


def refit(
    head: MlpHead,
    inputs: ArrayLike,
    labels: ArrayLike,
    *,
    logit_sd: float = LOGIT_SD,
    sample_weight: ArrayLike | None = None,
) -> MlpHead:
    """Fit the last layer of ``head`` to one person's examples.

    Parameters
    ----------
    head:
        As trained; hidden layers, standardisation and the number of labels stay as they are.
    inputs:
        (n, d) as the head takes them, of the person alone; NaN counts as the training mean.
    labels:
        (n,) label numbers, at least two different ones.
    logit_sd:
        How far the prior lets the logit of a typical window move, as a standard deviation.
    sample_weight:
        (n,) what each example counts; :func:`balanced_weights` when None.

    Returns
    -------
    A head of the same shape, its temperature 1 (the old one is part of the new weights).

    Raises
    ------
    ValueError
        When the shapes do not fit, a label does not exist, or all examples have the same one.

    """
    values = _last_layer_inputs(head, inputs)
    numbers = np.asarray(labels, dtype=np.int64)
    if len(values) != len(numbers) or values.ndim != 2:
        raise ValueError(f"{len(numbers)} labels for {len(values)} examples")
    if len(np.unique(numbers)) < 2 or numbers.min() < 0 or numbers.max() >= head.classes:
        raise ValueError("the examples must be of two or more of the head's labels")
    weight = balanced_weights(numbers) if sample_weight is None else np.asarray(sample_weight, np.float64)
    outputs = head.weights[-1].shape[1]
    targets = (numbers[:, None] == (np.arange(outputs) if outputs > 1 else 1)).astype(np.float64)

    temperature = head.temperature
    prior_weight = head.weights[-1].astype(np.float64) / temperature
    prior_bias = head.biases[-1].astype(np.float64) / temperature
    width = prior_weight.shape[0]
    precision = width / logit_sd**2
    # The bias as the weight of a constant input, whose size makes one precision serve both.
    constant = np.sqrt(width * BIAS_VARIANCE)
    design = np.column_stack([values, np.full(len(values), constant)])
    moved = minimise(design, values @ prior_weight + prior_bias, targets, weight, precision)
    return MlpHead(
        head.mean,
        head.scale,
        [*head.weights[:-1], prior_weight + moved[:-1]],
        [*head.biases[:-1], prior_bias + constant * moved[-1]],
    )


def balanced_weights(labels: NDArray[np.int64]) -> FloatArray:
    """(n,) weights that sum to n and give each label that occurs the same share."""
    _, which, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights: FloatArray = (len(labels) / (len(counts) * counts))[which]
    return weights


def minimise(
    design: FloatArray, offset: FloatArray, targets: FloatArray, weight: FloatArray, precision: float
) -> FloatArray:
    """Return the (d, k) matrix D that minimises the cross-entropy of ``offset + design @ D`` and a penalty.

    Parameters
    ----------
    design:
        (n, d).
    offset:
        (n, k) logits where D is zero.
    targets:
        (n, k) one-hot; with k = 1 whether it is the second of two labels.
    weight:
        (n,) what each row counts.
    precision:
        The penalty is ``precision / 2 * |D|^2``, above 0.

    """
    # The minimum lies in the span of the rows: their coordinates in an orthonormal basis are all it takes.
    left, sizes, basis = np.linalg.svd(design, full_matrices=False)
    rows = left * sizes
    moved = np.zeros((rows.shape[1], targets.shape[1]))
    value, shares = _objective(rows, offset, targets, weight, precision, moved)
    for _ in range(_MAX_STEPS):
        gradient = rows.T @ (weight[:, None] * (shares - targets)) + precision * moved
        step = np.linalg.solve(_hessian(rows, shares, weight, precision), gradient.ravel(order="F"))
        # Half the squared Newton decrement: how far the minimum lies below, to second order.
        below = 0.5 * float(gradient.ravel(order="F") @ step)
        if below < _TOLERANCE * max(1.0, abs(value)):
            break
        length = 1.0
        while True:
            trial = moved - length * step.reshape(moved.shape, order="F")
            trial_value, trial_shares = _objective(rows, offset, targets, weight, precision, trial)
            if trial_value <= value - 0.5 * length * below or length < 1e-6:
                break
            length /= 2
        moved, value, shares = trial, trial_value, trial_shares
    return np.asarray(basis.T @ moved)


def _last_layer_inputs(head: MlpHead, inputs: ArrayLike) -> FloatArray:
    """(n, width) what the last layer sees."""
    last = MlpHead(head.mean, head.scale, head.weights[:-1], head.biases[:-1]) if head.weights[1:] else None
    if last is not None:
        return np.maximum(last.logits(inputs), 0.0).astype(np.float64)
    values = (np.asarray(inputs, dtype=np.float64) - head.mean) / head.scale
    return np.where(np.isnan(values), 0.0, values)


def _objective(
    rows: FloatArray,
    offset: FloatArray,
    targets: FloatArray,
    weight: FloatArray,
    precision: float,
    moved: FloatArray,
) -> tuple[float, FloatArray]:
    """The value to minimise, and the probabilities (n, k) there."""
    logits = offset + rows @ moved
    # A single logit is that of the second of two labels: the first has the logit 0.
    every = np.column_stack([np.zeros(len(logits)), logits]) if logits.shape[1] == 1 else logits
    highest = every.max(axis=1, keepdims=True)
    powers = np.exp(every - highest)
    total = powers.sum(axis=1, keepdims=True)
    losses = (highest + np.log(total))[:, 0] - (targets * logits).sum(axis=1)
    shares = (powers / total)[:, -logits.shape[1] :]
    return float(weight @ losses) + 0.5 * precision * float((moved**2).sum()), shares


def _hessian(rows: FloatArray, shares: FloatArray, weight: FloatArray, precision: float) -> FloatArray:
    """(r * k, r * k) second derivatives, one block for each pair of outputs."""

    def block(a: int, b: int) -> FloatArray:
        curvature = weight * shares[:, a] * ((a == b) - shares[:, b])
        return np.asarray(rows.T @ (rows * curvature[:, None]))

    outputs = range(shares.shape[1])
    # Curvature is the same for (a, b) and (b, a), and so is the block.
    blocks = {(a, b): block(a, b) for a in outputs for b in outputs if a <= b}
    hessian = np.block([[blocks[min(a, b), max(a, b)] for b in outputs] for a in outputs])
    hessian[np.diag_indices_from(hessian)] += precision
    return np.asarray(hessian)
