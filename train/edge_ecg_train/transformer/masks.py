"""Which samples are masked, and what straight lines would draw in their place."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .network import SAMPLES


def draw_masks(count: int, probability: float, span: int, generator: torch.Generator) -> Tensor:
    """Draw which samples at 128 Hz are masked, (count, 1280) bool.

    At every sample a span begins with the probability. Spans may overlap, and may begin before the window:
    else its first samples would be masked less often than the others.
    """
    begins = torch.rand(count, SAMPLES + span - 1, generator=generator, device=generator.device) < probability
    covered: Tensor = begins.unfold(1, span, 1).any(2)
    return covered


def interpolated(ecg: NDArray[np.float32], masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Replace masked samples of ECG (n, time) by straight lines between their neighbours."""
    out, places = ecg.copy(), np.arange(ecg.shape[1])
    for signal, mask in zip(out, masks, strict=True):
        if mask.any() and not mask.all():
            signal[mask] = np.interp(places[mask], places[~mask], signal[~mask])
    return out
