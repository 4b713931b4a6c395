"""How eight-bit arithmetic moves an encoder's embeddings, so that a head can keep out of its way.

An exported encoder hands 8-bit values from layer to layer. What that rounding does to an embedding depends on
the encoder and on what ECG looks like, not on any label. Where it moves embeddings far, a head must not lean:
its decisions would change with the device.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .checkpoint import load_encoder
from .networks import Trunk
from .run_dir import RunDir
from .store import WindowStore

_WINDOWS = 200
_BATCH = 20
_STEPS = 255
# The room above and below the last convolution's outputs in an export (edge_ecg_export.quantise).
_LAST_HIGH, _LAST_LOW = 2.0, 1.25


@torch.no_grad()
def rounding_errors(trunk: Trunk, windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return embeddings with 8-bit activations minus those without, (n, d), for windows (n, 2560).

    Between convolutions each channel is rounded to 255 steps over the range that it takes in these windows,
    and so is the last one's output where its mean is pooled, with the room that an export leaves for other
    people's windows. Weights are left alone: one scale a filter makes their rounding a hundred times smaller.
    """
    trunk = trunk.eval()
    whole = torch.from_numpy(np.array(windows, np.float32))
    batches = [whole[first : first + _BATCH] for first in range(0, len(whole), _BATCH)]
    last = len(trunk.layers) - 1
    highs: dict[int, Tensor] = {}
    lows: dict[int, Tensor] = {}

    def measure(index: int, x: Tensor) -> Tensor:
        high, low = x.amax((0, 2, 3), keepdim=True).relu(), (-x).amax((0, 2, 3), keepdim=True).relu()
        highs[index] = torch.maximum(highs.get(index, high), high)
        lows[index] = torch.maximum(lows.get(index, low), low)
        return x

    def round_off(index: int, x: Tensor) -> Tensor:
        if index < last:
            width = 2 * torch.maximum(highs[index], lows[index])
        elif trunk.shape.pooling == "max":
            return x
        else:
            width = _LAST_HIGH * highs[index] + _LAST_LOW * lows[index]
        step = (width / _STEPS).clamp(min=1e-12)
        return torch.round(x / step) * step

    exact = torch.cat([_embed(trunk, batch, measure) for batch in batches])
    rounded = torch.cat([_embed(trunk, batch, round_off) for batch in batches])
    errors: NDArray[np.float64] = (rounded - exact).double().numpy()
    return errors


def rounding_covariance(run: RunDir, store: WindowStore, seed: int = 0) -> NDArray[np.float64]:
    """Return the second moments (d, d) of the rounding error on 200 of the store's windows.

    Raises
    ------
    DataError
        If the run has no readable encoder.
    """
    count = min(_WINDOWS, len(store))
    rows = np.sort(np.random.default_rng([seed, 5]).choice(len(store), count, replace=False))
    errors = rounding_errors(load_encoder(run.encoder), store.windows[rows])
    moments: NDArray[np.float64] = errors.T @ errors / len(errors)
    return moments


def _embed(trunk: Trunk, windows: Tensor, between: Callable[[int, Tensor], Tensor]) -> Tensor:
    *_, last = trunk.stages(windows, between)
    return trunk.pool(last.squeeze(2)).float()
