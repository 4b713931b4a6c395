"""What happens to windows before the pretext task transforms them: electrode noise, swapped electrodes.

The papers do neither. All versions of a window get the same noise, so that it tells nothing of the
transformation; the transformation "negate" is then relative to a polarity that itself is drawn.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from edge_ecg.errors import DataError

NOISES = ("BW", "EM", "MA")
"""Baseline wander, electrode motion, muscle artefact (Moody et al., Computers in Cardiology 11:381, 1984)."""

_NOISE_FS_HZ, _MODEL_FS_HZ = 360, 256
_HIGH_PASS_SAMPLES = 321
"""A moving average of 1.25 s stands for what the signal chain's high-pass takes away."""


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """What to do to windows; the defaults do nothing.

    Parameters
    ----------
    noise:
        The folder of BW.mat, EM.mat and MA.mat (a name in ``EDGE_ECG_DATA``, or a path); empty for none.
    noise_probability:
        How many windows get noise.
    noise_snr_db:
        The signal-to-noise ratio is drawn evenly between these two.
    swap_probability:
        How many windows are negated, as by swapped electrodes.

    """

    noise: str = ""
    noise_probability: float = 0.5
    noise_snr_db: tuple[float, ...] = (0.0, 20.0)
    swap_probability: float = 0.0


def read_clips(folder: str | Path) -> list[NDArray[np.float64]]:
    """Read clips of electrode noise, one of each kind, (samples,) at 256 Hz.

    Parameters
    ----------
    folder:
        Of BW.mat, EM.mat and MA.mat: int16 (samples, 3), index and two channels at 360 Hz. A name that is no
        folder is looked for in ``EDGE_ECG_DATA``.

    Raises
    ------
    DataError
        If there are none, or they are damaged.

    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError
    from scipy.signal import resample_poly

    place = Path(folder)
    if not place.is_dir() and os.environ.get("EDGE_ECG_DATA"):
        place = Path(os.environ["EDGE_ECG_DATA"]) / folder
    clips = []
    for name in NOISES:
        try:
            arrays = {key: value for key, value in loadmat(place / f"{name}.mat").items() if key[0] != "_"}
            (samples,) = arrays.values()
            clip = np.asarray(samples, np.float64)[:, 1]
        except (OSError, ValueError, IndexError, MatReadError) as error:
            raise DataError(
                f"There is no electrode noise in {place}.",
                why=f"{name}.mat: {error}",
                remedy="Name a folder with BW.mat, EM.mat and MA.mat, or set EDGE_ECG_DATA.",
            ) from error
        clips.append(resample_poly(clip, _MODEL_FS_HZ, _NOISE_FS_HZ))
    return clips


def read_noise(folder: str | Path) -> NDArray[np.float32]:
    """Read clips as :func:`read_clips` does, (kinds, samples), without offset and slow drift."""
    clips = read_clips(folder)
    length = min(map(len, clips))
    flat = np.ones(_HIGH_PASS_SAMPLES) / _HIGH_PASS_SAMPLES
    return np.stack([clip[:length] - np.convolve(clip[:length], flat, "same") for clip in clips]).astype(
        np.float32
    )


def augment(x: Tensor, config: AugmentConfig, clips: Tensor | None, generator: Generator) -> Tensor:
    """Return windows (n, samples) with noise and polarity drawn anew.

    Parameters
    ----------
    x:
        Windows (n, samples).
    config:
        What to do.
    clips:
        (kinds, longer than a window), as :func:`read_noise` gives them; None for no noise.
    generator:
        The source of all randomness, on x's device.

    """
    n, samples = x.shape

    def draw() -> Tensor:
        return torch.rand(n, generator=generator, device=x.device)

    if config.swap_probability:
        x = torch.where((draw() < config.swap_probability)[:, None], -x, x)
    if clips is not None:
        kind = (draw() * len(clips)).long()
        first = (draw() * (clips.shape[1] - samples)).long()
        noise = clips[kind[:, None], first[:, None] + torch.arange(samples, device=x.device)]
        low, high = config.noise_snr_db
        ratio = 10 ** ((low + (high - low) * draw()) / 20)
        scale = x.std(1, correction=0) / noise.std(1, correction=0).clamp(min=1e-6) / ratio
        scale = torch.where(draw() < config.noise_probability, scale, 0.0)
        x = x + noise * scale[:, None]
    return x
