"""The pretext loss and learning-rate schedule of Sarkar & Etemad.

The loss of a batch is  sum_i a_i BCE_i  over the seven recognisers, each BCE the mean over the batch's
signals, plus  1e-4 * sum ½‖w‖²  over all kernels (see ``networks.parameter_groups`` for the latter).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

TASK_WEIGHTS: tuple[float, ...] = (0.195, 0.195, 0.195, 0.0125, 0.0125, 0.195, 0.195)
"""In the order of ``transforms.VERSIONS``; they add up to 1."""

L2 = 1e-4


def pretext_loss(logits: Tensor, labels: Tensor, signals_in_batch: int | None = None) -> Tensor:
    """Return the weighted sum of the seven binary cross-entropies, a scalar.

    Parameters
    ----------
    logits:
        (n, 7).
    labels:
        Which version each signal is, (n,) int64.
    signals_in_batch:
        The number to divide by where this is only a part of the batch, so that the losses (and gradients)
        of the parts add up to the batch's.

    """
    targets = functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
    weights = torch.tensor(TASK_WEIGHTS, dtype=logits.dtype, device=logits.device)
    per_task = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(0)
    return (weights * per_task).sum() / (signals_in_batch or len(logits))


def staircase(step: int, *, initial: float = 1e-3, factor: float = 0.9, every: int = 10_000) -> float:
    """Return the learning rate of a step (counted from 0): ``initial * factor ** (step // every)``."""
    return float(initial * factor ** (step // every))
