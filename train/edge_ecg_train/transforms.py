"""The six signal transformations that the pretext task asks the network to recognise.

All work on a whole batch of windows (n, samples) on the device that holds it, and draw what is random from
a ``torch.Generator`` on that device. The constants are those of the released code of Sarkar & Etemad for a
window of 2560 samples at 256 Hz:

=====  ===========  ==========================================================================
label  name         definition
=====  ===========  ==========================================================================
0      original     the window
1      noise        plus white Gaussian noise, 15 dB below the window's mean square
2      scale        times 1.1
3      negate       times -1
4      flip         reversed in time
5      permute      20 pieces of 128 samples in a uniformly random order
6      time_warp    9 pieces of 284 samples, 5 of them (random) stretched to 299 samples, the
                    other 4 squeezed to 271: 2579 samples, cut to 2560 at a random 0..18
=====  ===========  ==========================================================================

A window's trailing zeros are padding: they are cut off before and put back after the transformation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor

VERSIONS: tuple[str, ...] = ("original", "noise", "scale", "negate", "flip", "permute", "time_warp")


@dataclass(frozen=True, slots=True)
class TransformConfig:
    """How strong the transformations are; the defaults are those of the released code."""

    noise_snr_db: float = 15.0
    scale_factor: float = 1.1
    permute_pieces: int = 20
    warp_pieces: int = 9
    warp_stretch: float = 1.05
    spread: float = 1.0
    """With more than 1, every batch draws strengths between ``1 / spread`` and ``spread`` times these (of
    scale and stretch: of what they differ from 1 by), evenly on a logarithmic scale. Not in the papers."""

    def drawn(self, seed: int) -> TransformConfig:
        """Return the strengths of one batch."""
        if self.spread == 1.0:
            return self
        factors = self.spread ** np.random.default_rng([seed, 5]).uniform(-1.0, 1.0, 5)
        return replace(
            self,
            noise_snr_db=self.noise_snr_db - 20 * math.log10(factors[0]),
            scale_factor=1.0 + (self.scale_factor - 1.0) * float(factors[1]),
            permute_pieces=max(2, round(self.permute_pieces * factors[2])),
            warp_pieces=max(2, round(self.warp_pieces * factors[3])),
            warp_stretch=1.0 + (self.warp_stretch - 1.0) * float(factors[4]),
            spread=1.0,
        )


def add_noise(x: Tensor, snr_db: float, generator: Generator) -> Tensor:
    """Add white Gaussian noise whose power is ``snr_db`` below each window's mean square (DC included)."""
    sd = (x.square().mean(-1, keepdim=True) / 10 ** (snr_db / 10)).sqrt()
    return x + sd * torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)


def permute(x: Tensor, pieces: int, generator: Generator) -> Tensor:
    """Cut each window into equal pieces and join them in random order; a remainder is dropped."""
    n, samples = x.shape
    width = samples // pieces
    order = torch.rand(n, pieces, generator=generator, device=x.device).argsort(1)
    cut = x[:, : width * pieces].reshape(n, pieces, width)
    return cut.gather(1, order[:, :, None].expand(n, pieces, width)).reshape(n, pieces * width)


def time_warp(x: Tensor, pieces: int, stretch: float, generator: Generator) -> Tensor:
    """Stretch a random half of the pieces of each window (the larger half) in time and squeeze the others.

    Each piece is resized linearly at half-pixel centres with the edges held (OpenCV's INTER_LINEAR): sample
    i of a piece resized from a to b samples is read at (i + ½) a/b - ½, held to [0, a - 1]. The result is
    cut to the window's length at a random place, or is shorter where there is nothing to cut.
    """
    n, samples = x.shape
    width = samples // 10 * 10 // pieces
    longer, shorter = math.ceil(width * stretch), math.ceil(width / stretch)
    stretched_pieces = -(-pieces // 2)
    total = stretched_pieces * longer + (pieces - stretched_pieces) * shorter

    rank = torch.rand(n, pieces, generator=generator, device=x.device).argsort(1).argsort(1)
    lengths = torch.where(rank < stretched_pieces, longer, shorter)
    ends = lengths.cumsum(1)
    spare = total - samples
    if spare > 0:
        first = torch.randint(spare, (n, 1), generator=generator, device=x.device)
    else:
        first = torch.zeros((n, 1), dtype=torch.int64, device=x.device)
    at = first + torch.arange(min(samples, total), device=x.device)

    piece = torch.searchsorted(ends, at, right=True)
    length = lengths.gather(1, piece)
    within = at - (ends.gather(1, piece) - length)
    # The position times 2b is an integer, so that in float32 too its fraction is exact.
    position = ((2 * within + 1) * width - length).clamp(min=0).minimum(2 * length * (width - 1))
    below = position // (2 * length)
    fraction = (position % (2 * length)).to(x.dtype) / (2 * length).to(x.dtype)
    left = piece * width + below
    right = (left + 1).clamp(max=samples - 1)
    return torch.lerp(x.gather(1, left), x.gather(1, right), fraction)


def transform(x: Tensor, version: int, generator: Generator, config: TransformConfig | None = None) -> Tensor:
    """Apply transformation ``version`` (an index into VERSIONS) to windows (n, samples); same shape out."""
    return _transform(x, version, generator, config or TransformConfig(), _any_padded(x))


def _transform(
    x: Tensor, version: int, generator: Generator, config: TransformConfig, padded: bool
) -> Tensor:
    apply = _operation(VERSIONS[version], config, generator)
    samples = x.shape[1]
    if not padded:
        return _fit(apply(x), samples)
    lengths = _unpadded_lengths(x)
    out = torch.zeros_like(x)
    for length in torch.unique(lengths).tolist():
        if length:
            rows = (lengths == length).nonzero().squeeze(1)
            out[rows] = _fit(_fit(apply(x[rows, :length]), length), samples)
    return out


def make_versions(
    x: Tensor, versions: int, generator: Generator, config: TransformConfig | None = None
) -> tuple[Tensor, Tensor]:
    """Return transformed versions of each window and their labels.

    Parameters
    ----------
    x:
        Windows (n, samples).
    versions:
        How many of the 7 versions each window gets. With 7 a window appears in all of them, as in the
        paper; with fewer, each window draws distinct ones at random, so that a step of the same cost sees
        more different windows while every head keeps its expected 1 : 6 balance.
    generator:
        The source of all randomness, on x's device.
    config:
        The strengths.

    Returns
    -------
    Signals (n * versions, samples), grouped by label, and labels (n * versions,) int64.

    """
    config = config or TransformConfig()
    # Each question to a GPU about values waits for all that it was told before: one a batch is enough.
    padded = _any_padded(x)
    chosen = _choose(len(x), versions, generator)
    signals, labels = [], []
    for version in range(len(VERSIONS)):
        part = x if chosen is None else x[chosen[version]]
        signals.append(_transform(part, version, generator, config, padded))
        labels.append(torch.full((len(part),), version, device=x.device))
    return torch.cat(signals), torch.cat(labels)


def _choose(n: int, versions: int, generator: Generator) -> list[Tensor] | None:
    """Draw the rows that each version is made of; None for all rows in every version."""
    if versions >= len(VERSIONS):
        return None
    device = generator.device
    order = torch.rand(n, len(VERSIONS), generator=generator, device=device).argsort(1)
    drawn = torch.zeros(n, len(VERSIONS), dtype=torch.bool, device=device)
    drawn.scatter_(1, order[:, :versions], True)
    return [drawn[:, version].nonzero().squeeze(1) for version in range(len(VERSIONS))]


def _operation(name: str, config: TransformConfig, generator: Generator) -> Callable[[Tensor], Tensor]:
    operations: dict[str, Callable[[Tensor], Tensor]] = {
        "original": lambda x: x,
        "noise": lambda x: add_noise(x, config.noise_snr_db, generator),
        "scale": lambda x: x * config.scale_factor,
        "negate": torch.neg,
        "flip": lambda x: x.flip(-1),
        "permute": lambda x: permute(x, config.permute_pieces, generator),
        "time_warp": lambda x: time_warp(x, config.warp_pieces, config.warp_stretch, generator),
    }
    return operations[name]


def _any_padded(x: Tensor) -> bool:
    return len(x) > 0 and bool((x[:, -1] == 0).any())


def _unpadded_lengths(x: Tensor) -> Tensor:
    """Return each window's length without its trailing zeros, (n,)."""
    places = torch.arange(1, x.shape[1] + 1, device=x.device)
    return (places * (x != 0)).amax(1) if len(x) else torch.zeros(0, dtype=torch.int64, device=x.device)


def _fit(x: Tensor, samples: int) -> Tensor:
    """Pad with zeros at the end to ``samples``."""
    return torch.nn.functional.pad(x, (0, samples - x.shape[1])) if x.shape[1] < samples else x
